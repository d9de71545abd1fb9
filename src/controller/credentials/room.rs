//! The room for what objects name: a namespace's objects may name hundreds of ConfigMaps of a megabyte each, and every
//! replica holds what is named.

use std::collections::BTreeMap;

use super::reference::Content;

/// Bytes of what a namespace's objects name.
const NAMESPACE: usize = 8 << 20;
/// Bytes of what all objects name, but for those that the cluster's own authentications name.
const ALL: usize = 64 << 20;

/// How much is held, in bytes.
pub(super) struct Room {
    /// Not counted among all: what lies there is the administrator's.
    own: String,
    namespaces: BTreeMap<String, usize>,
    all: usize,
}

impl Room {
    pub(super) fn new(own: String) -> Self {
        Self {
            own,
            namespaces: BTreeMap::new(),
            all: 0,
        }
    }

    /// Why `content` is not kept where `size` bytes are held already.
    pub(super) fn refuses(
        &self,
        namespace: &str,
        size: usize,
        content: &Content,
    ) -> Option<String> {
        let more = content.size().saturating_sub(size);
        let held = self.namespaces.get(namespace).copied().unwrap_or(0);
        if held + more > NAMESPACE {
            return Some(format!(
                "what objects of namespace {namespace} name already holds {held} bytes, and at most {NAMESPACE} are kept"
            ));
        }
        (namespace != self.own && self.all + more > ALL).then(|| {
            format!("what the objects of all namespaces name already holds {} bytes, and at most {ALL} are kept", self.all)
        })
    }

    /// Counts `content` in the place of what had `size` bytes.
    pub(super) fn take(&mut self, namespace: &str, size: &mut usize, content: Option<&Content>) {
        let before = std::mem::replace(size, content.map_or(0, Content::size));
        let held = self.namespaces.entry(namespace.to_owned()).or_default();
        *held = held.saturating_sub(before).saturating_add(*size);
        if *held == 0 {
            self.namespaces.remove(namespace);
        }
        if namespace != self.own {
            self.all = self.all.saturating_sub(before).saturating_add(*size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triggers::Parameters;

    #[test]
    fn a_namespace_holds_so_much_and_all_together_so_much() {
        let content = |bytes: usize| {
            let parameters = Parameters::from([(String::new(), "x".repeat(bytes).into())]);
            Content::Values(parameters.into())
        };
        let (mut room, mut sizes) = (Room::new("own".into()), Vec::new());
        let mut fill = |room: &mut Room, namespace: &str| {
            let mut taken = 0;
            while room.refuses(namespace, 0, &content(1 << 20)).is_none() {
                let mut size = 0;
                room.take(namespace, &mut size, Some(&content(1 << 20)));
                sizes.push((namespace.to_owned(), size));
                taken += 1;
            }
            taken
        };
        assert_eq!(fill(&mut room, "a"), 8);
        let why = room.refuses("a", 0, &content(1)).unwrap();
        assert!(why.contains("objects of namespace a"), "{why}");
        assert_eq!(
            room.refuses("a", 1 << 20, &content(1 << 20)),
            None,
            "another version"
        );
        assert_eq!(room.refuses("b", 0, &content(1)), None);
        for namespace in 'b'..='h' {
            assert_eq!(fill(&mut room, &namespace.to_string()), 8);
        }
        assert!(
            room.refuses("z", 0, &content(1))
                .unwrap()
                .contains("all namespaces")
        );
        assert_eq!(
            fill(&mut room, "own"),
            8,
            "the administrator's have their own"
        );
        for (namespace, mut size) in sizes {
            room.take(&namespace, &mut size, None);
        }
        assert_eq!((room.all, room.namespaces.len()), (0, 0));
    }
}
