//! Metadata: which brokers there are, which topics exist, who leads each partition.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    ResponseError,
    messages::{
        MetadataRequest, MetadataResponse, TopicName, metadata_request::MetadataRequestTopic,
    },
};

use super::{Throttled, text};
use crate::kafka::{Address, Connection, Error};

/// Version 13 only adds a top-level error that we have no use for; 12 is what was measured.
const CAP: i16 = 12;

/// What one broker knows of the cluster, limited to the topics asked for.
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

/// Who leads a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartitionLayout {
    /// `None` while it has no leader.
    pub leader: Option<i32>,
}

/// Asks for the brokers and these topics; never creates one. An empty list asks for the brokers only.
pub async fn fetch(
    connection: &mut Connection,
    topics: &[Arc<str>],
) -> Result<Throttled<Layout>, Error> {
    let version = connection.version::<MetadataRequest>(CAP)?;
    let wanted = topics
        .iter()
        .map(|t| MetadataRequestTopic::default().with_name(Some(TopicName(text(t)))))
        .collect();
    let request = MetadataRequest::default()
        // Versions below 4 always allow it and the encoder wants the field at its default there.
        .with_allow_auto_topic_creation(version < 4)
        .with_topics(Some(wanted));
    let response = connection.call(&request, version).await?;
    let throttle = response.throttle_time_ms;
    Ok(Throttled::new(read(response), throttle))
}

fn read(response: MetadataResponse) -> Layout {
    let brokers = response
        .brokers
        .iter()
        .filter_map(|b| {
            let port = u16::try_from(b.port).ok().filter(|p| *p > 0)?;
            (b.node_id.0 >= 0).then(|| (b.node_id.0, Address::new(b.host.as_str(), port)))
        })
        .collect();
    let topics = response
        .topics
        .into_iter()
        .filter_map(|topic| {
            let name: Arc<str> = topic.name.as_ref()?.as_str().into();
            if let Some(error) = ResponseError::try_from_code(topic.error_code) {
                return Some((name, Err(error)));
            }
            let partitions = topic
                .partitions
                .iter()
                .filter(|p| p.partition_index >= 0)
                .map(|p| {
                    // Node -1 stands for "no leader"; an election names it with or without code 5.
                    let leader = Some(p.leader_id.0).filter(|id| *id >= 0);
                    (p.partition_index, PartitionLayout { leader })
                })
                .collect();
            let id = Some(topic.topic_id.into_bytes()).filter(|id| *id != [0; 16]);
            Some((name, Ok(TopicLayout { id, partitions })))
        })
        .collect();
    Layout { brokers, topics }
}
