//! Every answer in every version, made by kafka-protocol: what we take of it is what it says, field by field.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{
    ResponseError,
    messages::{
        ApiVersionsRequest, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest,
        OffsetFetchRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
    },
    protocol::{Request, StrBytes, VersionRange},
};
use lagscale::kafka::{
    Address,
    error::code_name,
    reader::{Malformed, Reader, read},
    requests::{
        Layout, LogOffset, Offsets, PartitionLayout, Throttled, TopicLayout, api_versions,
        find_coordinator, list_offsets, metadata, offset_fetch, sasl,
    },
};
use proptest::prelude::*;

use crate::make::{self, CORRELATION, frame};

/// Makes answers in each of `versions` and compares what `decode` takes with what `expected` says.
fn same<R: Request, S: Strategy<Value = R::Response>, T: PartialEq + std::fmt::Debug>(
    versions: std::ops::RangeInclusive<i16>,
    make: impl Fn(i16) -> S,
    decode: impl Fn(&mut Reader<'_>) -> Result<T, Malformed> + Copy,
    expected: impl Fn(&R::Response) -> T,
) where
    R::Response: std::fmt::Debug,
{
    for version in versions {
        proptest!(ProptestConfig::with_cases(64), |(response in make(version))| {
            let frame = frame::<R>(version, &response);
            let found = read::<R, T>(&frame, version, CORRELATION, decode);
            prop_assert_eq!(found, Ok(expected(&response)));
            let longer = [&frame[..], &[0]].concat();
            let found = read::<R, T>(&longer, version, CORRELATION, decode);
            prop_assert_eq!(found, Err(Malformed::Trailing(1)));
            let found = read::<R, T>(&frame, version, CORRELATION + 1, decode);
            prop_assert_eq!(found, Err(Malformed::Correlation));
        });
    }
}

fn error(code: i16) -> Option<ResponseError> {
    ResponseError::try_from_code(code)
}

fn throttled<T>(answer: T, throttle_ms: i32) -> Throttled<T> {
    Throttled {
        answer,
        throttle_ms: throttle_ms.max(0).unsigned_abs(),
    }
}

fn address(host: &StrBytes, port: i32) -> Option<Address> {
    let port = u16::try_from(port).ok().filter(|p| *p > 0)?;
    let letter = |c: char| c.is_ascii_alphanumeric() || "._:%-".contains(c);
    let may_be = (1..256).contains(&host.len()) && host.chars().all(letter);
    may_be.then(|| Address::new(host.as_str(), port))
}

#[test]
fn api_versions_are_read_as_they_were_written() {
    same::<ApiVersionsRequest, _, _>(0..=0, make::api_versions, api_versions::decode, |r| {
        let keys = r.api_keys.iter().map(|k| {
            let (min, max) = (k.min_version, k.max_version);
            (k.api_key, VersionRange { min, max })
        });
        error(r.error_code).map_or_else(|| Ok(keys.collect()), Err)
    });
}

#[test]
fn a_sasl_handshake_is_read_as_it_was_written() {
    let cap = sasl::HANDSHAKE_CAP;
    let decode = sasl::decode_handshake;
    same::<SaslHandshakeRequest, _, _>(0..=cap, make::sasl_handshake, decode, |r| {
        let offered: Vec<_> = r.mechanisms.iter().map(StrBytes::as_str).collect();
        sasl::Handshake {
            error: error(r.error_code),
            offered: offered.join(", ").chars().take(200).collect(),
        }
    });
}

#[test]
fn a_sasl_authenticate_is_read_as_it_was_written() {
    let cap = sasl::AUTHENTICATE_CAP;
    let decode = sasl::decode_authenticate;
    same::<SaslAuthenticateRequest, _, _>(0..=cap, make::sasl_authenticate, decode, |r| {
        if let Some(error) = error(r.error_code) {
            let words = r.error_message.as_ref().map(|m| m.as_str().to_owned());
            return Err(words.unwrap_or_else(|| code_name(error)));
        }
        Ok(sasl::Authenticated {
            auth_bytes: r.auth_bytes.to_vec(),
            session_lifetime_ms: r.session_lifetime_ms.max(0).unsigned_abs(),
        })
    });
}

#[test]
fn metadata_is_read_as_it_was_written() {
    same::<MetadataRequest, _, _>(0..=metadata::CAP, make::metadata, metadata::decode, |r| {
        let brokers = r.brokers.iter().filter(|b| b.node_id.0 >= 0);
        let brokers = brokers.filter_map(|b| Some((b.node_id.0, address(&b.host, b.port)?)));
        let topics = r.topics.iter().filter_map(|t| {
            let name: Arc<str> = t.name.as_ref()?.as_str().into();
            let partitions = t.partitions.iter().filter(|p| p.partition_index >= 0);
            let partitions = partitions.map(|p| {
                let leader = Some(p.leader_id.0).filter(|id| *id >= 0);
                (p.partition_index, PartitionLayout { leader })
            });
            let topic = TopicLayout {
                id: Some(t.topic_id.into_bytes()).filter(|id| *id != [0; 16]),
                partitions: partitions.collect(),
            };
            Some((name, error(t.error_code).map_or(Ok(topic), Err)))
        });
        let layout = Layout {
            brokers: brokers.collect(),
            topics: topics.collect(),
        };
        throttled(layout, r.throttle_time_ms)
    });
}

fn coordinator(code: i16, node: i32, host: &StrBytes, port: i32) -> find_coordinator::Coordinator {
    if let Some(error) = error(code) {
        return Err(error);
    }
    let address = address(host, port).filter(|_| node >= 0);
    address.map_or(Err(ResponseError::CoordinatorNotAvailable), |a| {
        Ok((node, a))
    })
}

#[test]
fn the_coordinator_of_one_group_is_read_as_it_was_written() {
    let (make, decode) = (make::find_coordinator, find_coordinator::decode_one);
    same::<FindCoordinatorRequest, _, _>(0..=find_coordinator::MANY - 1, make, decode, |r| {
        let found = coordinator(r.error_code, r.node_id.0, &r.host, r.port);
        throttled(found, r.throttle_time_ms)
    });
}

#[test]
fn the_coordinators_of_many_groups_are_read_as_they_were_written() {
    let versions = find_coordinator::MANY..=find_coordinator::CAP;
    let (make, decode) = (make::find_coordinator, find_coordinator::decode_many);
    same::<FindCoordinatorRequest, _, _>(versions, make, decode, |r| {
        let found = r.coordinators.iter().map(|c| {
            let found = coordinator(c.error_code, c.node_id.0, &c.host, c.port);
            (c.key.as_str().into(), found)
        });
        throttled(found.collect(), r.throttle_time_ms)
    });
}

type Commit = (i32, i64, i16);

/// The offsets of a group's topics; a topic that comes twice is one, and its later word counts.
fn commits<'a>(
    code: i16,
    topics: impl Iterator<Item = (&'a str, Vec<Commit>)>,
) -> offset_fetch::Commits {
    let mut found = BTreeMap::<Arc<str>, BTreeMap<_, _>>::new();
    for (name, partitions) in topics {
        let of_topic = found.entry(name.into()).or_default();
        for (id, offset, code) in partitions {
            let offset = Some(offset).filter(|o| *o >= 0);
            of_topic.insert(id, error(code).map_or(Ok(offset), Err));
        }
    }
    error(code).map_or(Ok(found), Err)
}

#[test]
fn the_commits_of_one_group_are_read_as_they_were_written() {
    let (make, decode) = (make::offset_fetch, offset_fetch::decode_one);
    same::<OffsetFetchRequest, _, _>(1..=offset_fetch::MANY - 1, make, decode, |r| {
        let topics = r.topics.iter().map(|t| {
            let each = t.partitions.iter();
            let each = each.map(|p| (p.partition_index, p.committed_offset, p.error_code));
            (t.name.as_str(), each.collect())
        });
        throttled(commits(r.error_code, topics), r.throttle_time_ms)
    });
}

#[test]
fn the_commits_of_many_groups_are_read_as_they_were_written() {
    let (make, decode) = (make::offset_fetch, offset_fetch::decode_many);
    same::<OffsetFetchRequest, _, _>(offset_fetch::MANY..=offset_fetch::CAP, make, decode, |r| {
        let groups = r.groups.iter().map(|g| {
            let topics = g.topics.iter().map(|t| {
                let each = t.partitions.iter();
                let each = each.map(|p| (p.partition_index, p.committed_offset, p.error_code));
                (t.name.as_str(), each.collect())
            });
            (g.group_id.as_str().into(), commits(g.error_code, topics))
        });
        throttled(groups.collect(), r.throttle_time_ms)
    });
}

#[test]
fn offsets_are_read_as_they_were_written() {
    same::<ListOffsetsRequest, _, _>(
        1..=list_offsets::CAP,
        make::list_offsets,
        list_offsets::decode,
        |r| {
            let mut found = Offsets::new();
            for topic in &r.topics {
                let of_topic = found.entry(topic.name.as_str().into()).or_default();
                for p in &topic.partitions {
                    let there = LogOffset {
                        offset: p.offset,
                        leader_epoch: Some(p.leader_epoch).filter(|e| *e >= 0),
                    };
                    let nothing = (p.offset < 0).then_some(ResponseError::OffsetNotAvailable);
                    let error = error(p.error_code).or(nothing);
                    of_topic.insert(p.partition_index, error.map_or(Ok(there), Err));
                }
            }
            throttled(found, r.throttle_time_ms)
        },
    );
}
