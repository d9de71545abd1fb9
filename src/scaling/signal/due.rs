//! The next moment at which time alone changes something.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::lag::Moment;

/// Gathers moments: the earliest one that is still to come counts.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    now: Moment,
    next: Option<Instant>,
}

impl Due {
    /// Nothing is due yet.
    #[must_use]
    pub fn after(now: Moment) -> Self {
        Self { now, next: None }
    }

    /// Something changes at this moment, if it has not come yet.
    pub fn at(&mut self, at: impl Into<Option<Instant>>) {
        if let Some(at) = at.into().filter(|at| *at > self.now.at) {
            self.next = Some(self.next.map_or(at, |next| next.min(at)));
        }
    }

    /// Something changes after this long.
    pub fn within(&mut self, wait: Duration) {
        self.at(self.now.at + wait);
    }

    /// Something changes once the wall clock shows this.
    pub fn at_wall(&mut self, at: Option<Timestamp>) {
        let wait = at.map(|at| at.duration_since(self.now.wall));
        if let Some(wait) = wait.and_then(|wait| Duration::try_from(wait).ok()) {
            self.at(self.now.at.checked_add(wait));
        }
    }

    /// The moment; `None` where time alone changes nothing.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.next
    }
}
