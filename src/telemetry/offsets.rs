//! Offsets of groups by topic or by partition, each once however many objects read it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::samples::ObjectSample;
use crate::{
    lag::{Moment, Track, sum},
    triggers::Kafka,
};

/// Cluster, group and topic.
pub type Place<'a> = (String, &'a str, &'a str);

/// One partition of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offsets {
    /// Its id.
    pub partition: i32,
    /// The committed offset; `None` without a commit: a number in its place would be added up.
    pub committed: Option<i64>,
    /// The log start offset, where it was read.
    pub start: Option<i64>,
    /// The log end offset.
    pub end: i64,
    /// The lag, in records, under the policy of the object that asks first.
    pub lag: i64,
}

/// The partitions that one object reads.
#[must_use]
pub fn read_by(object: &ObjectSample) -> BTreeMap<Place<'_>, Vec<Offsets>> {
    by_topic(std::iter::once(object))
}

/// Everything that the objects read.
pub(super) fn by_topic<'a>(
    samples: impl Iterator<Item = &'a ObjectSample>,
) -> BTreeMap<Place<'a>, Vec<Offsets>> {
    let now = Moment::now();
    let mut places = BTreeMap::new();
    for told in samples.flat_map(ObjectSample::metrics) {
        let (kafka, cluster) = (told.kafka, told.cluster.to_string());
        let Some(group) = &told.metric.group else {
            continue;
        };
        for (topic, slots) in group.topics.iter().filter(|(t, _)| kafka.topics.mean(t)) {
            places
                .entry((cluster.clone(), &*kafka.group, &**topic))
                .or_insert_with(|| {
                    let read = slots.iter();
                    let read = read.filter_map(|(id, slot)| Some((*id, slot.track.as_ref()?)));
                    read.map(|(id, track)| of(id, track, kafka, now)).collect()
                });
        }
    }
    places
}

fn of(partition: i32, track: &Track, kafka: &Kafka, now: Moment) -> Offsets {
    Offsets {
        partition,
        committed: track.committed,
        start: track.start,
        end: track.end,
        lag: sum([track], kafka.counting(), now).lag,
    }
}
