//! ListOffsets: where a partition's log begins and ends, as its leader says.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::{
    ResponseError,
    messages::{
        BrokerId, ListOffsetsRequest, TopicName,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
};

use super::{Partitions, Throttled, text, throttle};
use crate::kafka::{
    Connection, Error,
    reader::{Malformed, Reader},
};

/// Version 11 (Kafka 4.2) adds nothing for these positions.
pub const CAP: i16 = 10;

/// Which offset is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The log end offset: the high watermark.
    End,
    /// The log start offset.
    Start,
}

impl Position {
    const fn timestamp(self) -> i64 {
        match self {
            Self::End => -1,
            Self::Start => -2,
        }
    }
}

/// A place in a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffset {
    /// 0 or more.
    pub offset: i64,
    /// Of the leader that says it; rises with each election (KIP-101). From ListOffsets v4 on.
    pub leader_epoch: Option<i32>,
}

/// By topic and partition: the offset, or the partition's own error.
pub type Offsets = BTreeMap<Arc<str>, BTreeMap<i32, Result<LogOffset, ResponseError>>>;

/// Asks a leader for one position of each of these partitions, in one request. `partitions` must not be empty.
pub async fn fetch(
    connection: &mut Connection,
    position: Position,
    partitions: &Partitions,
) -> Result<Throttled<Offsets>, Error> {
    let version = connection.version::<ListOffsetsRequest>(CAP)?;
    let topics = partitions.iter().map(|(topic, ids)| {
        let ids = ids.iter().map(|id| {
            ListOffsetsPartition::default()
                .with_partition_index(*id)
                .with_timestamp(position.timestamp())
        });
        ListOffsetsTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(ids.collect())
    });
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(topics.collect());
    connection.call(&request, version, decode).await
}

/// Takes the answer to a ListOffsets request, versions 1 to 10.
pub fn decode(answer: &mut Reader<'_>) -> Result<Throttled<Offsets>, Malformed> {
    let version = answer.version();
    let throttle = throttle(answer, 2)?;
    let mut offsets = Offsets::new();
    for _ in 0..answer.count()? {
        let of_topic = offsets.entry(answer.text()?.into()).or_default();
        for _ in 0..answer.count()? {
            let (id, code) = (answer.i32()?, answer.i16()?);
            answer.i64()?; // the record's timestamp
            let offset = answer.i64()?;
            let epoch = if version >= 4 { answer.i32()? } else { -1 };
            answer.tags()?;
            let one = match ResponseError::try_from_code(code) {
                Some(error) => Err(error),
                // No error and no offset: a broker that has none to tell.
                None if offset < 0 => Err(ResponseError::OffsetNotAvailable),
                None => Ok(LogOffset {
                    offset,
                    leader_epoch: (epoch >= 0).then_some(epoch),
                }),
            };
            of_topic.insert(id, one);
        }
        answer.tags()?;
    }
    answer.tags()?;
    Ok(Throttled::new(offsets, throttle))
}
