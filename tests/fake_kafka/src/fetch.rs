//! Fetch, as far as headers of batches go: one batch for each offset, a record or a transaction marker.

use bytes::{BufMut, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        FetchRequest, FetchResponse,
        fetch_response::{FetchableTopicResponse, PartitionData},
    },
};

use super::{
    answers::{code, named, of_partition, throttle},
    fault::What,
    index,
    state::State,
};

/// Batches in an answer at most.
const MOST: usize = 200;

pub fn answer(node: i32, request: &FetchRequest, faults: &[What], state: &State) -> FetchResponse {
    let topics = request.topics.iter().map(|asked| {
        let name = asked.topic.as_str();
        let known = state.topics.get(name);
        let each = asked.partitions.iter().map(|p| {
            let data = PartitionData::default().with_partition_index(p.partition);
            let known = known.and_then(|t| t.partitions.get(index(p.partition)));
            let refused = state.hidden.contains(name);
            let refused = refused.then_some(ResponseError::TopicAuthorizationFailed);
            let error = of_partition(faults, name, p.partition).or_else(|| named(faults, name));
            let error = error.or(refused).or_else(|| match known {
                None => Some(ResponseError::UnknownTopicOrPartition),
                Some(k) if k.leader != node => Some(ResponseError::NotLeaderOrFollower),
                Some(k) if !(k.start..=k.end).contains(&p.fetch_offset) => {
                    Some(ResponseError::OffsetOutOfRange)
                }
                Some(_) => None,
            });
            let (Some(known), None) = (known, error) else {
                return data.with_error_code(code(error));
            };
            let stable = known.stable.unwrap_or(known.end);
            let last = if request.isolation_level == 1 {
                stable
            } else {
                known.end
            };
            let markers = state.markers.get(&(name.to_owned(), p.partition));
            let mut records = BytesMut::new();
            for offset in (p.fetch_offset..last).take(MOST) {
                batch(
                    &mut records,
                    offset,
                    markers.is_some_and(|m| m.contains(&offset)),
                );
            }
            data.with_high_watermark(known.end)
                .with_last_stable_offset(stable)
                .with_log_start_offset(known.start)
                .with_records(Some(records.freeze()))
        });
        FetchableTopicResponse::default()
            .with_topic(asked.topic.clone())
            .with_partitions(each.collect())
    });
    FetchResponse::default()
        .with_responses(topics.collect())
        .with_throttle_time_ms(throttle(faults))
}

/// The header of a batch of one record, or of a marker, and nothing in it.
fn batch(out: &mut BytesMut, offset: i64, is_marker: bool) {
    out.put_i64(offset);
    out.put_i32(49); // bytes that follow
    out.put_i32(0); // leader epoch
    out.put_i8(2); // format
    out.put_i32(0); // checksum
    out.put_i16(if is_marker { 0x30 } else { 0 });
    out.put_i32(0); // last offset's distance
    out.put_bytes(0, 16); // timestamps
    out.put_i64(1); // producer
    out.put_bytes(0, 6); // its epoch, and the first sequence number
    out.put_i32(1); // records
}
