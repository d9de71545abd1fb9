//! Makes answers of any content with kafka-protocol, each field only in the versions that have it.

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiVersionsResponse, BrokerId, FindCoordinatorResponse, GroupId, ListOffsetsResponse,
        MetadataResponse, OffsetFetchResponse, ResponseHeader, SaslAuthenticateResponse,
        SaslHandshakeResponse, TopicName,
        api_versions_response::ApiVersion,
        find_coordinator_response::Coordinator,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
    protocol::{Encodable, HeaderVersion, Request, StrBytes},
};
use proptest::{collection::vec, option, prelude::*};

/// The request that every answer here answers.
pub const CORRELATION: i32 = 7;

/// A frame without the length before it.
pub fn frame<R: Request>(version: i16, response: &R::Response) -> Vec<u8> {
    let mut out = BytesMut::new();
    let header = ResponseHeader::default()
        .with_correlation_id(CORRELATION)
        .with_unknown_tagged_field(5, Bytes::from_static(b"of the header"));
    let version_of_header = R::Response::header_version(version);
    header.encode(&mut out, version_of_header).unwrap();
    response.encode(&mut out, version).unwrap();
    out.to_vec()
}

fn text() -> impl Strategy<Value = StrBytes> {
    ".{0,8}".prop_map(StrBytes::from_string)
}

/// A broker's host, mostly one that may be.
fn host() -> impl Strategy<Value = StrBytes> {
    prop_oneof![4 => "[a-z0-9.-]{1,8}", 1 => ".{0,8}"].prop_map(StrBytes::from_string)
}

fn topic() -> impl Strategy<Value = TopicName> {
    text().prop_map(TopicName)
}

fn code() -> impl Strategy<Value = i16> {
    prop_oneof![3 => Just(0), 1 => -2..130_i16]
}

fn node() -> impl Strategy<Value = BrokerId> {
    (-1..5).prop_map(BrokerId)
}

fn port() -> impl Strategy<Value = i32> {
    prop_oneof![3 => 1..65_536, 1 => any::<i32>()]
}

fn tag() -> Bytes {
    Bytes::from_static(b"from the future")
}

pub fn api_versions(_: i16) -> impl Strategy<Value = ApiVersionsResponse> {
    let keys = vec(any::<(i16, i16, i16)>(), 0..9);
    (code(), keys).prop_map(|(code, keys)| {
        let keys = keys.into_iter().map(|(key, min, max)| {
            ApiVersion::default()
                .with_api_key(key)
                .with_min_version(min)
                .with_max_version(max)
        });
        ApiVersionsResponse::default()
            .with_error_code(code)
            .with_api_keys(keys.collect())
    })
}

pub fn sasl_handshake(_: i16) -> impl Strategy<Value = SaslHandshakeResponse> {
    (code(), vec(text(), 0..60)).prop_map(|(code, mechanisms)| {
        SaslHandshakeResponse::default()
            .with_error_code(code)
            .with_mechanisms(mechanisms)
    })
}

pub fn sasl_authenticate(version: i16) -> impl Strategy<Value = SaslAuthenticateResponse> {
    let bytes = vec(any::<u8>(), 0..40);
    let parts = (code(), option::of(text()), bytes, any::<i64>());
    parts.prop_map(move |(code, message, bytes, lifetime)| {
        let answer = SaslAuthenticateResponse::default()
            .with_error_code(code)
            .with_error_message(message)
            .with_auth_bytes(bytes.into())
            .with_unknown_tagged_field(9, tag());
        if version >= 1 {
            return answer.with_session_lifetime_ms(lifetime);
        }
        answer
    })
}

fn broker(version: i16) -> impl Strategy<Value = MetadataResponseBroker> {
    (node(), host(), port(), option::of(text())).prop_map(move |(node, host, port, rack)| {
        let broker = MetadataResponseBroker::default()
            .with_node_id(node)
            .with_host(host)
            .with_port(port)
            .with_unknown_tagged_field(9, tag());
        if version >= 1 {
            return broker.with_rack(rack);
        }
        broker
    })
}

fn metadata_partition(version: i16) -> impl Strategy<Value = MetadataResponsePartition> {
    let nodes = || vec(node(), 0..3);
    let parts = (
        code(),
        -1..6,
        node(),
        any::<i32>(),
        [nodes(), nodes(), nodes()],
    );
    parts.prop_map(move |(code, id, leader, epoch, [replicas, isr, offline])| {
        let mut partition = MetadataResponsePartition::default()
            .with_error_code(code)
            .with_partition_index(id)
            .with_leader_id(leader)
            .with_replica_nodes(replicas)
            .with_isr_nodes(isr)
            .with_unknown_tagged_field(9, tag());
        if version >= 7 {
            partition = partition.with_leader_epoch(epoch);
        }
        if version >= 5 {
            partition = partition.with_offline_replicas(offline);
        }
        partition
    })
}

fn metadata_topic(version: i16) -> impl Strategy<Value = MetadataResponseTopic> {
    let partitions = vec(metadata_partition(version), 0..4);
    let id = prop_oneof![Just([0; 16]), any::<[u8; 16]>()];
    let parts = (code(), option::of(topic()), id, any::<i32>(), partitions);
    parts.prop_map(move |(code, name, id, operations, partitions)| {
        let named = version < 12;
        let mut topic = MetadataResponseTopic::default()
            .with_error_code(code)
            .with_name(name.or_else(|| named.then(TopicName::default)))
            .with_partitions(partitions)
            .with_unknown_tagged_field(9, tag());
        if version >= 10 {
            topic = topic.with_topic_id(uuid::Uuid::from_bytes(id));
        }
        if version >= 8 {
            topic = topic.with_topic_authorized_operations(operations);
        }
        if version >= 1 {
            topic = topic.with_is_internal(operations > 0);
        }
        topic
    })
}

pub fn metadata(version: i16) -> impl Strategy<Value = MetadataResponse> {
    let brokers = vec(broker(version), 0..4);
    let topics = vec(metadata_topic(version), 0..4);
    let parts = (any::<i32>(), brokers, option::of(text()), node(), topics);
    parts.prop_map(move |(number, brokers, cluster, controller, topics)| {
        let mut answer = MetadataResponse::default()
            .with_brokers(brokers)
            .with_topics(topics)
            .with_unknown_tagged_field(9, tag());
        if version >= 3 {
            answer = answer.with_throttle_time_ms(number);
        }
        if version >= 2 {
            answer = answer.with_cluster_id(cluster);
        }
        if version >= 1 {
            answer = answer.with_controller_id(controller);
        }
        if (8..=10).contains(&version) {
            answer = answer.with_cluster_authorized_operations(number);
        }
        answer
    })
}

fn coordinator() -> impl Strategy<Value = Coordinator> {
    let parts = (text(), node(), host(), port(), code(), option::of(text()));
    parts.prop_map(|(key, node, host, port, code, message)| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(node)
            .with_host(host)
            .with_port(port)
            .with_error_code(code)
            .with_error_message(message)
            .with_unknown_tagged_field(9, tag())
    })
}

pub fn find_coordinator(version: i16) -> impl Strategy<Value = FindCoordinatorResponse> {
    let parts = (any::<i32>(), vec(coordinator(), 0..5), coordinator());
    parts.prop_map(move |(throttle, many, one)| {
        let mut answer = FindCoordinatorResponse::default().with_unknown_tagged_field(9, tag());
        if version >= 1 {
            answer = answer.with_throttle_time_ms(throttle);
        }
        if version >= 4 {
            return answer.with_coordinators(many);
        }
        if version >= 1 {
            answer = answer.with_error_message(one.error_message);
        }
        answer
            .with_error_code(one.error_code)
            .with_node_id(one.node_id)
            .with_host(one.host)
            .with_port(one.port)
    })
}

fn commits(version: i16) -> impl Strategy<Value = Vec<OffsetFetchResponseTopics>> {
    let parts = (-1..6, -2..40_i64, any::<i32>(), option::of(text()), code());
    let partition = parts.prop_map(move |(id, offset, epoch, metadata, code)| {
        let partition = OffsetFetchResponsePartitions::default()
            .with_partition_index(id)
            .with_committed_offset(offset)
            .with_metadata(metadata)
            .with_error_code(code)
            .with_unknown_tagged_field(9, tag());
        if version >= 5 {
            return partition.with_committed_leader_epoch(epoch);
        }
        partition
    });
    let topic = (topic(), vec(partition, 0..4)).prop_map(|(name, partitions)| {
        OffsetFetchResponseTopics::default()
            .with_name(name)
            .with_partitions(partitions)
            .with_unknown_tagged_field(9, tag())
    });
    vec(topic, 0..4)
}

/// An answer in the form of the versions for one group.
fn single(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|p| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(p.partition_index)
            .with_committed_offset(p.committed_offset)
            .with_committed_leader_epoch(p.committed_leader_epoch)
            .with_metadata(p.metadata)
            .with_error_code(p.error_code)
            .with_unknown_tagged_field(9, tag())
    });
    OffsetFetchResponseTopic::default()
        .with_name(topic.name)
        .with_partitions(partitions.collect())
        .with_unknown_tagged_field(9, tag())
}

pub fn offset_fetch(version: i16) -> impl Strategy<Value = OffsetFetchResponse> {
    let group = (text(), commits(version), code()).prop_map(|(id, topics, code)| {
        OffsetFetchResponseGroup::default()
            .with_group_id(GroupId(id))
            .with_topics(topics)
            .with_error_code(code)
            .with_unknown_tagged_field(9, tag())
    });
    let parts = (any::<i32>(), vec(group, 1..4));
    parts.prop_map(move |(throttle, mut groups)| {
        let mut answer = OffsetFetchResponse::default().with_unknown_tagged_field(9, tag());
        if version >= 3 {
            answer = answer.with_throttle_time_ms(throttle);
        }
        if version >= 8 {
            return answer.with_groups(groups);
        }
        let one = groups.remove(0);
        if version >= 2 {
            answer = answer.with_error_code(one.error_code);
        }
        answer.with_topics(one.topics.into_iter().map(single).collect())
    })
}

pub fn list_offsets(version: i16) -> impl Strategy<Value = ListOffsetsResponse> {
    let parts = (-1..6, code(), any::<i64>(), -2..40_i64, -1..9);
    let partition = parts.prop_map(move |(id, code, timestamp, offset, epoch)| {
        let partition = ListOffsetsPartitionResponse::default()
            .with_partition_index(id)
            .with_error_code(code)
            .with_timestamp(timestamp)
            .with_offset(offset)
            .with_unknown_tagged_field(9, tag());
        if version >= 4 {
            return partition.with_leader_epoch(epoch);
        }
        partition
    });
    let topic = (topic(), vec(partition, 0..4)).prop_map(|(name, partitions)| {
        ListOffsetsTopicResponse::default()
            .with_name(name)
            .with_partitions(partitions)
            .with_unknown_tagged_field(9, tag())
    });
    (any::<i32>(), vec(topic, 0..4)).prop_map(move |(throttle, topics)| {
        let answer = ListOffsetsResponse::default()
            .with_topics(topics)
            .with_unknown_tagged_field(9, tag());
        if version >= 2 {
            return answer.with_throttle_time_ms(throttle);
        }
        answer
    })
}
