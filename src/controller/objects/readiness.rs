//! Readiness of this replica: every object that is there has been planned, and the first poll of its groups is over.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::keys::ObjectKey;

/// A replica is ready so long after its lists are in at the latest: whoever goes on making objects of brokers that do not answer
/// keeps nobody from being asked.
const LATEST: Duration = Duration::from_secs(15);

/// The objects that readiness waits for.
#[derive(Default)]
pub(super) struct Readiness {
    /// Objects that name what is being read for the first time.
    waiting: BTreeSet<ObjectKey>,
    /// Objects whose first poll is not over.
    unpolled: BTreeSet<ObjectKey>,
    /// When the lists were in and the first objects planned.
    begun: Option<Instant>,
}

impl Readiness {
    /// Notes an object that names what is being read for the first time, or does no more; returns which.
    pub(super) fn set_waiting(&mut self, key: &ObjectKey, waiting: bool) -> bool {
        if waiting {
            self.waiting.insert(key.clone());
        } else {
            self.waiting.remove(key);
        }
        waiting
    }

    /// Nothing has been asked for an object yet.
    pub(super) fn is_new(&mut self, key: &ObjectKey) {
        self.unpolled.insert(key.clone());
    }

    /// The first poll for an object is over, or none is needed.
    pub(super) fn is_polled(&mut self, key: &ObjectKey) {
        self.unpolled.remove(key);
    }

    /// The first objects are planned.
    pub(super) fn begin(&mut self, now: Instant) {
        self.begun.get_or_insert(now);
    }

    pub(super) fn is_ready(&self, now: Instant) -> bool {
        let Some(begun) = self.begun else {
            return false;
        };
        let late = now.saturating_duration_since(begun) >= LATEST;
        late || self.waiting.is_empty() && self.unpolled.is_empty()
    }
}
