//! Offsets of groups by topic or by partition, each once however many objects read it.

use std::collections::BTreeMap;

use super::samples::ObjectSample;
use crate::{
    lag::{Moment, Track, sum},
    triggers::Kafka,
};

/// Cluster, group and topic.
pub(super) type Place<'a> = (String, &'a str, &'a str);

/// One partition of a group.
pub(super) struct Offsets {
    pub partition: i32,
    /// `None` without a commit: a number in its place would be added up.
    pub committed: Option<i64>,
    pub start: Option<i64>,
    pub end: i64,
    pub lag: i64,
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
