//! An evaluated object as plain data: each metric with its value or why it is withheld, and what evaluating takes.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{lag::Moment, scaling::Live, snapshot::Trouble};

/// Settings that all objects share.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Age at which a reading is no longer served: longer than a broker failover.
    pub max_sample_age: Duration,
    /// The controller manager's `--horizontal-pod-autoscaler-tolerance`, in thousandths.
    pub tolerance_milli: i64,
    /// `true` where an outage, which passes by itself, makes an object not ready too.
    pub ready_follows_outages: bool,
}

/// The surroundings of an object, as watched.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Its HPA.
    pub live: Option<Live>,
    /// `spec.replicas` of the workload.
    pub replicas: Option<i32>,
    /// Pods of it that are ready; read only where a total has to be divided by them.
    pub ready: Option<i32>,
}

/// An evaluated object.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The metrics of every trigger that has an external one, in trigger order.
    pub metrics: Vec<Metric>,
    /// The formula's, where there is one.
    pub composite: Option<Composite>,
    /// The maxReplicas that the HPA is to have.
    pub max: i32,
    /// The first poll of each of its groups has finished, failed or timed out.
    pub polled: bool,
    /// Nothing is withheld merely because no answer has come yet.
    pub answered: bool,
    /// Something has never been read, for trouble that may pass by itself.
    pub unread: bool,
    /// Triggers whose credential has read everything with its new value: the former one is not needed any more.
    pub renewed: BTreeSet<usize>,
    /// When time alone makes another evaluation of it; `None`: never.
    pub due: Option<Instant>,
}

impl Evaluation {
    /// Whether a metric is withheld and nothing stands in for it.
    #[must_use]
    pub fn fails(&self) -> bool {
        let metric = |m: &Metric| m.value.is_err() && m.fallback.is_none();
        let composite = self.composite.as_ref();
        composite.is_some_and(|c| c.value.is_err()) || self.metrics.iter().any(metric)
    }

    /// Every metric is read, and nothing of it is missing.
    #[must_use]
    pub fn is_read(&self) -> bool {
        let mut metrics = self.metrics.iter();
        metrics.all(|m| m.value.is_ok() && m.partial.is_none())
    }

    /// Everything is known and whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.answered && self.is_read() && !self.fails()
    }

    /// Whether something is served that stands in for a metric.
    #[must_use]
    pub fn falls_back(&self) -> bool {
        self.metrics.iter().any(|m| m.fallback.is_some())
    }
}

/// One external metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// The trigger's place in the object.
    pub index: usize,
    /// Its name.
    pub name: Arc<str>,
    /// The value that is served.
    pub value: Result<Value, Trouble>,
    /// Whether what could be read is above the activation threshold: a part of it is enough to wake a workload.
    pub active: bool,
    /// The value of a fallback while its own is withheld, in thousandths.
    pub fallback: Option<i64>,
    /// Failures as the status tells them; `None` where no fallback is asked for.
    pub failures: Option<i32>,
    /// Something could not be read; the value stands on older pairs.
    pub partial: Option<Trouble>,
    /// Commits or records that are lost; the value takes them into account.
    pub notice: Option<String>,
}

/// A value and the reading behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// The value that the HPA is told, in thousandths.
    pub served_milli: i64,
    /// The value that a formula counts with, in thousandths: cut, never lifted.
    pub cut_milli: i64,
    /// The true lag in records; of a cron trigger the replicas it asks for.
    pub lag: i64,
    /// When it was read.
    pub at: Moment,
}

impl Value {
    /// A value in whole numbers: the lag, what is left of it after the cut, and what the HPA is told.
    #[must_use]
    pub fn of_records(lag: i64, cut: i64, served: i64, at: Moment) -> Self {
        Self {
            served_milli: served.saturating_mul(1000),
            cut_milli: cut.saturating_mul(1000),
            lag,
            at,
        }
    }
}

/// A number given in thousandths, as formulas and Prometheus take it; whole numbers to 2^53 are exact.
#[must_use]
#[allow(
    clippy::cast_precision_loss,
    reason = "formulas compute in floats, as KEDA's do"
)]
pub fn from_milli(milli: i64) -> f64 {
    (milli / 1000) as f64 + (milli % 1000) as f64 / 1000.0
}

/// The result of a formula.
#[derive(Clone, Debug)]
pub struct Composite {
    /// In thousandths, 0 or more, with the time of the oldest reading behind it.
    pub value: Result<(i64, Option<Moment>), Trouble>,
    /// Above the activation target.
    pub active: bool,
}
