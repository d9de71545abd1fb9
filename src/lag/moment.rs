//! A point in time, twice: on a clock that never jumps, for ages, and on the wall, for people.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// When something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For differences.
    pub at: Instant,
    /// For showing; may jump.
    pub wall: Timestamp,
}

impl Moment {
    /// Now, by both clocks. For the rooms that do I/O; the pure ones get it as an argument.
    #[must_use]
    pub fn now() -> Self {
        Self {
            at: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    /// How long `self` lies before `now`; zero if it does not.
    #[must_use]
    pub fn age(&self, now: Self) -> Duration {
        now.at.saturating_duration_since(self.at)
    }

    /// Both clocks `by` later.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self {
            at: self.at + by,
            wall: self.wall.checked_add(by).unwrap_or(self.wall),
        }
    }
}
