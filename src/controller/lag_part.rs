//! A LagMetric in the engine: what an object's record has of it.

use std::{sync::Arc, time::Instant};

use super::keys::ObjectKey;
use crate::resources::{LagMetric, LagMetricStatus};

/// A LagMetric's own part of an object's record.
pub(super) struct LagPart {
    pub(super) metric: Arc<LagMetric>,
    pub(super) told: Option<(LagMetricStatus, Instant)>,
    pub(super) working: bool,
    pub(super) retry_at: Option<Instant>,
}

/// What came of writing a status.
pub(super) struct Told {
    pub(super) key: ObjectKey,
    pub(super) uid: Option<String>,
    pub(super) written: Result<(), String>,
}

impl LagPart {
    pub(super) fn new(metric: Arc<LagMetric>) -> Self {
        Self {
            metric,
            told: None,
            working: false,
            retry_at: None,
        }
    }

    /// State after becoming leader.
    pub(super) fn taken_over(self) -> Self {
        Self::new(self.metric)
    }

    /// Goes on with a newer version.
    pub(super) fn adopt(&mut self, metric: Arc<LagMetric>) {
        if self.metric.spec != metric.spec {
            self.retry_at = None;
        }
        self.metric = metric;
    }
}
