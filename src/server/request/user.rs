//! A user as authorization sees it.

use std::collections::BTreeMap;

use crate::server::request::reviews::Digest;

/// Whom a request is from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::server) struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// How much there is to write of it.
    pub fn length(&self) -> usize {
        let extra = self.extra.iter();
        let extra = extra.map(|(k, v)| k.len() + v.iter().map(String::len).sum::<usize>());
        let groups = self.groups.iter().map(String::len);
        self.name.len() + self.uid.len() + groups.sum::<usize>() + extra.sum::<usize>()
    }

    /// Writes everything that tells it from others.
    pub fn digest(&self, digest: &mut Digest) {
        digest.text(&self.name);
        digest.text(&self.uid);
        digest.number(self.groups.len());
        for group in &self.groups {
            digest.text(group);
        }
        for (key, values) in &self.extra {
            digest.text(key);
            digest.number(values.len());
            for value in values {
                digest.text(value);
            }
        }
    }
}
