//! What is answered to each request, in the version it was asked in.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, BrokerId, DescribeGroupsRequest,
        DescribeGroupsResponse, FindCoordinatorRequest, FindCoordinatorResponse,
        ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
        OffsetFetchRequest, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
        SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse, TopicName,
        api_versions_response::ApiVersion,
        describe_groups_response::DescribedGroup,
        find_coordinator_response::Coordinator,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use uuid::Uuid;

use super::{
    commits,
    fault::What,
    index,
    profile::Profile,
    state::{Asked, State},
};

/// Who is at the other end.
#[derive(Default)]
pub struct Session {
    logged_in: Option<Instant>,
}

impl Session {
    /// Past its lifetime: a broker then closes the connection at the next request.
    pub fn is_over(&self, state: &State) -> bool {
        let lifetime = state.session.filter(|l| !l.is_zero());
        self.logged_in
            .zip(lifetime)
            .is_some_and(|(at, lifetime)| at.elapsed() > lifetime)
    }
}

pub(super) fn text(name: &str) -> StrBytes {
    StrBytes::from_string(name.to_owned())
}

/// The whole answer's fault.
pub(super) fn whole(faults: &[What]) -> Option<ResponseError> {
    faults.iter().find_map(|f| match f {
        What::Code(code) => Some(*code),
        _ => None,
    })
}

/// A group's, or a topic's.
pub(super) fn named(faults: &[What], name: &str) -> Option<ResponseError> {
    let one = faults.iter().find_map(|f| match f {
        What::NamedCode(of, code) if *of == name => Some(*code),
        _ => None,
    });
    one.or_else(|| whole(faults))
}

pub(super) fn of_partition(faults: &[What], name: &str, id: i32) -> Option<ResponseError> {
    faults.iter().find_map(|f| match f {
        What::PartitionCode(of, p, code) if (*of, *p) == (name, id) => Some(*code),
        _ => None,
    })
}

pub(super) fn is_named_left_out(faults: &[What], name: &str) -> bool {
    let this = |f: &What| matches!(f, What::NamedLeftOut(of) if *of == name);
    faults.iter().any(this)
}

pub(super) fn is_left_out(faults: &[What], name: &str, id: i32) -> bool {
    let this = |f: &What| matches!(f, What::LeftOut(of, p) if (*of, *p) == (name, id));
    faults.iter().any(this)
}

fn throttle(faults: &[What]) -> i32 {
    let told = faults.iter().find_map(|f| match f {
        What::Throttle(by) => i32::try_from(by.as_millis()).ok(),
        _ => None,
    });
    told.unwrap_or(0)
}

pub(super) fn code(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |e| e.code())
}

fn encode<R: Request>(id: i32, version: i16, response: &R::Response) -> BytesMut {
    let mut out = BytesMut::from(&[0; 4][..]);
    let header = ResponseHeader::default().with_correlation_id(id);
    header
        .encode(&mut out, R::Response::header_version(version))
        .unwrap();
    response.encode(&mut out, version).unwrap();
    let length = u32::try_from(out.len() - 4).unwrap();
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

fn versions(profile: &Profile) -> ApiVersionsResponse {
    let keys = profile.speaks.iter().map(|(key, min, max)| {
        ApiVersion::default()
            .with_api_key(*key as i16)
            .with_min_version(*min)
            .with_max_version(*max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.collect())
}

/// Asked in a version that it does not speak, a broker says so in version 0.
pub(super) fn versions_refused(id: i32, profile: &Profile) -> BytesMut {
    let refusal = versions(profile).with_error_code(ResponseError::UnsupportedVersion.code());
    encode::<ApiVersionsRequest>(id, 0, &refusal)
}

/// The log's entry; `None` for what is no question about lag.
pub(super) fn asked(
    broker: i32,
    connection: usize,
    api: ApiKey,
    version: i16,
    mut body: Bytes,
) -> Option<Asked> {
    let mut asked = Asked {
        broker,
        connection,
        api,
        version,
        groups: Vec::new(),
        topics: Vec::new(),
        partitions: Vec::new(),
        timestamp: 0,
        asked_at: Instant::now(),
        answered_at: None,
    };
    match api {
        ApiKey::Metadata => {
            let request = MetadataRequest::decode(&mut body, version).unwrap();
            let names = request.topics.into_iter().flatten().filter_map(|t| t.name);
            asked.topics = names.map(|n| n.to_string()).collect();
        }
        ApiKey::FindCoordinator => {
            let request = FindCoordinatorRequest::decode(&mut body, version).unwrap();
            asked.groups = keys(&request, version).map(ToString::to_string).collect();
        }
        ApiKey::OffsetFetch => {
            let request = OffsetFetchRequest::decode(&mut body, version).unwrap();
            commits::log(&request, version, &mut asked);
        }
        ApiKey::ListOffsets => {
            let request = ListOffsetsRequest::decode(&mut body, version).unwrap();
            for topic in &request.topics {
                for p in &topic.partitions {
                    asked
                        .partitions
                        .push((topic.name.to_string(), p.partition_index));
                    asked.timestamp = p.timestamp;
                }
            }
        }
        _ => return None,
    }
    Some(asked)
}

fn keys(request: &FindCoordinatorRequest, version: i16) -> impl Iterator<Item = &StrBytes> {
    let single = (version < 4).then_some(&request.key);
    single.into_iter().chain(&request.coordinator_keys)
}

/// `None`: the connection is closed.
pub(super) fn answer(
    node: i32,
    header: &RequestHeader,
    mut body: Bytes,
    faults: &[What],
    session: &mut Session,
    state: &mut State,
) -> Option<BytesMut> {
    let api = ApiKey::try_from(header.request_api_key).unwrap();
    let (id, version) = (header.correlation_id, header.request_api_version);
    let before_login = [
        ApiKey::ApiVersions,
        ApiKey::SaslHandshake,
        ApiKey::SaslAuthenticate,
    ];
    if state.session.is_some() && session.logged_in.is_none() && !before_login.contains(&api) {
        return None;
    }
    Some(match api {
        ApiKey::ApiVersions => encode::<ApiVersionsRequest>(id, version, &versions(state.profile)),
        ApiKey::SaslHandshake => {
            let plain = vec![StrBytes::from_static_str("PLAIN")];
            let response = SaslHandshakeResponse::default().with_mechanisms(plain);
            encode::<SaslHandshakeRequest>(id, version, &response)
        }
        ApiKey::SaslAuthenticate => {
            let request = SaslAuthenticateRequest::decode(&mut body, version).unwrap();
            // PLAIN: nothing, user and password, each behind a zero.
            let user = request.auth_bytes.split(|b| *b == 0).nth(1);
            let user = String::from_utf8_lossy(user.unwrap_or_default()).into_owned();
            let refused = state.refusing.iter();
            let refused = refused
                .filter(|(n, u)| n.is_none_or(|n| n == node) && *u == user)
                .count();
            let response = if refused > 0 {
                SaslAuthenticateResponse::default()
                    .with_error_code(ResponseError::SaslAuthenticationFailed.code())
                    .with_error_message(Some(text(
                        "Authentication failed: Invalid username or password",
                    )))
            } else {
                session.logged_in = Some(Instant::now());
                let lifetime = state
                    .session
                    .map_or(0, |l| i64::try_from(l.as_millis()).unwrap());
                SaslAuthenticateResponse::default().with_session_lifetime_ms(if version > 0 {
                    lifetime
                } else {
                    0
                })
            };
            encode::<SaslAuthenticateRequest>(id, version, &response)
        }
        ApiKey::Metadata => {
            let request = MetadataRequest::decode(&mut body, version).unwrap();
            let response = metadata(&request, version, faults, state);
            encode::<MetadataRequest>(id, version, &response)
        }
        ApiKey::FindCoordinator => {
            let request = FindCoordinatorRequest::decode(&mut body, version).unwrap();
            let response = coordinators(&request, version, faults, state);
            encode::<FindCoordinatorRequest>(id, version, &response)
        }
        ApiKey::OffsetFetch => {
            let request = OffsetFetchRequest::decode(&mut body, version).unwrap();
            let response = commits::answer(node, &request, version, faults, state)?;
            let response = response.with_throttle_time_ms(throttle(faults));
            encode::<OffsetFetchRequest>(id, version, &response)
        }
        ApiKey::ListOffsets => {
            let request = ListOffsetsRequest::decode(&mut body, version).unwrap();
            let response = offsets(node, &request, version, faults, state);
            encode::<ListOffsetsRequest>(id, version, &response)
        }
        ApiKey::DescribeGroups => {
            let request = DescribeGroupsRequest::decode(&mut body, version).unwrap();
            let groups = request.groups.into_iter().map(|name| {
                let known = state.groups.contains_key(name.as_str());
                DescribedGroup::default()
                    .with_group_id(name)
                    .with_group_state(text(if known { "Empty" } else { "Dead" }))
                    .with_protocol_type(StrBytes::from_static_str("consumer"))
            });
            let response = DescribeGroupsResponse::default().with_groups(groups.collect());
            encode::<DescribeGroupsRequest>(id, version, &response)
        }
        other => panic!("{other:?} was asked"),
    })
}

fn metadata(
    request: &MetadataRequest,
    version: i16,
    faults: &[What],
    state: &State,
) -> MetadataResponse {
    let real = state.ports.iter().zip(0..);
    let real = || {
        real.map(|(port, node)| (node, state.host.clone(), *port))
            .collect()
    };
    let brokers = state.claimed_brokers.clone().unwrap_or_else(real);
    let brokers = brokers.iter().map(|(node, host, port)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(*node))
            .with_host(text(host))
            .with_port((*port).into())
    });
    let names: Vec<String> = match &request.topics {
        Some(topics) => topics
            .iter()
            .filter_map(|t| t.name.as_ref())
            .map(|n| n.to_string())
            .collect(),
        None => state.topics.keys().cloned().collect(),
    };
    let names = names.iter().filter(|n| !is_named_left_out(faults, n));
    let topics = names.map(|name| {
        let topic = MetadataResponseTopic::default().with_name(Some(TopicName(text(name))));
        let missing = Some(ResponseError::UnknownTopicOrPartition);
        let known = state.topics.get(name.as_str());
        let error = named(faults, name).or_else(|| missing.filter(|_| known.is_none()));
        let (Some(known), None) = (known, error) else {
            return topic.with_error_code(code(error));
        };
        let partitions = (0..).zip(&known.partitions).map(|(id, p)| {
            let error = of_partition(faults, name, id);
            let none = ResponseError::LeaderNotAvailable;
            let error = error.or_else(|| (p.leader < 0).then_some(none));
            let leader = if error.is_some() { -1 } else { p.leader };
            MetadataResponsePartition::default()
                .with_partition_index(id)
                .with_error_code(code(error))
                .with_leader_id(BrokerId(leader))
        });
        let id = if version >= 10 {
            Uuid::from_bytes(known.id)
        } else {
            Uuid::nil()
        };
        topic
            .with_topic_id(id)
            .with_partitions(partitions.collect())
    });
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_topics(topics.collect())
        .with_throttle_time_ms(throttle(faults))
}

fn coordinators(
    request: &FindCoordinatorRequest,
    version: i16,
    faults: &[What],
    state: &mut State,
) -> FindCoordinatorResponse {
    if version >= 4 && request.coordinator_keys.is_empty() {
        state
            .violations
            .push("FindCoordinator without a key".into());
    }
    let response = FindCoordinatorResponse::default().with_throttle_time_ms(throttle(faults));
    let found = keys(request, version).filter(|k| !is_named_left_out(faults, k));
    let found = found.map(|key| {
        let node = state.groups.get(key.as_str()).map_or(0, |g| g.coordinator);
        let error = named(faults, key);
        let node = if error.is_some() { -1 } else { node };
        let port = usize::try_from(node)
            .ok()
            .map_or(-1, |n| state.ports[n].into());
        (key.clone(), node, port, code(error))
    });
    let found: Vec<_> = found.collect();
    if version < 4 {
        let Some((_, node, port, code)) = found.first() else {
            return response;
        };
        return response
            .with_node_id(BrokerId(*node))
            .with_host(text(&state.host))
            .with_port(*port)
            .with_error_code(*code);
    }
    let each = found.into_iter().map(|(key, node, port, code)| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(BrokerId(node))
            .with_host(text(&state.host))
            .with_port(port)
            .with_error_code(code)
    });
    response.with_coordinators(each.collect())
}

fn offsets(
    node: i32,
    request: &ListOffsetsRequest,
    version: i16,
    faults: &[What],
    state: &mut State,
) -> ListOffsetsResponse {
    let (now, state) = (Instant::now(), &mut *state);
    let topics = request.topics.iter().map(|asked| {
        let name = asked.name.as_str();
        let known = state.topics.get(name);
        for group in state.readers.get(name).into_iter().flatten() {
            let told = state.groups.get(group).and_then(|g| g.told);
            let end = asked.partitions.first().is_some_and(|p| p.timestamp == -1);
            if let Some(told) = told.filter(|_| end) {
                let gap = u32::try_from((now - told).as_micros()).unwrap_or(u32::MAX);
                let pairs = std::iter::repeat_n(gap, asked.partitions.len());
                state.counts.gaps.extend(pairs);
            }
        }
        let mut ids: Vec<i32> = asked.partitions.iter().map(|p| p.partition_index).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() < asked.partitions.len() {
            state
                .violations
                .push(format!("ListOffsets: a partition of {name} twice"));
        }
        let kept = asked.partitions.iter();
        let kept = kept.filter(|p| !is_left_out(faults, name, p.partition_index));
        let each = kept.map(|p| {
            let id = p.partition_index;
            if p.timestamp == -3 && version < 7 {
                state
                    .violations
                    .push("ListOffsets: -3 below version 7".into());
            }
            let answer = ListOffsetsPartitionResponse::default().with_partition_index(id);
            let known = known.and_then(|k| k.partitions.get(index(id)));
            let error = of_partition(faults, name, id).or_else(|| named(faults, name));
            let error = error.or(match known {
                None => Some(ResponseError::UnknownTopicOrPartition),
                Some(p) if p.leader != node => Some(ResponseError::NotLeaderOrFollower),
                Some(_) => None,
            });
            match (known, error) {
                (Some(known), None) => answer.with_offset(match p.timestamp {
                    -2 => known.start,
                    _ if request.isolation_level == 1 => known.stable.unwrap_or(known.end),
                    _ => known.end,
                }),
                _ => answer.with_error_code(code(error)).with_offset(-1),
            }
        });
        ListOffsetsTopicResponse::default()
            .with_name(asked.name.clone())
            .with_partitions(each.collect())
    });
    let topics: Vec<_> = topics
        .filter(|t| !is_named_left_out(faults, &t.name))
        .collect();
    ListOffsetsResponse::default()
        .with_topics(topics)
        .with_throttle_time_ms(throttle(faults))
}
