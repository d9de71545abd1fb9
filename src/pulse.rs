//! The engine's pulse: when its last turn ended. Values of an engine that stands still are not served, its Lease is not
//! renewed, and its process is ended by the kubelet. By a clock that goes on while the process is frozen.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;

/// Shared by the engine, which beats, and all that ask how long ago that was.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<watch::Sender<Option<Instant>>>);

impl Default for Pulse {
    /// Before the first turn: nothing is known of objects then, and nothing is late.
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Pulse {
    /// A turn of the engine ended at `now`.
    pub fn beat(&self, now: Instant) {
        self.0.send_replace(Some(now));
    }

    /// How long before `now` the last turn ended; zero before the first one.
    #[must_use]
    pub fn age(&self, now: Instant) -> Duration {
        let last = *self.0.borrow();
        last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_of_the_last_turn_and_zero_before_the_first() {
        let (pulse, begun) = (Pulse::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(pulse.age(at(100)), Duration::ZERO);
        pulse.beat(at(10));
        pulse.beat(at(20));
        assert_eq!(pulse.clone().age(at(50)), Duration::from_secs(30));
        assert_eq!(pulse.age(at(15)), Duration::ZERO);
    }
}
