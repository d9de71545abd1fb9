//! Metadata: which brokers there are, which topics exist, who leads each partition.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kafka_protocol::{
    ResponseError,
    messages::{MetadataRequest, TopicName, metadata_request::MetadataRequestTopic},
};

use super::{Throttled, text, throttle};
use crate::kafka::{
    Address, Connection, Error,
    reader::{Malformed, Reader},
};

/// More brokers are not kept of an answer; whoever asked for them refuses fewer.
const MOST_BROKERS: usize = 2_000;

/// Version 13 only adds a top-level error that we have no use for; 12 is what was measured.
pub const CAP: i16 = 12;

/// The cluster as one broker knows it, limited to the topics asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// By node id.
    pub brokers: BTreeMap<i32, Address>,
    /// By name; a topic asked for that is in neither form was left out of the answer.
    pub topics: BTreeMap<Arc<str>, Result<TopicLayout, ResponseError>>,
}

/// One topic that exists and may be described.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicLayout {
    /// From Metadata v10 on (Kafka 2.8): changes when the topic is deleted and made again.
    pub id: Option<[u8; 16]>,
    /// Every partition, by id.
    pub partitions: BTreeMap<i32, PartitionLayout>,
}

/// The leader of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionLayout {
    /// `None` while it has no leader.
    pub leader: Option<i32>,
}

/// Asks for the brokers and these topics; never creates one. An empty list asks for the brokers only. What was not asked for is
/// left out.
pub async fn fetch(connection: &mut Connection, topics: &[Arc<str>]) -> Result<Layout, Error> {
    let version = connection.version::<MetadataRequest>(CAP)?;
    let wanted = topics
        .iter()
        .map(|t| MetadataRequestTopic::default().with_name(Some(TopicName(text(t)))))
        .collect();
    let request = MetadataRequest::default()
        // Versions below 4 always allow it and the encoder wants the field at its default there.
        .with_allow_auto_topic_creation(version < 4)
        .with_topics(Some(wanted));
    let asked: BTreeSet<&str> = topics.iter().map(AsRef::as_ref).collect();
    let decode = |answer: &mut Reader<'_>| decode_kept(answer, |name, _| asked.contains(name));
    connection.ask(&request, version, decode).await
}

/// Asks for the brokers and every topic that may be described, and keeps the topics that `wanted` takes, internal ones
/// apart. What is not kept costs nothing.
pub async fn fetch_all(
    connection: &mut Connection,
    wanted: impl Fn(&str) -> bool,
) -> Result<Layout, Error> {
    let version = connection.version::<MetadataRequest>(CAP)?;
    let request = MetadataRequest::default()
        .with_allow_auto_topic_creation(version < 4)
        // No list means all of them; version 0 says that with an empty one.
        .with_topics((version == 0).then(Vec::new));
    let decode =
        |answer: &mut Reader<'_>| decode_kept(answer, |name, internal| !internal && wanted(name));
    connection.ask(&request, version, decode).await
}

/// Takes the answer to a Metadata request, versions 0 to 12.
pub fn decode(answer: &mut Reader<'_>) -> Result<Throttled<Layout>, Malformed> {
    decode_kept(answer, |_, _| true)
}

/// Takes what `keep` wants of an answer; it is told a topic's name and whether it is internal.
pub fn decode_kept(
    answer: &mut Reader<'_>,
    keep: impl Fn(&str, bool) -> bool,
) -> Result<Throttled<Layout>, Malformed> {
    let version = answer.version();
    let throttle = throttle(answer, 3)?;
    let mut layout = Layout::default();
    for _ in 0..answer.count()? {
        let (node, host, port) = (answer.i32()?, answer.text()?, answer.i32()?);
        if version >= 1 {
            answer.nullable_text()?; // rack
        }
        answer.tags()?;
        if node >= 0
            && let Some(address) = Address::told(host, port)
            && layout.brokers.len() <= MOST_BROKERS
        {
            layout.brokers.insert(node, address);
        }
    }
    if version >= 2 {
        answer.nullable_text()?; // cluster id
    }
    if version >= 1 {
        answer.i32()?; // controller
    }
    for _ in 0..answer.count()? {
        if let Some((name, topic)) = decode_topic(answer, &keep)? {
            layout.topics.insert(name.into(), topic);
        }
    }
    if (8..=10).contains(&version) {
        answer.i32()?; // operations that are allowed on the cluster
    }
    answer.tags()?;
    Ok(Throttled::new(layout, throttle))
}

type Named<'a> = (&'a str, Result<TopicLayout, ResponseError>);

fn decode_topic<'a>(
    answer: &mut Reader<'a>,
    keep: impl Fn(&str, bool) -> bool,
) -> Result<Option<Named<'a>>, Malformed> {
    let version = answer.version();
    let error = ResponseError::try_from_code(answer.i16()?);
    let name = if version >= 12 {
        answer.nullable_text()?
    } else {
        Some(answer.text()?)
    };
    let mut topic = TopicLayout::default();
    if version >= 10 {
        topic.id = Some(answer.uuid()?).filter(|id| *id != [0; 16]);
    }
    let internal = version >= 1 && answer.i8()? != 0;
    // One that was asked for by its id and is not known has no name.
    let name = name.filter(|name| keep(name, internal));
    for _ in 0..answer.count()? {
        answer.i16()?; // an election names it with or without code 5; the leader tells enough
        let (id, leader) = (answer.i32()?, answer.i32()?);
        if version >= 7 {
            answer.i32()?; // leader epoch
        }
        answer.skip_i32s()?; // replicas
        answer.skip_i32s()?; // in sync
        if version >= 5 {
            answer.skip_i32s()?; // offline
        }
        answer.tags()?;
        if id >= 0 && name.is_some() {
            let leader = Some(leader).filter(|node| *node >= 0);
            topic.partitions.insert(id, PartitionLayout { leader });
        }
    }
    if version >= 8 {
        answer.i32()?; // operations that are allowed on it
    }
    answer.tags()?;
    Ok(name.map(|name| (name, error.map_or(Ok(topic), Err))))
}
