//! What is remembered of an object from one evaluation to the next, and of what exactly.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Bound, Live, Plan, fallback::Failures};
use crate::{kafka::Address, lag::Moment, triggers::Kafka};

/// What is remembered of an object from one evaluation to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(super) triggers: BTreeMap<usize, TriggerMemory>,
    /// The live maxReplicas and since when it is that.
    live_max: Option<(i32, Moment)>,
}

/// Of one trigger.
#[derive(Clone, Debug, Default)]
pub(super) struct TriggerMemory {
    of: Identity,
    pub(super) bound: Bound,
    /// Lag and activation of the last complete reading.
    pub(super) complete: Option<(i64, i64)>,
    pub(super) failures: Failures,
}

/// What a memory is of: with another topic in the same place, nothing of it counts any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Identity {
    bootstrap: Arc<[Address]>,
    group: Arc<str>,
    topics: Arc<[Arc<str>]>,
    partitions: Option<Vec<i32>>,
}

impl Identity {
    fn of(kafka: &Kafka) -> Self {
        Self {
            bootstrap: kafka.bootstrap.clone(),
            group: kafka.group.clone(),
            topics: kafka.topics.clone(),
            partitions: kafka
                .partitions
                .as_deref()
                .map(|p| p.iter().copied().collect()),
        }
    }
}

impl Memory {
    /// Of the trigger at `index`; anew where that is another one than it was.
    pub(super) fn of(
        &mut self,
        index: usize,
        kafka: &Kafka,
        plan: &Plan,
        metric: &str,
    ) -> &mut TriggerMemory {
        let known = self.triggers.entry(index).or_default();
        let of = Identity::of(kafka);
        if known.of != of {
            *known = TriggerMemory {
                of,
                failures: Failures::restored(plan, metric),
                ..TriggerMemory::default()
            };
        }
        known
    }

    /// The live maxReplicas once it has been the wanted one for a sample interval.
    pub(super) fn settled_max(
        &mut self,
        live: Option<&Live>,
        wanted: i32,
        interval: Duration,
        now: Moment,
    ) -> Option<i32> {
        let max = live?.max;
        let since = match self.live_max {
            Some((known, since)) if known == max => since,
            _ => {
                self.live_max = Some((max, now));
                now
            }
        };
        // A max above the wanted one cuts by itself; at or below it the lift must wait.
        (max == wanted && since.age(now) >= interval).then_some(max)
    }
}
