//! ListOffsets.

use std::time::Instant;

use kafka_protocol::{
    ResponseError,
    messages::{
        ListOffsetsRequest, ListOffsetsResponse,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
    },
};

use super::{
    answers::{code, is_left_out, is_named_left_out, named, of_partition, throttle},
    fault::What,
    index,
    state::State,
};

pub fn answer(
    node: i32,
    request: &ListOffsetsRequest,
    version: i16,
    faults: &[What],
    state: &mut State,
) -> ListOffsetsResponse {
    let (now, state) = (Instant::now(), &mut *state);
    let topics = request.topics.iter().map(|asked| {
        let name = asked.name.as_str();
        let known = state.topics.get(name);
        for group in state.readers.get(name).into_iter().flatten() {
            let told = state.groups.get(group).and_then(|g| g.told);
            let end = asked.partitions.first().is_some_and(|p| p.timestamp == -1);
            if let Some(told) = told.filter(|_| end) {
                let gap = u32::try_from((now - told).as_micros()).unwrap_or(u32::MAX);
                let pairs = std::iter::repeat_n(gap, asked.partitions.len());
                state.counts.gaps.extend(pairs);
            }
        }
        let mut ids: Vec<i32> = asked.partitions.iter().map(|p| p.partition_index).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() < asked.partitions.len() {
            state
                .violations
                .push(format!("ListOffsets: a partition of {name} twice"));
        }
        let kept = asked.partitions.iter();
        let kept = kept.filter(|p| !is_left_out(faults, name, p.partition_index));
        let each = kept.map(|p| {
            let id = p.partition_index;
            if p.timestamp == -3 && version < 7 {
                state
                    .violations
                    .push("ListOffsets: -3 below version 7".into());
            }
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(id);
            let known = known.and_then(|k| k.partitions.get(index(id)));
            let refused = state.hidden.contains(name);
            let refused = refused.then_some(ResponseError::TopicAuthorizationFailed);
            let error = of_partition(faults, name, id).or_else(|| named(faults, name));
            let former = known.and_then(|p| p.former).filter(|f| f.leader == node);
            let error = error.or(refused).or_else(|| match known {
                None => Some(ResponseError::UnknownTopicOrPartition),
                Some(_) if former.is_some() => None,
                Some(p) if p.leader != node => Some(ResponseError::NotLeaderOrFollower),
                // From version 5 on it says that it does not know yet.
                Some(p) if p.behind.is_some() && version >= 5 => {
                    Some(ResponseError::OffsetNotAvailable)
                }
                Some(_) => None,
            });
            let epoch = former.map_or_else(|| known.map_or(-1, |p| p.epoch), |f| f.epoch);
            let answer = if version >= 4 && error.is_none() {
                answer.with_leader_epoch(epoch)
            } else {
                answer
            };
            match (known, error) {
                (Some(known), None) => answer.with_offset(match (p.timestamp, former) {
                    (-2, _) => known.start.min(former.map_or(known.end, |f| f.end)),
                    (_, Some(former)) => former.end,
                    _ if request.isolation_level == 1 => known.stable.unwrap_or(known.end),
                    _ => known.behind.unwrap_or(known.end),
                }),
                _ => answer.with_error_code(code(error)).with_offset(-1),
            }
        });
        ListOffsetsTopicResponse::default()
            .with_name(asked.name.clone())
            .with_partitions(each.collect())
    });
    let topics: Vec<_> = topics
        .filter(|t| !is_named_left_out(faults, &t.name))
        .collect();
    ListOffsetsResponse::default()
        .with_topics(topics)
        .with_throttle_time_ms(throttle(faults))
}
