//! A map that one task writes and many read without waiting: a change copies one of many small parts, so it costs the same
//! however much there is.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use arc_swap::ArcSwap;

const PARTS: usize = 1024;

type Part<V> = ArcSwap<HashMap<Arc<str>, V>>;

/// By text keys.
pub struct Sharded<V> {
    parts: Box<[Part<V>]>,
    hasher: RandomState,
}

impl<V> Default for Sharded<V> {
    fn default() -> Self {
        Self {
            parts: (0..PARTS).map(|_| ArcSwap::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl<V: Clone> Sharded<V> {
    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<V> {
        self.part(key).load().get(key).cloned()
    }

    /// Replaces what is there under `key`; `None` removes it. Of two writers at once one would be lost.
    pub fn set(&self, key: &str, value: Option<V>) {
        let slot = self.part(key);
        let mut part = HashMap::clone(&slot.load());
        match value {
            Some(value) => part.insert(key.into(), value),
            None => part.remove(key),
        };
        slot.store(Arc::new(part));
    }

    /// Looks at everything, in no order.
    pub fn visit(&self, mut look: impl FnMut(&str, &V)) {
        for part in &self.parts {
            for (key, value) in part.load().iter() {
                look(key, value);
            }
        }
    }

    /// Everything, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<V> {
        let parts = self.parts.iter().map(ArcSwap::load_full);
        parts
            .flat_map(|p| p.values().cloned().collect::<Vec<_>>())
            .collect()
    }

    fn part(&self, key: &str) -> &Part<V> {
        let part = self.hasher.hash_one(key) % PARTS as u64;
        &self.parts[usize::try_from(part).unwrap_or_default()]
    }
}
