//! The part that the records of both kinds share: the plan, and what evaluating it leaves behind.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use super::origins::Origins;
use crate::scaling::{Memory, Plan, table::Entry};

/// A planned object.
pub(super) struct Planned {
    pub(super) plan: Arc<Plan>,
    /// `None` where the object has named other Secrets since: an old credential is no previous value of a new one.
    pub(super) origins: Option<Origins>,
    pub(super) memory: Memory,
    /// What the API serves of it.
    pub(super) entries: Vec<Entry>,
    /// When it was first planned.
    pub(super) since: Instant,
}

impl Planned {
    pub(super) fn new(plan: Arc<Plan>, now: Instant) -> Self {
        Self {
            plan,
            origins: None,
            memory: Memory::default(),
            entries: Vec::new(),
            since: now,
        }
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
