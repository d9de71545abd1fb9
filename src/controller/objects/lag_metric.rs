//! The record of one LagMetric: its plan, what it serves, and when its status is written.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use super::{keys::ObjectKey, planned::Planned, stillness::Stillness};
use crate::{
    lag::Moment,
    resources::{LagMetric, LagMetricStatus},
    scaling::{Due, Evaluation, lag_metric, remember, table::Entry},
    snapshot::Snapshots,
};

/// A status that could not be written is tried again after this. A first one waits as long for an answer.
const RETRY: Duration = Duration::from_secs(10);

/// The engine's record of one LagMetric.
pub(super) struct LagMetricRecord {
    pub(super) planned: Planned,
    metric: Arc<LagMetric>,
    written: Option<(LagMetricStatus, Instant)>,
    writing: bool,
    retry_at: Option<Instant>,
    stillness: Stillness,
}

/// A status that is to be written.
pub(in crate::controller) struct StatusWrite {
    pub(in crate::controller) key: ObjectKey,
    pub(in crate::controller) metric: Arc<LagMetric>,
    /// The status before, as far as it is known.
    pub(in crate::controller) known: LagMetricStatus,
    pub(in crate::controller) status: LagMetricStatus,
}

/// The result of writing a status.
pub(in crate::controller) struct StatusWritten {
    pub(in crate::controller) key: ObjectKey,
    pub(in crate::controller) uid: Option<String>,
    pub(in crate::controller) result: Result<(), String>,
}

impl LagMetricRecord {
    pub(super) fn new(metric: Arc<LagMetric>, planned: Planned) -> Self {
        Self {
            planned,
            metric,
            written: None,
            writing: false,
            retry_at: None,
            stillness: Stillness::default(),
        }
    }

    /// Goes on with a newer version.
    pub(super) fn adopt(&mut self, metric: Arc<LagMetric>) {
        if self.metric.spec != metric.spec {
            self.retry_at = None;
        }
        self.metric = metric;
    }

    /// Begins to write: what another wrote is in the status.
    pub(super) fn take_over(&mut self) {
        (self.written, self.writing, self.retry_at) = (None, false, None);
    }

    /// The entries that the API serves of it.
    pub(super) fn entries(&self, evaluation: &Evaluation) -> Vec<Entry> {
        lag_metric::items(&self.metric, &self.planned.plan, evaluation)
    }

    /// The status that is to be written now, if any; it counts as written from now on.
    fn write(
        &mut self,
        key: &ObjectKey,
        (evaluation, snapshots): (&Evaluation, &Snapshots),
        now: Moment,
    ) -> Option<StatusWrite> {
        let due = self.retry_at.is_none_or(|at| now.at >= at);
        let waited = now.at.saturating_duration_since(self.planned.since);
        if self.writing || !due || !evaluation.answered && waited < RETRY {
            return None;
        }
        let (plan, memory) = (&self.planned.plan, &self.planned.memory);
        let stored = self.metric.status.clone().unwrap_or_default();
        let stands = evaluation.is_read().then(|| remember(plan, snapshots));
        let stands = stands.and_then(|stands| self.stillness.note(stands, now.at).cloned());
        let (known, age) = match &self.written {
            Some((written, at)) => (written, Some(now.at.saturating_duration_since(*at))),
            None => (&stored, age_of(&stored, now.wall)),
        };
        let remembered = stands.unwrap_or_else(|| known.remembered.clone());
        let next = lag_metric::status(&self.metric, plan, evaluation, (memory, remembered));
        if !lag_metric::is_worth_a_write(known, &next, age) {
            return None;
        }
        let known = known.clone();
        self.writing = true;
        self.written = Some((next.clone(), now.at));
        Some(StatusWrite {
            key: key.clone(),
            metric: self.metric.clone(),
            known,
            status: next,
        })
    }

    /// The status that is to be written now, if this replica `leads`.
    pub(super) fn work(
        &mut self,
        key: &ObjectKey,
        (evaluation, snapshots): (&Evaluation, &Snapshots),
        leads: bool,
        now: Moment,
    ) -> Option<StatusWrite> {
        let known = (evaluation, snapshots);
        let write = leads.then(|| self.write(key, known, now)).flatten();
        let mut due = Due::after(now);
        due.at(evaluation.due);
        due.at(self.retry_at);
        let written = self.written.as_ref();
        due.at(written.map(|(_, at)| *at + lag_metric::NUMBERS));
        due.at(self.stillness.due().filter(|at| *at > now.at));
        self.planned.rest_until(due.next(), now.at);
        write
    }

    /// Takes note of a status that was written, or was not.
    pub(super) fn settle(&mut self, written: StatusWritten, now: Instant) {
        if self.planned.plan.object.metadata.uid != written.uid {
            return;
        }
        (self.writing, self.retry_at) = (false, None);
        if let Err(error) = written.result {
            let (namespace, name) = (&written.key.namespace, &written.key.name);
            tracing::warn!(%error, %namespace, %name, "cannot write the status of a LagMetric");
            self.written = None;
            self.retry_at = Some(now + RETRY);
        }
    }
}

/// After a restart the time of the reading stands for the time of the write.
fn age_of(status: &LagMetricStatus, now: Timestamp) -> Option<Duration> {
    let read = status.last_read_time.as_ref()?;
    let read: Timestamp = read.parse().ok()?;
    let age: SignedDuration = now.duration_since(read);
    Some(Duration::try_from(age).unwrap_or_default())
}
