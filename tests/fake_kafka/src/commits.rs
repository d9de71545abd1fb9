//! OffsetFetch: one group below version 8, many from there on.

use std::time::Instant;

use kafka_protocol::{
    ResponseError,
    messages::{
        GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName,
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
    protocol::StrBytes,
};

use super::{
    answers::{code, is_left_out, is_named_left_out, named, of_partition, text},
    fault::What,
    state::{AllTopics, Asked, State},
};

/// The question about one group; `None`: everything.
type Wanted<'a> = (&'a GroupId, Option<Vec<(&'a TopicName, &'a [i32])>>);

/// Topics with partition, offset and code; or the group's own code.
type Found = Result<Vec<(StrBytes, Vec<(i32, i64, i16)>)>, ResponseError>;

fn wanted(request: &OffsetFetchRequest, version: i16) -> Vec<Wanted<'_>> {
    if version < 8 {
        let topics = request.topics.as_ref().map(|topics| {
            let each = topics.iter();
            each.map(|t| (&t.name, t.partition_indexes.as_slice()))
                .collect()
        });
        return vec![(&request.group_id, topics)];
    }
    let groups = request.groups.iter().map(|group| {
        let topics = group.topics.as_ref().map(|topics| {
            let each = topics.iter();
            each.map(|t| (&t.name, t.partition_indexes.as_slice()))
                .collect()
        });
        (&group.group_id, topics)
    });
    groups.collect()
}

pub fn log(request: &OffsetFetchRequest, version: i16, asked: &mut Asked) {
    for (group, topics) in wanted(request, version) {
        asked.groups.push(group.to_string());
        for (topic, ids) in topics.into_iter().flatten() {
            let each = ids.iter().map(|id| (topic.to_string(), *id));
            asked.partitions.extend(each);
        }
    }
}

/// `None`: the connection is closed.
pub fn answer(
    node: i32,
    request: &OffsetFetchRequest,
    version: i16,
    faults: &[What],
    state: &mut State,
) -> Option<OffsetFetchResponse> {
    let wanted = wanted(request, version);
    if wanted.is_empty() {
        state.violations.push("OffsetFetch without a group".into());
    }
    let all = wanted.iter().any(|(_, topics)| topics.is_none());
    if all && state.all_topics == AllTopics::HangUp {
        return None;
    }
    let mut groups = Vec::new();
    for (group, topics) in wanted {
        if !is_named_left_out(faults, group) {
            groups.push((group.clone(), find(node, group, topics, faults, state)));
        }
    }
    if version < 8 {
        let (_, found) = groups.pop()?;
        return Some(single(found));
    }
    let groups = groups.into_iter().map(|(id, found)| {
        let group = OffsetFetchResponseGroup::default().with_group_id(id);
        let topics = match found {
            Ok(topics) => topics,
            Err(error) => return group.with_error_code(error.code()),
        };
        let topics = topics.into_iter().map(|(name, ids)| {
            let each = ids.into_iter().map(|(id, offset, code)| {
                OffsetFetchResponsePartitions::default()
                    .with_partition_index(id)
                    .with_committed_offset(offset)
                    .with_error_code(code)
            });
            OffsetFetchResponseTopics::default()
                .with_name(TopicName(name))
                .with_partitions(each.collect())
        });
        group.with_topics(topics.collect())
    });
    Some(OffsetFetchResponse::default().with_groups(groups.collect()))
}

fn single(found: Found) -> OffsetFetchResponse {
    let topics = match found {
        Ok(topics) => topics,
        Err(error) => return OffsetFetchResponse::default().with_error_code(error.code()),
    };
    let topics = topics.into_iter().map(|(name, ids)| {
        let each = ids.into_iter().map(|(id, offset, code)| {
            OffsetFetchResponsePartition::default()
                .with_partition_index(id)
                .with_committed_offset(offset)
                .with_error_code(code)
        });
        OffsetFetchResponseTopic::default()
            .with_name(TopicName(name))
            .with_partitions(each.collect())
    });
    OffsetFetchResponse::default().with_topics(topics.collect())
}

fn find(
    node: i32,
    name: &GroupId,
    topics: Option<Vec<(&TopicName, &[i32])>>,
    faults: &[What],
    state: &mut State,
) -> Found {
    if let Some(error) = named(faults, name) {
        return Err(error);
    }
    let known = state.groups.get_mut(name.as_str());
    if known.as_ref().map_or(0, |g| g.coordinator) != node {
        return Err(ResponseError::NotCoordinator);
    }
    let hidden = &state.hidden;
    let known = known.map(|group| {
        group.told = Some(Instant::now());
        &group.commits
    });
    let Some(topics) = topics else {
        match state.all_topics {
            AllTopics::Empty => return Ok(Vec::new()),
            AllTopics::Unsupported => return Err(ResponseError::UnsupportedVersion),
            AllTopics::Told | AllTopics::HangUp => {}
        }
        let seen = known.into_iter().flatten();
        let seen = seen.filter(|(topic, _)| !hidden.contains(*topic));
        let each = seen.map(|(topic, commits)| {
            let commits = commits.iter().map(|(id, offset)| (*id, *offset, 0));
            (text(topic), commits.collect())
        });
        return Ok(each.collect());
    };
    let mut found = Vec::new();
    for (topic, ids) in topics {
        let of_topic = known.and_then(|k| k.get(topic.as_str()));
        let mut unique = ids.to_vec();
        unique.sort_unstable();
        unique.dedup();
        if unique.len() < ids.len() {
            let text = format!("OffsetFetch: a partition of {} twice", topic.as_str());
            state.violations.push(text);
        }
        let kept = ids.iter().filter(|id| !is_left_out(faults, topic, **id));
        let refused = hidden
            .contains(topic.as_str())
            .then_some(ResponseError::TopicAuthorizationFailed);
        let each = kept.map(|id| match of_partition(faults, topic, *id).or(refused) {
            Some(error) => (*id, -1, code(Some(error))),
            None => (
                *id,
                of_topic.and_then(|t| t.get(id)).copied().unwrap_or(-1),
                0,
            ),
        });
        found.push((topic.0.clone(), each.collect()));
    }
    Ok(found)
}
