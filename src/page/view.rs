//! The data of the page: a row for every object, and one object whole.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};
use serde::Serialize;

use super::history::{History, Point};
use crate::{
    controller::Questions,
    overview::{Metric, Row, rows},
    quantity::format_milli,
    resources::ScaledObject,
    scaling::{
        Explanation, hpa_name,
        table::{Entry, Outcome, Owner, Table},
    },
    telemetry::{Offsets, Samples, read_by, sample_key},
};

/// Partitions that are drawn: those with the largest lags, where there are more.
const PARTITIONS: usize = 500;

/// The places that the page reads.
pub struct Sources {
    /// The ScaledObjects.
    pub objects: Store<ScaledObject>,
    /// Their HPAs.
    pub hpas: Store<HorizontalPodAutoscaler>,
    /// The values that are served.
    pub table: Arc<Table>,
    /// The last sample of each object.
    pub samples: Arc<Samples>,
    /// Where an object's explanation is asked for.
    pub questions: Questions,
}

/// One object.
#[derive(Serialize)]
pub(super) struct Detail {
    row: Row,
    /// Seconds between two points of the history.
    every: u64,
    history: Option<History>,
    explanation: Option<Explanation>,
    topics: Vec<GroupOnTopic>,
}

/// The partitions of a topic, as a group stands on them.
#[derive(Serialize)]
struct GroupOnTopic {
    cluster: String,
    group: String,
    topic: String,
    /// How many there are, of which not all may be told.
    count: usize,
    partitions: Vec<Offsets>,
}

impl Sources {
    /// A row for each object, by namespace and name.
    pub(super) fn rows(&self, now: Timestamp) -> Vec<Row> {
        let listed = self.table.list(None);
        let metrics = listed.iter().filter_map(|(n, entry)| metric(n, entry));
        let (objects, hpas) = (self.objects.state(), self.hpas.state());
        let mut rows = rows(&objects, &hpas, &metrics.collect::<Vec<_>>(), now);
        rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        rows
    }

    /// Every object as it is now.
    pub(super) fn points(&self) -> impl Iterator<Item = (String, Point)> {
        self.objects.state().into_iter().map(|object| {
            let place = sample_key(&object.namespace().unwrap_or_default(), &object.name_any());
            let hpa = self.hpa(&object);
            let hpa = hpa.as_deref();
            let sample = self.samples.get(&place);
            let bound = hpa.and_then(|hpa| Some(hpa.spec.as_ref()?.max_replicas));
            let values = sample.iter().flat_map(|s| s.values()).collect();
            let replicas = hpa.and_then(|hpa| hpa.status.as_ref()?.current_replicas);
            let point = Point {
                replicas,
                bound,
                values,
            };
            (place, point)
        })
    }

    /// One object with its `history`; nothing where there is none of this name.
    pub(super) async fn detail(
        &self,
        (namespace, name): (&str, &str),
        (every, history): (u64, Option<History>),
    ) -> Option<Detail> {
        let object = self.objects.get(&ObjectRef::new(name).within(namespace))?;
        let hpa = self.hpa(&object);
        let listed = self.table.list(Some(namespace));
        let metrics = listed.iter().filter_map(|(n, entry)| metric(n, entry));
        let metrics: Vec<Metric> = metrics.filter(|m| m.object == name).collect();
        let hpas: Vec<_> = hpa.into_iter().collect();
        let row = rows(&[object], &hpas, &metrics, Timestamp::now()).pop()?;
        let sample = self.samples.get(&sample_key(namespace, name));
        let topics = sample.iter().flat_map(|sample| read_by(sample));
        let topics = topics.map(|((cluster, group, topic), partitions)| GroupOnTopic {
            cluster,
            group: group.to_owned(),
            topic: topic.to_owned(),
            count: partitions.len(),
            partitions: largest(partitions),
        });
        let topics = topics.collect();
        Some(Detail {
            row,
            every,
            history,
            explanation: self.questions.explain(namespace, name).await,
            topics,
        })
    }

    fn hpa(&self, object: &ScaledObject) -> Option<Arc<HorizontalPodAutoscaler>> {
        let namespace = object.namespace().unwrap_or_default();
        self.hpas
            .get(&ObjectRef::new(&hpa_name(object)).within(&namespace))
    }
}

/// The metric of a ScaledObject.
fn metric(namespace: &str, entry: &Entry) -> Option<Metric> {
    let Owner::ScaledObject(object) = &entry.owner else {
        return None;
    };
    let (value, read, withheld) = match &entry.outcome {
        Outcome::Value { milli, at } => (Some(format_milli(*milli)), Some(*at), String::new()),
        Outcome::Withheld(why) => (None, None, why.to_string()),
    };
    Some(Metric {
        namespace: namespace.to_owned(),
        object: object.to_string(),
        name: entry.metric.to_string(),
        value,
        withheld,
        read,
    })
}

/// The partitions with the largest lags, in order of their ids.
fn largest(mut partitions: Vec<Offsets>) -> Vec<Offsets> {
    partitions.sort_by_key(|p| std::cmp::Reverse(p.lag));
    partitions.truncate(PARTITIONS);
    partitions.sort_by_key(|p| p.partition);
    partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_partitions_those_with_the_largest_lags_are_told_by_id() {
        let partition = |id: i32| Offsets {
            partition: id,
            committed: Some(0),
            start: None,
            end: 0,
            lag: i64::from(id % 1_000),
        };
        let told = largest((0..2_000).map(partition).collect());
        assert_eq!(told.len(), PARTITIONS);
        assert!(told.is_sorted_by_key(|p| p.partition));
        assert!(told.iter().all(|p| p.lag >= 750), "250 of either thousand");
    }
}
