//! The sample of each object that `/metrics` reads: its plan, the last evaluation, and the snapshots of its groups. What follows from them
//! is worked out at a scrape.

use std::{sync::Arc, time::Instant};

use crate::{
    scaling::{Evaluation, Plan, PlannedTrigger, Shadow, from_milli},
    sharded::Sharded,
    snapshot::{ClusterKey, GroupSnapshot},
    triggers::Kafka,
};

/// The samples of all objects, by namespace and name with a slash between.
pub type Samples = Sharded<Arc<ObjectSample>>;

/// The key of an object's sample.
#[must_use]
pub fn sample_key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// One object.
#[derive(Clone, Debug)]
pub struct ObjectSample {
    pub(super) plan: Arc<Plan>,
    pub(super) max: i32,
    metrics: Vec<MetricSample>,
}

/// One metric of one object.
#[derive(Clone, Debug)]
pub struct MetricSample {
    /// The place of its trigger, which asks Kafka.
    pub(super) index: usize,
    pub(super) name: Arc<str>,
    pub(super) group: Option<Arc<GroupSnapshot>>,
    /// True lag, value served, when it was read; `None` while it is withheld.
    pub(super) value: Option<(i64, f64, Instant)>,
    pub(super) active: bool,
    pub(super) partial: bool,
    /// The HPA's own value and whether it differs, where lagscale is a shadow.
    pub(super) shadow: Option<(Option<i64>, bool)>,
    /// Sample intervals in which it was withheld, since the process began to look at it.
    pub(super) errors: u64,
    counted: Option<Instant>,
}

/// A metric with what its object says of it.
pub(super) struct Told<'a> {
    pub object: &'a ObjectSample,
    pub metric: &'a MetricSample,
    pub trigger: &'a PlannedTrigger,
    pub kafka: &'a Kafka,
    pub cluster: &'a ClusterKey,
}

impl ObjectSample {
    /// The sample of an evaluated object, of a shadow with what its HPA was told; `before` is its last sample, `group` finds the snapshot of a trigger's group.
    pub fn of(
        plan: &Arc<Plan>,
        (evaluation, shadow): (&Evaluation, Option<&Shadow>),
        before: Option<&Self>,
        group: impl Fn(&ClusterKey, &Kafka) -> Option<Arc<GroupSnapshot>>,
    ) -> Self {
        let metrics = evaluation.metrics.iter().filter_map(|metric| {
            let (kafka, cluster) = asks(plan.triggers.get(metric.index)?)?;
            let last = before.and_then(|b| b.metrics.iter().find(|m| m.index == metric.index));
            let value = metric.value.as_ref().ok();
            let mut sample = MetricSample {
                index: metric.index,
                name: metric.name.clone(),
                group: group(cluster, kafka),
                value: value.map(|v| (v.lag, from_milli(v.served_milli), v.at.at)),
                active: metric.active,
                partial: metric.partial.is_some(),
                shadow: shadow.and_then(|shadow| shadow.of(&metric.name)),
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
            plan: plan.clone(),
            max: evaluation.max,
            metrics: metrics.collect(),
        }
    }

    /// The metrics that ask Kafka: name, and true lag and value served unless that is withheld.
    pub fn values(&self) -> impl Iterator<Item = (Arc<str>, Option<(i64, f64)>)> {
        let known = |value: (i64, f64, Instant)| (value.0, value.1);
        let metrics = self.metrics.iter();
        metrics.map(move |metric| (metric.name.clone(), metric.value.map(known)))
    }

    /// Its metrics, each with its trigger.
    pub(super) fn metrics(&self) -> impl Iterator<Item = Told<'_>> {
        self.metrics.iter().filter_map(|metric| {
            let trigger = self.plan.triggers.get(metric.index)?;
            let (kafka, cluster) = asks(trigger)?;
            Some(Told {
                object: self,
                metric,
                trigger,
                kafka,
                cluster,
            })
        })
    }
}

/// The question of a trigger to Kafka, and the cluster it goes to, if it asks any.
fn asks(trigger: &PlannedTrigger) -> Option<(&Kafka, &ClusterKey)> {
    let source = trigger.kafka()?;
    Some((&source.kafka, &source.cluster))
}
