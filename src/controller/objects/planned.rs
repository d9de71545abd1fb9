//! The part that the records of both kinds share: the plan, and what evaluating it leaves behind.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use super::origins::Origins;
use crate::{
    lag::Moment,
    scaling::{Evaluation, Memory, Plan, table::Entry},
};

/// A planned object.
pub(super) struct Planned {
    pub(super) plan: Arc<Plan>,
    /// `None` where the object has named other Secrets since: an old credential is no previous value of a new one.
    pub(super) origins: Option<Origins>,
    pub(super) memory: Memory,
    /// The entries that the API serves of it.
    pub(super) entries: Vec<Entry>,
    /// When it was first planned.
    pub(super) since: Instant,
    /// When it is evaluated again although nothing has changed.
    due: Instant,
}

/// Every object is evaluated this often at least; one that reads Kafka is, whenever its group was read.
const LATEST: Duration = Duration::from_secs(10);

impl Planned {
    pub(super) fn new(plan: Arc<Plan>, now: Instant) -> Self {
        Self {
            plan,
            origins: None,
            memory: Memory::default(),
            entries: Vec::new(),
            since: now,
            due: now,
        }
    }

    /// Time has come to evaluate it although nothing has changed.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// Says when it is evaluated again.
    pub(super) fn rest_until(&mut self, next: Option<Instant>, now: Instant) {
        let latest = now + LATEST;
        self.due = next.map_or(latest, |next| next.min(latest));
    }

    /// Enough is known to act on, or an answer has been waited for long enough.
    pub(super) fn is_settled(
        &self,
        evaluation: &Evaluation,
        patience: Duration,
        now: Moment,
    ) -> bool {
        let read = evaluation.answered && !evaluation.unread;
        let known = read || self.plan.problem.is_some();
        let waited = now.at.saturating_duration_since(self.since);
        known || evaluation.polled && waited >= patience
    }

    /// Lets go of the former values of these triggers' credentials: the present ones have read everything.
    pub(super) fn drop_former(&mut self, triggers: &BTreeSet<usize>) {
        let plan = Arc::make_mut(&mut self.plan);
        for index in triggers {
            let trigger = plan.triggers.get_mut(*index);
            if let Some(source) = trigger.and_then(|t| t.kafka_mut()) {
                source.former = None;
            }
        }
    }
}
