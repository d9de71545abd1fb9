//! Failures of a metric in a row, and the replicas that its owner asks for after too many. A total outage counts like any failure,
//! once per polling interval.

use std::time::Duration;

use crate::{lag::Moment, resources::Fallback, scaling::Plan};

/// Failures of one metric in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::scaling) struct Failures {
    count: i32,
    counted: Option<Moment>,
}

impl Failures {
    /// As a status tells them, after a restart.
    pub(in crate::scaling) fn restored(plan: &Plan, metric: &str) -> Self {
        let status = plan.object.status.as_ref();
        let health = status.and_then(|s| s.health.get(metric));
        Self {
            count: health.map_or(0, |h| h.number_of_failures.max(0)),
            counted: None,
        }
    }

    /// The higher one of two counts of failures.
    pub(in crate::scaling) fn or_more(self, other: Self) -> Self {
        if other.count > self.count {
            other
        } else {
            self
        }
    }

    /// Takes what is known now.
    pub(in crate::scaling) fn take(&mut self, failed: bool, every: Duration, now: Moment) {
        if !failed {
            *self = Self::default();
        } else if self.counted.is_none_or(|at| at.age(now) >= every) {
            self.count = self.count.saturating_add(1);
            self.counted = Some(now);
        }
    }

    /// The number as a status tells it: the first, then whether the threshold is passed. More would be a write per poll.
    pub(in crate::scaling) fn told(&self, fallback: &Fallback) -> i32 {
        match self.count {
            0 => 0,
            count if count > fallback.failure_threshold => fallback.failure_threshold + 1,
            _ => 1,
        }
    }

    /// The replicas to ask for, if it is time to fall back. `current`: those of the workload, where known.
    pub(in crate::scaling) fn replicas(
        &self,
        fallback: &Fallback,
        current: Option<i32>,
    ) -> Option<i64> {
        // A negative threshold is refused with the object.
        if fallback.failure_threshold < 0 || self.count <= fallback.failure_threshold {
            return None;
        }
        let fixed = fallback.replicas;
        let current = current.unwrap_or(fixed);
        let replicas = match fallback.behavior.as_deref() {
            Some("currentReplicas") => current,
            Some("currentReplicasIfHigher") => current.max(fixed),
            Some("currentReplicasIfLower") => current.min(fixed),
            _ => fixed,
        };
        Some(replicas.into())
    }
}
