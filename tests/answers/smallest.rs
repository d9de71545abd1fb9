//! Answers of very many very small parts: what costs the most memory for a byte of the frame.

use kafka_protocol::{
    messages::{
        FetchRequest, FetchResponse, FindCoordinatorRequest, FindCoordinatorResponse, GroupId,
        ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
        OffsetFetchRequest, OffsetFetchResponse, SaslHandshakeRequest, SaslHandshakeResponse,
        TopicName,
        fetch_response::{FetchableTopicResponse, PartitionData},
        find_coordinator_response::Coordinator,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
        },
    },
    protocol::{Request, StrBytes},
};
use lagscale::kafka::requests::{
    fetch, find_coordinator, list_offsets, metadata, offset_fetch, sasl,
};

use crate::{corpora::Sample, log::aborted, make::frame};

const MANY: i32 = 30_000;

/// As short as different names can be.
fn names() -> impl Iterator<Item = StrBytes> {
    (0..MANY).map(|i| StrBytes::from_string(format!("{i:x}")))
}

fn topics() -> impl Iterator<Item = TopicName> {
    names().map(TopicName)
}

fn sample<R: Request>(
    target: &'static str,
    first: i16,
    last: i16,
    response: &R::Response,
) -> Sample {
    let mut input = vec![u8::try_from(last - first).unwrap()];
    input.extend(frame::<R>(last, response));
    Sample {
        target,
        version: last,
        input,
    }
}

/// With what each is made of.
pub fn smallest() -> Vec<(&'static str, Sample)> {
    let mut all = vec![
        ("mechanisms", mechanisms()),
        ("brokers", brokers()),
        ("coordinators", coordinators()),
        ("groups", groups()),
        ("aborted transactions", aborted_transactions()),
    ];
    for (of, partitions) in [("empty topics", 0), ("topics of one partition", 1)] {
        all.push((of, described(partitions)));
        all.push((of, committed(partitions)));
        all.push((of, ended(partitions)));
    }
    all
}

fn mechanisms() -> Sample {
    let mechanisms = names().map(|_| StrBytes::new()).collect();
    let response = SaslHandshakeResponse::default().with_mechanisms(mechanisms);
    sample::<SaslHandshakeRequest>("sasl_handshake", 0, sasl::HANDSHAKE_CAP, &response)
}

fn brokers() -> Sample {
    let broker = |i: i32| {
        MetadataResponseBroker::default()
            .with_node_id(i.into())
            .with_port(1)
    };
    let response = MetadataResponse::default().with_brokers((0..MANY).map(broker).collect());
    sample::<MetadataRequest>("metadata", 0, metadata::CAP, &response)
}

fn described(partitions: usize) -> Sample {
    let topics = topics().map(|name| {
        let partitions = vec![MetadataResponsePartition::default(); partitions];
        MetadataResponseTopic::default()
            .with_name(Some(name))
            .with_partitions(partitions)
    });
    let response = MetadataResponse::default().with_topics(topics.collect());
    sample::<MetadataRequest>("metadata", 0, metadata::CAP, &response)
}

fn coordinators() -> Sample {
    let found = names().map(|key| Coordinator::default().with_key(key).with_port(1));
    let response = FindCoordinatorResponse::default().with_coordinators(found.collect());
    sample::<FindCoordinatorRequest>("find_coordinator", 0, find_coordinator::CAP, &response)
}

fn groups() -> Sample {
    let groups = names().map(|id| OffsetFetchResponseGroup::default().with_group_id(GroupId(id)));
    let response = OffsetFetchResponse::default().with_groups(groups.collect());
    sample::<OffsetFetchRequest>("offset_fetch", 1, offset_fetch::CAP, &response)
}

fn committed(partitions: usize) -> Sample {
    let topics = topics().map(|name| {
        let partitions = vec![OffsetFetchResponsePartitions::default(); partitions];
        OffsetFetchResponseTopics::default()
            .with_name(name)
            .with_partitions(partitions)
    });
    let group = OffsetFetchResponseGroup::default().with_topics(topics.collect());
    let response = OffsetFetchResponse::default().with_groups(vec![group]);
    sample::<OffsetFetchRequest>("offset_fetch", 1, offset_fetch::CAP, &response)
}

fn ended(partitions: usize) -> Sample {
    let topics = topics().map(|name| {
        let partitions = vec![ListOffsetsPartitionResponse::default(); partitions];
        ListOffsetsTopicResponse::default()
            .with_name(name)
            .with_partitions(partitions)
    });
    let response = ListOffsetsResponse::default().with_topics(topics.collect());
    sample::<ListOffsetsRequest>("list_offsets", 1, list_offsets::CAP, &response)
}

fn aborted_transactions() -> Sample {
    let list = (0..MANY).map(|i| aborted(i.into(), 0)).collect();
    let data = PartitionData::default().with_aborted_transactions(Some(list));
    let topic = FetchableTopicResponse::default()
        .with_topic(topics().last().unwrap_or_default())
        .with_partitions(vec![data]);
    let response = FetchResponse::default().with_responses(vec![topic]);
    sample::<FetchRequest>("fetch", 4, fetch::CAP, &response)
}
