//! Where evaluated objects are published: the table of the external metrics API, and the samples that `/metrics` reads.

use std::sync::Arc;

use super::keys::{Kind, ObjectKey};
use crate::{
    scaling::{
        Evaluation, Plan, Shadow,
        table::{Entry, Table},
    },
    snapshot::Snapshots,
    telemetry::{Counts, ObjectSample, Samples, sample_key},
    triggers::Kafka,
};

/// The places that others read.
pub(in crate::controller) struct Published {
    pub(in crate::controller) table: Arc<Table>,
    pub(in crate::controller) samples: Arc<Samples>,
    pub(in crate::controller) counts: Counts,
}

impl Published {
    /// Serves `after` of an object in place of `before`.
    pub(super) fn serve(&self, key: &ObjectKey, before: &mut Vec<Entry>, after: Vec<Entry>) {
        self.table.replace(&key.namespace, before, &after);
        *before = after;
    }

    /// Shows what an evaluation of a ScaledObject came to.
    pub(super) fn show(
        &self,
        key: &ObjectKey,
        plan: &Arc<Plan>,
        (evaluation, shadow): (&Evaluation, Option<&Shadow>),
        snapshots: &Snapshots,
    ) {
        let place = place(key);
        let before = self.samples.get(&place);
        let group = |cluster: &_, kafka: &Kafka| snapshots.group(cluster, &kafka.group).cloned();
        let told = (evaluation, shadow);
        let sample = ObjectSample::of(plan, told, before.as_deref(), group);
        self.samples.set(&place, Some(sample.into()));
        self.counts.evaluated(outcome_of(plan, evaluation));
    }

    /// Takes back everything of an object.
    pub(super) fn withdraw(&self, key: &ObjectKey, entries: &[Entry]) {
        self.table.replace(&key.namespace, entries, &[]);
        if key.kind == Kind::ScaledObject {
            self.samples.set(&place(key), None);
        }
    }
}

fn place(key: &ObjectKey) -> String {
    sample_key(&key.namespace, &key.name)
}

/// The outcome of an evaluation, in a word.
fn outcome_of(plan: &Plan, evaluation: &Evaluation) -> &'static str {
    if plan.problem.is_some() || plan.triggers.iter().any(|t| t.source.is_err()) {
        "problem"
    } else if evaluation.fails() {
        "withheld"
    } else if evaluation.falls_back() {
        "fallback"
    } else if evaluation.metrics.iter().any(|m| m.partial.is_some()) {
        "partial"
    } else {
        "served"
    }
}
