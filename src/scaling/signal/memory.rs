//! The memory of an object from one evaluation to the next, and of which object exactly.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    kafka::{Address, Topics},
    lag::Moment,
    resources::Remembered,
    scaling::{Activity, Bound, Evaluation, Live, Plan, Recalled, signal::failures::Failures},
    triggers::{Kafka, Limitation},
};

/// The memory of an object from one evaluation to the next.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(in crate::scaling) triggers: TriggerMemories,
    /// The live maxReplicas and since when it is that.
    live_max: Option<(i32, Moment)>,
    polled: Option<Polled>,
    /// When the next poll is, where it will find another thing than the last one.
    poll_due: Option<Instant>,
    /// The result of the formula of a generation over the last whole reading, in thousandths.
    pub(in crate::scaling) composite: Option<(Option<i64>, i64)>,
}

/// The last poll of an object: KEDA looks once per polling interval, and at once after a change.
#[derive(Clone, Debug)]
struct Polled {
    activity: Activity,
    at: Moment,
    generation: Option<i64>,
}

/// Memory of one trigger.
#[derive(Clone, Debug, Default)]
pub(in crate::scaling) struct TriggerMemory {
    of: Identity,
    pub(in crate::scaling) bound: Bound,
    /// The last complete reading.
    pub(in crate::scaling) complete: Option<Complete>,
    pub(in crate::scaling) failures: Failures,
    /// The commits that the status remembers, as of this text of it.
    pub(in crate::scaling) recalled: Recalled,
    recalled_from: Option<Remembered>,
    /// Under `useCachedMetrics`: the lag of the last poll with the time of its reading, and when that poll was.
    cached: Option<((i64, Moment), Moment)>,
}

/// Memories of triggers by their place in the object. Most objects have one trigger; a tree would take the room of eleven.
#[derive(Clone, Debug, Default)]
pub(in crate::scaling) struct TriggerMemories(Vec<Option<Box<TriggerMemory>>>);

impl TriggerMemories {
    pub(in crate::scaling) fn get(&self, index: usize) -> Option<&TriggerMemory> {
        self.0.get(index)?.as_deref()
    }

    /// The memory of a trigger; a fresh one where there is none.
    pub(in crate::scaling) fn entry(&mut self, index: usize) -> &mut TriggerMemory {
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index].get_or_insert_default()
    }

    /// Forgets triggers that are there no more.
    pub(in crate::scaling) fn truncate(&mut self, triggers: usize) {
        self.0.truncate(triggers);
        self.0.shrink_to_fit();
    }
}

/// A reading that nothing was missing from.
#[derive(Clone, Copy, Debug)]
pub(in crate::scaling) struct Complete {
    pub(in crate::scaling) lag: i64,
    pub(in crate::scaling) activation: i64,
    /// When it was evaluated last.
    pub(in crate::scaling) at: Moment,
}

impl TriggerMemory {
    /// The lag of the last poll; `fresh` once that is a polling interval ago.
    pub(in crate::scaling) fn cached(
        &mut self,
        fresh: (i64, Moment),
        every: Duration,
        now: Moment,
    ) -> (i64, Moment) {
        match self.cached {
            Some((lag, polled)) if polled.age(now) < every => lag,
            _ => {
                self.cached = Some((fresh, now));
                fresh
            }
        }
    }
}

/// The subject of a memory: with another topic in the same place, nothing of it counts any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Identity {
    bootstrap: Arc<[Address]>,
    group: Arc<str>,
    topics: Topics,
    partitions: Option<Arc<Limitation>>,
}

impl Identity {
    fn of(kafka: &Kafka) -> Self {
        Self {
            bootstrap: kafka.bootstrap.clone(),
            group: kafka.group.clone(),
            topics: kafka.topics.clone(),
            partitions: kafka.partitions.clone(),
        }
    }
}

impl Memory {
    /// The memory of a replica that begins to write: of failures it counted itself, or those the status tells, the more.
    #[must_use]
    pub fn taken_over(mut self, plan: &Plan) -> Self {
        let known = self.triggers.0.iter_mut().zip(&plan.triggers);
        for (known, trigger) in known {
            if let Some((known, source)) = known.as_deref_mut().zip(trigger.kafka()) {
                let restored = Failures::restored(plan, &source.metric);
                known.failures = known.failures.or_more(restored);
            }
        }
        self
    }

    /// How many partitions the trigger at `index` may read; `None` while that is not known.
    pub(in crate::scaling) fn partitions(&self, index: usize) -> Option<i64> {
        self.triggers.get(index)?.bound.value()
    }

    /// When the trigger at `index` was last read completely; `None`: not yet.
    pub(in crate::scaling) fn complete_at(&self, index: usize) -> Option<Moment> {
        let complete = self.triggers.get(index)?.complete?;
        Some(complete.at)
    }

    /// The memory of the trigger at `index`; a fresh one where that is another trigger than it was.
    pub(in crate::scaling) fn of(
        &mut self,
        index: usize,
        kafka: &Kafka,
        plan: &Plan,
        metric: &str,
    ) -> &mut TriggerMemory {
        let known = self.triggers.entry(index);
        let of = Identity::of(kafka);
        if known.of != of {
            *known = TriggerMemory {
                of,
                failures: Failures::restored(plan, metric),
                ..TriggerMemory::default()
            };
        }
        let status = plan.object.status.as_ref();
        let remembered = status.and_then(|s| s.remembered.get(metric));
        if known.recalled_from.as_ref() != remembered {
            known.recalled_from = remembered.cloned();
            known.recalled = Recalled::restored(plan, kafka, metric);
        }
        known
    }

    /// Whether there is work, as the last poll found, and when that was. Nothing is remembered of a poll that found out
    /// nothing, and none stands for what is not known now. That a poll found nothing to do does not count beside a reading that
    /// has something.
    pub fn activity(
        &mut self,
        plan: &Plan,
        evaluation: &Evaluation,
        now: Moment,
    ) -> (Activity, Moment) {
        let found = Activity::of(plan, evaluation);
        if found == Activity::Unknown || !evaluation.polled {
            return (found, now);
        }
        let generation = plan.object.metadata.generation;
        self.poll_due = None;
        match &self.polled {
            Some(polled)
                if polled.generation == generation && polled.at.age(now) < plan.polling =>
            {
                if polled.activity != found {
                    self.poll_due = Some(polled.at.at + plan.polling);
                }
                let stirs = polled.activity == Activity::Idle && found != Activity::Idle;
                let activity = if stirs {
                    Activity::Stirring
                } else {
                    polled.activity.clone()
                };
                (activity, polled.at)
            }
            _ => {
                self.polled = Some(Polled {
                    activity: found.clone(),
                    at: now,
                    generation,
                });
                (found, now)
            }
        }
    }

    /// When the next poll is, where it will find another thing than the last one.
    #[must_use]
    pub fn poll_due(&self) -> Option<Instant> {
        self.poll_due
    }

    /// When the lag of the last poll is replaced, where a trigger goes by that.
    pub(in crate::scaling) fn cached_until(&self, plan: &Plan, index: usize) -> Option<Instant> {
        plan.triggers.get(index).filter(|t| t.cached)?;
        let known = self.triggers.get(index)?;
        known.cached.map(|(_, polled)| polled.at + plan.polling)
    }

    /// When the live maxReplicas has been what it is for this long.
    pub(in crate::scaling) fn max_settles_at(&self, long: Duration) -> Option<Instant> {
        self.live_max.map(|(_, since)| since.at + long)
    }

    /// The live maxReplicas once it has been the wanted one for this long.
    pub(in crate::scaling) fn settled_max(
        &mut self,
        live: Option<&Live>,
        wanted: i32,
        long: Duration,
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
        (max == wanted && since.age(now) >= long).then_some(max)
    }
}
