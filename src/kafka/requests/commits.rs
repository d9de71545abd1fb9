//! OffsetFetch: the committed offsets of groups, as their coordinator holds them.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    ResponseError,
    messages::{
        GroupId, OffsetFetchRequest, TopicName,
        offset_fetch_request::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
    },
};

use super::{Partitions, Throttled, text};
use crate::kafka::{Connection, Error};

/// Version 10 only swaps topic names for ids.
const CAP: i16 = 9;
/// Measured best: more in one request is slower and delays the coordinator's other clients.
const GROUPS: usize = 100;
const OFFSETS: usize = 5_000;

/// A group and what is asked of it.
#[derive(Clone, Debug)]
pub struct CommitsOf {
    /// The group id.
    pub group: Arc<str>,
    /// `None`: every topic with a commit; topics that may not be described are then silently left out by the broker.
    pub partitions: Option<Arc<Partitions>>,
}

/// By topic and partition: the committed offset, `None` where there is none, or the partition's own error.
pub type TopicCommits = BTreeMap<Arc<str>, BTreeMap<i32, Result<Option<i64>, ResponseError>>>;

/// By group: its commits, or why the group could not be asked. A group the answer lacks is unknown.
pub type GroupCommits = BTreeMap<Arc<str>, Result<TopicCommits, ResponseError>>;

/// Asks for the commits of `groups`, in chunks from version 8 on (KIP-709), group by group below. Never sends an empty
/// list of groups: Kafka 3.9 does not answer it. Unstable offsets are not waited for (`require_stable` false).
pub async fn fetch(
    connection: &mut Connection,
    groups: &[CommitsOf],
) -> Result<Throttled<GroupCommits>, Error> {
    let version = connection.version::<OffsetFetchRequest>(CAP)?;
    let mut found = Throttled::new(GroupCommits::new(), 0);
    if version >= 8 {
        for chunk in chunks(groups) {
            let asked = chunk.iter().map(many).collect();
            let request = OffsetFetchRequest::default().with_groups(asked);
            let response = connection.call(&request, version).await?;
            for group in response.groups {
                let topics = group.topics.iter().map(|t| {
                    let each = t.partitions.iter();
                    let each = each.map(|p| (p.partition_index, p.committed_offset, p.error_code));
                    (t.name.as_str(), each)
                });
                let one = read(group.error_code, topics);
                found.answer.insert(group.group_id.as_str().into(), one);
            }
            found.throttle_ms = u32::try_from(response.throttle_time_ms).unwrap_or(0);
        }
        return Ok(found);
    }
    for group in groups {
        let response = connection.call(&single(group), version).await?;
        let topics = response.topics.iter().map(|t| {
            let each = t.partitions.iter();
            let each = each.map(|p| (p.partition_index, p.committed_offset, p.error_code));
            (t.name.as_str(), each)
        });
        let one = read(response.error_code, topics);
        found.answer.insert(group.group.clone(), one);
        found.throttle_ms = u32::try_from(response.throttle_time_ms).unwrap_or(0);
    }
    Ok(found)
}

fn many(of: &CommitsOf) -> OffsetFetchRequestGroup {
    let topics = of.partitions.as_ref().map(|topics| {
        let each = topics.iter().map(|(topic, ids)| {
            OffsetFetchRequestTopics::default()
                .with_name(TopicName(text(topic)))
                .with_partition_indexes(ids.clone())
        });
        each.collect()
    });
    OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(&of.group)))
        .with_topics(topics)
}

fn single(of: &CommitsOf) -> OffsetFetchRequest {
    let topics = of.partitions.as_ref().map(|topics| {
        let each = topics.iter().map(|(topic, ids)| {
            OffsetFetchRequestTopic::default()
                .with_name(TopicName(text(topic)))
                .with_partition_indexes(ids.clone())
        });
        each.collect()
    });
    OffsetFetchRequest::default()
        .with_group_id(GroupId(text(&of.group)))
        .with_topics(topics)
}

/// At most [`GROUPS`] groups or about [`OFFSETS`] expected offsets each; a larger single group goes alone.
fn chunks(groups: &[CommitsOf]) -> Vec<&[CommitsOf]> {
    let mut chunks = Vec::new();
    let (mut first, mut offsets) = (0, 0);
    for (i, group) in groups.iter().enumerate() {
        // A group asked for everything: taken for fifty, as measured groups had.
        let expected = group
            .partitions
            .as_ref()
            .map_or(50, |p| p.values().map(Vec::len).sum());
        if i > first && (i - first == GROUPS || offsets + expected > OFFSETS) {
            chunks.push(&groups[first..i]);
            (first, offsets) = (i, 0);
        }
        offsets += expected;
    }
    if first < groups.len() {
        chunks.push(&groups[first..]);
    }
    chunks
}

fn read<'a, P: Iterator<Item = (i32, i64, i16)>>(
    code: i16,
    topics: impl Iterator<Item = (&'a str, P)>,
) -> Result<TopicCommits, ResponseError> {
    if let Some(error) = ResponseError::try_from_code(code) {
        return Err(error);
    }
    let mut commits = TopicCommits::new();
    for (topic, partitions) in topics {
        let of_topic = commits.entry(topic.into()).or_default();
        for (partition, offset, code) in partitions {
            let one = match ResponseError::try_from_code(code) {
                Some(error) => Err(error),
                None => Ok((offset >= 0).then_some(offset)),
            };
            of_topic.insert(partition, one);
        }
    }
    Ok(commits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(partitions: i32) -> CommitsOf {
        let ids = (0..partitions).collect();
        CommitsOf {
            group: "g".into(),
            partitions: Some(Arc::new(Partitions::from([("t".into(), ids)]))),
        }
    }

    fn sizes(groups: &[CommitsOf]) -> Vec<usize> {
        chunks(groups).iter().map(|c| c.len()).collect()
    }

    #[test]
    fn groups_go_in_batches_of_a_hundred_or_five_thousand_offsets() {
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&vec![group(1); 250]), [100, 100, 50]);
        assert_eq!(sizes(&vec![group(1_000); 12]), [5, 5, 2]);
        assert_eq!(sizes(&[group(1), group(9_000), group(1)]), [1, 1, 1]);
    }

    #[test]
    fn minus_one_is_no_commit_and_an_error_is_no_offset() {
        let of_topic = [(0, -1, 0), (1, 7, 0), (2, -1, 29)].into_iter();
        let commits = read(0, [("t", of_topic)].into_iter()).unwrap();
        assert_eq!(commits["t"][&0], Ok(None));
        assert_eq!(commits["t"][&1], Ok(Some(7)));
        assert_eq!(
            commits["t"][&2],
            Err(ResponseError::TopicAuthorizationFailed)
        );
    }
}
