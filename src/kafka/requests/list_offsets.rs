//! ListOffsets: where a partition's log begins and ends, as its leader says.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    ResponseError,
    messages::{
        BrokerId, ListOffsetsRequest, TopicName,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
};

use super::{Isolation, Partitions, Throttled, text, throttle};
use crate::kafka::{
    Cause, Connection, Error,
    reader::{Malformed, Reader},
};

/// Version 11 (Kafka 4.2) adds nothing for these positions.
pub const CAP: i16 = 10;

/// From this version on (Kafka 0.11) a request has an isolation.
const ISOLATED: i16 = 2;

/// Which offset is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The log end offset: the high watermark or the last stable offset.
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
    /// Epoch of the leader that says it; rises with each election (KIP-101). From ListOffsets v4 on.
    pub leader_epoch: Option<i32>,
}

/// By topic and partition: the offset, or the partition's own error.
pub type Offsets = BTreeMap<Arc<str>, BTreeMap<i32, Result<LogOffset, ResponseError>>>;

/// Asks a leader for one position of each of these partitions, in one request. `partitions` must not be empty.
pub async fn fetch(
    connection: &mut Connection,
    position: Position,
    isolation: Isolation,
    partitions: &Partitions,
) -> Result<Offsets, Error> {
    let version = connection.version::<ListOffsetsRequest>(CAP)?;
    let level = level(isolation, version).map_err(|cause| Error {
        address: connection.address().clone(),
        cause,
    })?;
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
        .with_isolation_level(level)
        .with_topics(topics.collect());
    // The name that was asked with is kept: there may be thousands of topics in an answer.
    let asked = |topic: &str| {
        partitions
            .get_key_value(topic)
            .map(|(name, _)| name.clone())
    };
    let decode = |answer: &mut Reader<'_>| decode_kept(answer, asked);
    connection.ask(&request, version, decode).await
}

/// The number for `isolation` in a request of `version`.
fn level(isolation: Isolation, version: i16) -> Result<i8, Cause> {
    match isolation {
        Isolation::ReadUncommitted => Ok(0),
        Isolation::ReadCommitted if version >= ISOLATED => Ok(1),
        Isolation::ReadCommitted => Err(Cause::Setting(format!(
            "the broker is too old for isolation: readCommitted: it needs ListOffsets version {ISOLATED} \
             (Kafka 0.11), the broker speaks {version}; use readUncommitted or a newer broker"
        ))),
    }
}

/// Takes the answer to a ListOffsets request, versions 1 to 10.
pub fn decode(answer: &mut Reader<'_>) -> Result<Throttled<Offsets>, Malformed> {
    decode_kept(answer, |name| Some(name.into()))
}

/// Takes the topics that `keep` has a name for.
fn decode_kept(
    answer: &mut Reader<'_>,
    keep: impl Fn(&str) -> Option<Arc<str>>,
) -> Result<Throttled<Offsets>, Malformed> {
    let version = answer.version();
    let throttle = throttle(answer, 2)?;
    let mut offsets = Offsets::new();
    for _ in 0..answer.count()? {
        let name = answer.text()?;
        let mut of_topic = keep(name).map(|name| offsets.entry(name).or_default());
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
            if let Some(of_topic) = &mut of_topic {
                of_topic.insert(id, one);
            }
        }
        answer.tags()?;
    }
    answer.tags()?;
    Ok(Throttled::new(offsets, throttle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_too_old_for_read_committed_is_told_so_and_never_asked_for_something_else() {
        assert_eq!(level(Isolation::ReadUncommitted, 1), Ok(0));
        assert_eq!(level(Isolation::ReadUncommitted, CAP), Ok(0));
        assert_eq!(level(Isolation::ReadCommitted, 2), Ok(1));
        let error = level(Isolation::ReadCommitted, 1).unwrap_err();
        assert!(error.is_configuration());
        assert!(error.to_string().contains("the broker is too old"));
    }
}
