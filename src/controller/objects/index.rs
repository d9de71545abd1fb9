//! Which objects depend on what, so that a change looks at these and at no others.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::ObjectKey;

/// Between objects and the things of one kind that they depend on.
pub(super) struct Index<T> {
    /// In order. Nearly every object has one, which a tree would give the room of eleven.
    things: BTreeMap<ObjectKey, Box<[T]>>,
    objects: BTreeMap<T, Users>,
}

/// The objects that depend on a thing; one, as a rule.
enum Users {
    One(ObjectKey),
    Several(BTreeSet<ObjectKey>),
}

impl Users {
    fn insert(&mut self, object: ObjectKey) {
        match self {
            Self::One(first) if *first == object => {}
            Self::One(first) => *self = Self::Several([first.clone(), object].into()),
            Self::Several(all) => drop(all.insert(object)),
        }
    }

    /// Takes an object out; `true` if it was the last.
    fn remove(&mut self, object: &ObjectKey) -> bool {
        match self {
            Self::One(first) => first == object,
            Self::Several(all) => {
                all.remove(object);
                all.is_empty()
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &ObjectKey> {
        let (one, several) = match self {
            Self::One(object) => (Some(object), None),
            Self::Several(all) => (None, Some(all)),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }

    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Several(all) => all.len(),
        }
    }
}

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self {
            things: BTreeMap::new(),
            objects: BTreeMap::new(),
        }
    }
}

impl<T: Clone + Ord> Index<T> {
    /// Replaces what `object` depends on; whether there is a thing now that nobody depended on, or the other way round.
    pub(super) fn set(&mut self, object: &ObjectKey, things: BTreeSet<T>) -> bool {
        let before = self.things(object);
        let mut changed = false;
        for thing in things.difference(&before) {
            if let Some(users) = self.objects.get_mut(thing) {
                users.insert(object.clone());
            } else {
                let first = Users::One(object.clone());
                self.objects.insert(thing.clone(), first);
                changed = true;
            }
        }
        for thing in before.difference(&things) {
            if let Some(users) = self.objects.get_mut(thing)
                && users.remove(object)
            {
                self.objects.remove(thing);
                changed = true;
            }
        }
        if things.is_empty() {
            self.things.remove(object);
        } else if things != before {
            let things = things.into_iter().collect();
            self.things.insert(object.clone(), things);
        }
        changed
    }

    /// The things that `object` depends on.
    pub(super) fn things(&self, object: &ObjectKey) -> BTreeSet<T> {
        let things = self.things.get(object);
        things.into_iter().flatten().cloned().collect()
    }

    /// The objects that depend on `thing`.
    pub(super) fn of(&self, thing: &T) -> impl Iterator<Item = &ObjectKey> + use<'_, T> {
        self.objects.get(thing).into_iter().flat_map(Users::iter)
    }

    /// The number of these objects.
    pub(super) fn count(&self, thing: &T) -> usize {
        self.objects.get(thing).map_or(0, Users::len)
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
        let of = |index: &Index<i32>, thing| index.of(&thing).cloned().collect::<Vec<_>>();
        assert_eq!(of(&index, 2), [key("a"), key("b")]);
        assert!(index.set(&key("a"), BTreeSet::from([2])));
        assert!(!index.knows(&1));
        assert!(!index.set(&key("a"), BTreeSet::new()));
        assert_eq!(index.all(), BTreeSet::from([2]));
        assert!(index.set(&key("b"), BTreeSet::new()));
        assert!(of(&index, 2).is_empty());
    }
}
