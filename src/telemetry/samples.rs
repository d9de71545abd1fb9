//! What `/metrics` reads of each object: the last evaluation, and the picture of its groups.

use std::{sync::Arc, time::Instant};

use crate::{
    poll::GroupPicture,
    scaling::{Evaluation, Plan, Source},
    sharded::Sharded,
    triggers::Kafka,
};

/// The samples of all objects, by namespace and name with a slash between.
pub type Samples = Sharded<Arc<ObjectSample>>;

/// One object.
#[derive(Clone, Debug)]
pub struct ObjectSample {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) paused: bool,
    pub(super) max: i32,
    /// The types of its triggers.
    pub(super) kinds: Vec<String>,
    pub(super) metrics: Vec<MetricSample>,
}

/// One metric of one object.
#[derive(Clone, Debug)]
pub struct MetricSample {
    pub(super) index: usize,
    pub(super) name: Arc<str>,
    /// `kafka` or `apache-kafka`.
    pub(super) kind: String,
    /// The trigger's own name; empty without one.
    pub(super) trigger: Arc<str>,
    pub(super) kafka: Arc<Kafka>,
    pub(super) cluster: Arc<str>,
    pub(super) group: Option<Arc<GroupPicture>>,
    /// True lag, value served, when it was read; `None` while it is withheld.
    pub(super) value: Option<(i64, i64, Instant)>,
    pub(super) active: bool,
    pub(super) partial: bool,
    /// Sample intervals in which it was withheld, since the process began to look at it.
    pub(super) errors: u64,
    counted: Option<Instant>,
}

impl ObjectSample {
    /// Of an evaluated object; `before` is its last sample, `group` finds the picture of a trigger's group.
    pub fn of(
        plan: &Plan,
        evaluation: &Evaluation,
        before: Option<&Self>,
        group: impl Fn(&Source) -> Option<Arc<GroupPicture>>,
    ) -> Self {
        let metrics = evaluation.metrics.iter().filter_map(|metric| {
            let planned = plan.triggers.get(metric.index)?;
            let source = planned.source.as_ref().ok()?;
            let Source::Kafka { kafka, cluster, .. } = source else {
                return None;
            };
            let last = before.and_then(|b| b.metrics.iter().find(|m| m.index == metric.index));
            let value = metric.value.as_ref().ok();
            let mut sample = MetricSample {
                index: metric.index,
                name: metric.name.clone(),
                kind: planned.kind.clone(),
                trigger: planned.name.clone(),
                kafka: kafka.clone(),
                cluster: match last.filter(|l| l.kafka.bootstrap == kafka.bootstrap) {
                    Some(last) => last.cluster.clone(),
                    None => cluster.to_string().into(),
                },
                group: group(source),
                value: value.map(|v| (v.lag, v.served, v.at.at)),
                active: metric.active,
                partial: metric.partial.is_some(),
                errors: last.map_or(0, |l| l.errors),
                counted: last.and_then(|l| l.counted),
            };
            if value.is_none() {
                let due = |at: Instant| at.elapsed() >= plan.sample_interval();
                if sample.counted.is_none_or(due) {
                    sample.errors += 1;
                    sample.counted = Some(Instant::now());
                }
            }
            Some(sample)
        });
        Self {
            namespace: plan.namespace.clone(),
            name: plan.name.clone(),
            paused: plan.pause.whole,
            max: evaluation.max,
            kinds: plan.triggers.iter().map(|t| t.kind.clone()).collect(),
            metrics: metrics.collect(),
        }
    }
}
