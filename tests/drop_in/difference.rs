//! Where two sides differ, field by field.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

/// Fields by path, such as `plain hpa.spec.maxReplicas`.
pub type Fields = BTreeMap<String, String>;

/// A field on either side; `None`: it is not there.
type Sides = (Option<String>, Option<String>);

/// Differences by path.
#[derive(Default)]
pub struct Differences {
    fields: BTreeMap<String, Sides>,
    /// Differences that any object may have, by the path inside it.
    anywhere: Vec<(String, Sides, bool)>,
    /// Starts of paths under which everything may differ.
    whole: Vec<String>,
}

/// Lines about differences, which a failed wait prints as lines.
pub struct Told(String);

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Differences {
    /// The fields that differ.
    pub fn between(theirs: &Fields, ours: &Fields) -> Self {
        let mut found = Self::default();
        for path in theirs.keys().chain(ours.keys()) {
            let sides = (theirs.get(path).cloned(), ours.get(path).cloned());
            if sides.0 != sides.1 {
                found.fields.insert(path.clone(), sides);
            }
        }
        found
    }

    /// Lists a difference of one field.
    pub fn insert(&mut self, path: String, theirs: Option<String>, ours: Option<String>) {
        assert!(!self.fields.contains_key(&path), "{path} is listed twice");
        self.fields.insert(path, (theirs, ours));
    }

    /// Lists a difference that every object may have; at least one has it, unless it is there only `sometimes`.
    pub fn may(&mut self, path: &str, sides: Sides, sometimes: bool) {
        self.anywhere.push((path.to_owned(), sides, sometimes));
    }

    /// Lists all fields whose paths begin so.
    pub fn whole(&mut self, start: String) {
        self.whole.push(start);
    }

    fn covers(&self, path: &str) -> bool {
        self.whole.iter().any(|start| path.starts_with(start))
    }

    /// Nothing if these are the `listed` ones, or else what is too much and what is missing.
    pub fn compared_with(&self, listed: &Self) -> Result<(), Told> {
        let mut used: Vec<bool> = listed
            .anywhere
            .iter()
            .map(|(.., sometimes)| *sometimes)
            .collect();
        let mut told = String::new();
        for (path, sides) in &self.fields {
            if listed.fields.get(path) == Some(sides) || listed.covers(path) {
                continue;
            }
            let inside = path
                .split_once(' ')
                .map_or(path.as_str(), |(_, inside)| inside);
            let anywhere = listed.anywhere.iter();
            let known = anywhere
                .enumerate()
                .find(|(_, (p, s, _))| p == inside && s == sides);
            match known {
                Some((n, _)) => used[n] = true,
                None => tell(&mut told, "not listed", path, sides),
            }
        }
        for start in &listed.whole {
            if !self.fields.keys().any(|path| path.starts_with(start)) {
                let _ = write!(told, "\nlisted as a whole, but nothing differs: {start}");
            }
        }
        for (path, sides) in &listed.fields {
            if self.fields.get(path) != Some(sides) {
                tell(&mut told, "listed, but not so", path, sides);
            }
        }
        for ((path, sides, _), used) in listed.anywhere.iter().zip(used) {
            if !used {
                tell(&mut told, "listed for all, but nowhere", path, sides);
            }
        }
        if told.is_empty() {
            Ok(())
        } else {
            Err(Told(told))
        }
    }
}

/// A line of `tests/cases/drop-in.yaml`.
fn tell(told: &mut String, what: &str, path: &str, (theirs, ours): &Sides) {
    let _ = write!(
        told,
        "\n{what}: {{path: {path}, keda: {theirs:?}, lagscale: {ours:?}}}"
    );
}
