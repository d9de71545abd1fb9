//! Fetch: whether there is anything to read at an offset.
//!
//! A transaction ends with a marker that takes an offset and is no record, and with isolation read_committed aborted records
//! are given to nobody; to ListOffsets both look like a lag that never ends. Only headers of batches are looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kafka_protocol::{
    ResponseError,
    messages::{
        BrokerId, FetchRequest, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
};

use super::{Isolation, Throttled, text, throttle};
use crate::kafka::{
    Cause, Connection, Error,
    reader::{Malformed, Reader},
};

/// Version 13 swaps topic names for ids.
pub const CAP: i16 = 12;

/// Markers take some 80 bytes each. A first batch that is larger comes whole all the same (KIP-74).
const PARTITION_BYTES: i32 = 16 << 10;
const ANSWER_BYTES: i32 = 1 << 20;

/// By topic and partition: the offset to look at, 0 or more.
pub type Positions = BTreeMap<Arc<str>, BTreeMap<i32, i64>>;

/// The content at an offset and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// A consumer could be given a record of this offset. In a compacted topic that very record may be gone and the next
    /// one of its batch be there.
    Record(i64),
    /// Up to the end for this isolation, which this is, there are only markers, holes, and with read_committed aborted records.
    Nothing(i64),
    /// These bytes don't tell: they end too early, or are in a format from before Kafka 0.11.
    Unknown,
}

/// By topic and partition: what is there, or the partition's own error. Only what was asked.
pub type Tails = BTreeMap<Arc<str>, BTreeMap<i32, Result<Tail, ResponseError>>>;

/// Asks a leader for a handful of partitions, in one request that neither waits nor opens a session. Needs Read on the
/// topics. `positions` must not be empty.
pub async fn fetch(
    connection: &mut Connection,
    isolation: Isolation,
    positions: &Positions,
) -> Result<Tails, Error> {
    let version = connection.version::<FetchRequest>(CAP)?;
    let request = request(isolation, positions);
    let decode = |answer: &mut Reader<'_>| decode(answer, isolation, positions);
    let found = connection.ask(&request, version, decode).await?;
    found.map_err(|code| Error {
        address: connection.address().clone(),
        cause: Cause::Code(code),
    })
}

/// Neither waits, nor opens a session, nor asks for more than a few markers need.
fn request(isolation: Isolation, positions: &Positions) -> FetchRequest {
    let topics = positions.iter().map(|(topic, offsets)| {
        let partitions = offsets.iter().map(|(id, offset)| {
            FetchPartition::default()
                .with_partition(*id)
                .with_fetch_offset(*offset)
                .with_partition_max_bytes(PARTITION_BYTES)
        });
        FetchTopic::default()
            .with_topic(TopicName(text(topic)))
            .with_partitions(partitions.collect())
    });
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(ANSWER_BYTES)
        .with_isolation_level(i8::from(isolation == Isolation::ReadCommitted))
        .with_session_id(0)
        .with_session_epoch(-1)
        .with_topics(topics.collect())
}

/// Takes the answer to a Fetch of `positions`, versions 4 to 12; an error stands for all of it.
pub fn decode(
    answer: &mut Reader<'_>,
    isolation: Isolation,
    positions: &Positions,
) -> Result<Throttled<Result<Tails, ResponseError>>, Malformed> {
    let throttle = throttle(answer, 1)?;
    let mut error = None;
    if answer.version() >= 7 {
        error = ResponseError::try_from_code(answer.i16()?);
        answer.i32()?; // session
    }
    let mut tails = Tails::new();
    for _ in 0..answer.count()? {
        let asked = positions.get_key_value(answer.text()?);
        for _ in 0..answer.count()? {
            let (id, data) = decode_partition(answer, isolation)?;
            if let Some((topic, offsets)) = asked
                && let Some(offset) = offsets.get(&id)
            {
                let of_topic = tails.entry(topic.clone()).or_default();
                of_topic.insert(id, data.map(|data| data.tail(*offset)));
            }
        }
        answer.tags()?;
    }
    answer.tags()?;
    let answer = error.map_or(Ok(tails), Err);
    Ok(Throttled::new(answer, throttle))
}

/// The answer's part about one partition.
struct Data<'a> {
    /// The last stable offset with read_committed, else the high watermark.
    end: i64,
    /// Producers with the first offset of a transaction of theirs that was aborted.
    aborted: Vec<(i64, i64)>,
    records: &'a [u8],
}

type OfPartition<'a> = (i32, Result<Data<'a>, ResponseError>);

fn decode_partition<'a>(
    answer: &mut Reader<'a>,
    isolation: Isolation,
) -> Result<OfPartition<'a>, Malformed> {
    let version = answer.version();
    let (id, code) = (answer.i32()?, answer.i16()?);
    let (high_watermark, last_stable) = (answer.i64()?, answer.i64()?);
    let end = match isolation {
        Isolation::ReadUncommitted => high_watermark,
        Isolation::ReadCommitted => last_stable,
    };
    if version >= 5 {
        answer.i64()?; // log start
    }
    let mut aborted = Vec::new();
    for _ in 0..answer.nullable_count()?.unwrap_or(0) {
        let (producer, first) = (answer.i64()?, answer.i64()?);
        answer.tags()?;
        if isolation == Isolation::ReadCommitted {
            aborted.push((first, producer));
        }
    }
    if version >= 11 {
        answer.i32()?; // a replica that is nearer
    }
    let records = answer.bytes()?;
    answer.tags()?;
    let data = Data {
        end,
        aborted,
        records,
    };
    Ok((id, ResponseError::try_from_code(code).map_or(Ok(data), Err)))
}

impl Data<'_> {
    /// The content at `asked` and behind it, as Kafka's own consumer would go about it.
    fn tail(mut self, asked: i64) -> Tail {
        if asked >= self.end && self.end >= 0 {
            return Tail::Nothing(self.end);
        }
        self.aborted.sort_unstable();
        let mut aborted = self.aborted.into_iter().peekable();
        let mut aborting = BTreeSet::new();
        let mut batches = Reader::plain(self.records);
        let mut next = 0;
        while let Some(batch) = Batch::take(&mut batches) {
            if batch.base < next || batch.base >= self.end {
                break;
            }
            next = batch.last.saturating_add(1);
            while let Some((_, producer)) = aborted.next_if(|(first, _)| *first <= batch.last) {
                aborting.insert(producer);
            }
            if batch.is_control {
                aborting.remove(&batch.producer);
            } else if batch.has_records
                && batch.last >= asked
                && !(batch.is_transactional && aborting.contains(&batch.producer))
            {
                return Tail::Record(batch.base.max(asked));
            }
            if next >= self.end {
                return Tail::Nothing(self.end);
            }
        }
        Tail::Unknown
    }
}

/// The header of a record batch.
struct Batch {
    /// The first offset.
    base: i64,
    /// The last offset, which compaction leaves as it was.
    last: i64,
    producer: i64,
    is_transactional: bool,
    is_control: bool,
    has_records: bool,
}

/// The header's bytes behind the batch's length.
const HEADER: usize = 49;

impl Batch {
    /// The next batch with a whole header; its records may be cut off. `None` at the end and for anything else.
    fn take(records: &mut Reader<'_>) -> Option<Self> {
        let base = records.i64().ok()?;
        let length = usize::try_from(records.i32().ok()?).ok()?;
        records.i32().ok()?; // leader epoch
        // The formats before have theirs at the same place.
        if records.i8().ok()? != 2 {
            return None;
        }
        records.i32().ok()?; // checksum
        let attributes = records.i16().ok()?;
        let delta = u32::try_from(records.i32().ok()?).ok()?;
        records.skip(16).ok()?; // first and last timestamp
        let producer = records.i64().ok()?;
        records.skip(6).ok()?; // its epoch, and the first sequence number
        let count = records.i32().ok()?;
        let body = length.checked_sub(HEADER)?;
        if records.skip(body).is_err() {
            records.rest();
        }
        Some(Self {
            base,
            last: base.checked_add(delta.into())?,
            producer,
            is_transactional: attributes & 0x10 != 0,
            is_control: attributes & 0x20 != 0,
            has_records: count != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::protocol::{Decodable, Encodable};

    use super::*;

    #[test]
    fn every_version_asks_for_committed_records_without_a_session_or_a_wait() {
        let positions = Positions::from([("t".into(), [(0, 5), (3, 7)].into())]);
        for version in 4..=CAP {
            let mut bytes = Vec::new();
            request(Isolation::ReadCommitted, &positions)
                .encode(&mut bytes, version)
                .unwrap();
            let sent = FetchRequest::decode(&mut &bytes[..], version).unwrap();
            assert_eq!((sent.isolation_level, sent.max_wait_ms), (1, 0));
            assert_eq!((sent.session_id, sent.session_epoch), (0, -1));
            assert_eq!(sent.topics[0].topic.as_str(), "t");
            let partitions = sent.topics[0].partitions.iter();
            let asked = partitions.map(|p| (p.partition, p.fetch_offset, p.current_leader_epoch));
            assert_eq!(asked.collect::<Vec<_>>(), [(0, 5, -1), (3, 7, -1)]);
        }
    }
}
