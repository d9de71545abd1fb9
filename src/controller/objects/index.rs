//! Which objects depend on what, so that a change looks at these and at no others.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::ObjectKey;

/// Between objects and the things of one kind that they depend on.
pub(super) struct Index<T> {
    things: BTreeMap<ObjectKey, BTreeSet<T>>,
    objects: BTreeMap<T, BTreeSet<ObjectKey>>,
    /// Depends on what nothing depends on.
    nobody: BTreeSet<ObjectKey>,
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            things: BTreeMap::new(),
            objects: BTreeMap::new(),
            nobody: BTreeSet::new(),
        }
    }
}

impl<T: Clone + Ord> Index<T> {
    /// Replaces what `object` depends on; whether there is a thing now that nobody depended on, or the other way round.
    pub(super) fn set(&mut self, object: &ObjectKey, things: BTreeSet<T>) -> bool {
        let before = self.things(object);
        let mut changed = false;
        for thing in things.difference(&before) {
            let objects = self.objects.entry(thing.clone()).or_default();
            changed |= objects.is_empty();
            objects.insert(object.clone());
        }
        for thing in before.difference(&things) {
            if let Some(objects) = self.objects.get_mut(thing) {
                objects.remove(object);
                if objects.is_empty() {
                    self.objects.remove(thing);
                    changed = true;
                }
            }
        }
        if things.is_empty() {
            self.things.remove(object);
        } else {
            self.things.insert(object.clone(), things);
        }
        changed
    }

    /// The things that `object` depends on.
    pub(super) fn things(&self, object: &ObjectKey) -> BTreeSet<T> {
        self.things.get(object).cloned().unwrap_or_default()
    }

    /// The objects that depend on `thing`.
    pub(super) fn of(&self, thing: &T) -> &BTreeSet<ObjectKey> {
        self.objects.get(thing).unwrap_or(&self.nobody)
    }

    /// Everything that somebody depends on.
    pub(super) fn all(&self) -> BTreeSet<T> {
        self.objects.keys().cloned().collect()
    }

    /// Whether somebody depends on `thing`.
    pub(super) fn knows(&self, thing: &T) -> bool {
        self.objects.contains_key(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_known_as_long_as_one_object_depends_on_it() {
        let key = |name: &str| ObjectKey::scaled_object("shop", name);
        let mut index = Index::default();
        assert!(index.set(&key("a"), BTreeSet::from([1, 2])));
        assert!(!index.set(&key("b"), BTreeSet::from([2])));
        let of = |index: &Index<i32>, thing| index.of(&thing).iter().cloned().collect::<Vec<_>>();
        assert_eq!(of(&index, 2), [key("a"), key("b")]);
        assert!(index.set(&key("a"), BTreeSet::from([2])));
        assert!(!index.knows(&1));
        assert!(!index.set(&key("a"), BTreeSet::new()));
        assert_eq!(index.all(), BTreeSet::from([2]));
        assert!(index.set(&key("b"), BTreeSet::new()));
        assert!(of(&index, 2).is_empty());
    }
}
