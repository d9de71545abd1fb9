//! Where the groups of a LagMetric stand, once they have stood there for a while: somebody's HPA may have its workload at zero then, and
//! brokers forget the commits of a group without members.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::resources::Remembered;

/// Groups that commit are not written down; those that have not for this long are.
const STILL: Duration = Duration::from_secs(60);

/// The last change of where groups stand.
#[derive(Default)]
pub(super) struct Stillness(Option<(BTreeMap<String, Remembered>, Instant)>);

impl Stillness {
    /// Takes note of where the groups stand; returns that once it has been so for long enough.
    pub(super) fn note(
        &mut self,
        stand: BTreeMap<String, Remembered>,
        now: Instant,
    ) -> Option<&BTreeMap<String, Remembered>> {
        match &self.0 {
            Some((before, _)) if *before == stand => {}
            _ => self.0 = Some((stand, now)),
        }
        let (stand, since) = self.0.as_ref()?;
        (now.saturating_duration_since(*since) >= STILL && !stand.is_empty()).then_some(stand)
    }

    /// When that will be so, if nothing moves.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.as_ref().map(|(_, since)| *since + STILL)
    }
}
