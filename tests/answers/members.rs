//! A group's members as a coordinator describes them, in every version: the topics they read, whoever encodes them.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, ConsumerProtocolSubscription,
        DescribeGroupsRequest, DescribeGroupsResponse, GroupId, TopicName,
        consumer_group_describe_response::{
            Assignment, DescribedGroup as Newer, Member, TopicPartitions,
        },
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
    },
    protocol::{Encodable, Request, StrBytes},
};
use lagscale::kafka::{
    reader::{Malformed, Reader, read},
    requests::{
        Members, Throttled,
        describe_groups::{self, Described},
    },
};
use proptest::{prelude::*, strategy::ValueTree};

use crate::make::{CORRELATION, frame};

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// The description of a group with members that read these.
fn live(topics: &[&str]) -> Described {
    Described {
        topics: topics.iter().map(|t| Arc::from(*t)).collect(),
        empty: false,
    }
}

/// As a consumer of kafka-clients writes it, in one of its versions.
fn subscription(version: i16, names: &[&str]) -> Bytes {
    let names = names.iter().map(|n| text(n)).collect();
    let subscription = ConsumerProtocolSubscription::default().with_topics(names);
    let mut out = BytesMut::new();
    out.put_i16(version);
    subscription.encode(&mut out, version).unwrap();
    out.freeze()
}

fn member(version: i16, metadata: Bytes) -> DescribedGroupMember {
    let member = DescribedGroupMember::default()
        .with_member_id(text("m"))
        .with_client_id(text("c"))
        .with_client_host(text("/127.0.0.1"))
        .with_member_metadata(metadata)
        .with_member_assignment(Bytes::from_static(b"its partitions"));
    if version >= 4 {
        return member.with_group_instance_id(Some(text("i")));
    }
    member
}

fn group(id: &str, kind: &str, members: Vec<DescribedGroupMember>) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_id(GroupId(text(id)))
        .with_group_state(text("Stable"))
        .with_protocol_type(text(kind))
        .with_protocol_data(text("range"))
        .with_members(members)
}

/// One group of each kind that there is.
pub fn classic(version: i16) -> impl Strategy<Value = DescribeGroupsResponse> {
    let groups = vec![
        group(
            "orders",
            "consumer",
            vec![
                member(version, subscription(0, &["a", "b"])),
                member(version, subscription(3, &["b", "c"])),
                member(version, Bytes::from_static(b"\0\0\x7f\xff\xff\xff")),
            ],
        ),
        group(
            "workers",
            "connect",
            vec![member(version, subscription(0, &["no"]))],
        ),
        group("gone", "", vec![]).with_error_code(ResponseError::GroupIdNotFound.code()),
    ];
    Just(DescribeGroupsResponse::default().with_groups(groups))
}

fn assigned(name: &str) -> Assignment {
    let topic = TopicPartitions::default()
        .with_topic_name(TopicName(text(name)))
        .with_partitions(vec![0, 1]);
    Assignment::default().with_topic_partitions(vec![topic])
}

/// A group that subscribes by name and by pattern, and one of another kind.
pub fn newer(version: i16) -> impl Strategy<Value = ConsumerGroupDescribeResponse> {
    let mut member = Member::default()
        .with_member_id(text("m"))
        .with_client_id(text("c"))
        .with_client_host(text("h"))
        .with_subscribed_topic_names(vec![TopicName(text("a"))])
        .with_subscribed_topic_regex(Some(text("b.*")))
        .with_assignment(assigned("b1"))
        .with_target_assignment(assigned("b2"));
    if version >= 1 {
        member = member.with_member_type(1);
    }
    let groups = vec![
        Newer::default()
            .with_group_id(GroupId(text("orders")))
            .with_members(vec![member]),
        Newer::default()
            .with_group_id(GroupId(text("old")))
            .with_error_code(ResponseError::GroupIdNotFound.code())
            .with_error_message(Some(text("Group old is not a consumer group."))),
    ];
    Just(ConsumerGroupDescribeResponse::default().with_groups(groups))
}

fn found<R: Request, S: Strategy<Value = R::Response>>(
    version: i16,
    make: impl Fn(i16) -> S,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<Throttled<Members>, Malformed>,
) -> Members
where
    R::Response: std::fmt::Debug,
{
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let response = make(version).new_tree(&mut runner).unwrap().current();
    let frame = frame::<R>(version, &response);
    let found = read::<R, _>(&frame, version, CORRELATION, decode);
    found.unwrap().answer
}

#[test]
fn the_topics_of_a_classic_group_s_members_are_told_whatever_one_of_them_wrote() {
    for version in 0..=describe_groups::CLASSIC_CAP {
        let decode = describe_groups::decode_classic;
        let groups = found::<DescribeGroupsRequest, _>(version, classic, decode);
        assert_eq!(groups["orders"], Ok(live(&["a", "b", "c"])), "v{version}");
        assert_eq!(groups["workers"], Ok(live(&[])), "v{version}");
        let gone = Err(ResponseError::GroupIdNotFound);
        assert_eq!(groups["gone"], gone, "v{version}");
    }
}

#[test]
fn the_topics_of_a_newer_group_s_members_are_told_by_name_and_by_assignment() {
    for version in 0..=describe_groups::CONSUMER_CAP {
        let decode = describe_groups::decode_consumer;
        let groups = found::<ConsumerGroupDescribeRequest, _>(version, newer, decode);
        assert_eq!(groups["orders"], Ok(live(&["a", "b1", "b2"])));
        assert_eq!(groups["old"], Err(ResponseError::GroupIdNotFound));
    }
}

#[test]
fn a_group_of_either_kind_that_is_there_without_members_is_empty() {
    let empty = |found: &Members, group: &str| found[group].clone().map(|d| d.empty);
    let gone = ResponseError::GroupIdNotFound;
    for version in 0..=describe_groups::CLASSIC_CAP {
        let emptied = |version| {
            classic(version).prop_map(|mut answer| {
                for group in &mut answer.groups {
                    group.group_state = text("Empty");
                    group.members.clear();
                }
                answer
            })
        };
        let decode = describe_groups::decode_classic;
        let groups = found::<DescribeGroupsRequest, _>(version, emptied, decode);
        assert_eq!(empty(&groups, "orders"), Ok(true), "v{version}");
        assert_eq!(empty(&groups, "gone"), Err(gone), "v{version}");
    }
    for version in 0..=describe_groups::CONSUMER_CAP {
        let emptied = |version| {
            newer(version).prop_map(|mut answer| {
                for group in &mut answer.groups {
                    group.group_state = text("Empty");
                    group.members.clear();
                }
                answer
            })
        };
        let decode = describe_groups::decode_consumer;
        let groups = found::<ConsumerGroupDescribeRequest, _>(version, emptied, decode);
        assert_eq!(empty(&groups, "orders"), Ok(true), "v{version}");
        assert_eq!(empty(&groups, "old"), Err(gone), "v{version}");
    }
}
