//! Answers to each request, in the version it was asked in.

use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, ConsumerProtocolSubscription,
        DescribeGroupsRequest, DescribeGroupsResponse, FetchRequest, FindCoordinatorRequest,
        ListOffsetsRequest, MetadataRequest, OffsetFetchRequest, RequestHeader, ResponseHeader,
        SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
        SaslHandshakeResponse,
        api_versions_response::ApiVersion,
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};

use super::{
    commits,
    fault::What,
    fetch, layout, offsets,
    profile::Profile,
    state::{Asked, State},
};

/// The client at the other end.
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

pub(super) fn throttle(faults: &[What]) -> i32 {
    let told = faults.iter().find_map(|f| match f {
        What::Throttle(by) => i32::try_from(by.as_millis()).ok(),
        _ => None,
    });
    told.unwrap_or(0)
}

pub(super) fn code(error: Option<ResponseError>) -> i16 {
    error.map_or(0, |e| e.code())
}

/// A consumer that subscribes to one topic.
fn member(topic: &str) -> DescribedGroupMember {
    let subscription = ConsumerProtocolSubscription::default().with_topics(vec![text(topic)]);
    let mut metadata = BytesMut::new();
    metadata.put_i16(0);
    subscription.encode(&mut metadata, 0).unwrap();
    DescribedGroupMember::default().with_member_metadata(metadata.freeze())
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

fn versions(profile: &Profile, fetches: bool) -> ApiVersionsResponse {
    let fetch = fetches.then_some((ApiKey::Fetch, 4, 12));
    let keys = profile.speaks.iter().chain(&fetch).map(|(key, min, max)| {
        ApiVersion::default()
            .with_api_key(*key as i16)
            .with_min_version(*min)
            .with_max_version(*max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.collect())
}

/// Asked in a version that it does not speak, a broker says so in version 0.
pub(super) fn versions_refused(id: i32, profile: &Profile) -> BytesMut {
    let refusal =
        versions(profile, false).with_error_code(ResponseError::UnsupportedVersion.code());
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
            asked.groups = layout::keys(&request, version)
                .map(ToString::to_string)
                .collect();
        }
        ApiKey::DescribeGroups => {
            let request = DescribeGroupsRequest::decode(&mut body, version).unwrap();
            asked.groups = request.groups.iter().map(|g| g.to_string()).collect();
        }
        ApiKey::Fetch => {
            let request = FetchRequest::decode(&mut body, version).unwrap();
            for topic in &request.topics {
                let each = topic.partitions.iter();
                let each = each.map(|p| (topic.topic.to_string(), p.partition));
                asked.partitions.extend(each);
            }
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
        ApiKey::ApiVersions => {
            let response = versions(state.profile, state.fetches);
            encode::<ApiVersionsRequest>(id, version, &response)
        }
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
            let response = layout::metadata(&request, version, faults, state);
            encode::<MetadataRequest>(id, version, &response)
        }
        ApiKey::FindCoordinator => {
            let request = FindCoordinatorRequest::decode(&mut body, version).unwrap();
            let response = layout::coordinators(&request, version, faults, state);
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
            let response = offsets::answer(node, &request, version, faults, state);
            encode::<ListOffsetsRequest>(id, version, &response)
        }
        ApiKey::DescribeGroups => {
            let request = DescribeGroupsRequest::decode(&mut body, version).unwrap();
            let groups = request.groups.into_iter().map(|name| {
                let known = state.groups.get(name.as_str());
                let member = known.and_then(|g| g.reads).map(member);
                let is = match (known, &member) {
                    (None, _) => "Dead",
                    (_, None) => "Empty",
                    _ => "Stable",
                };
                DescribedGroup::default()
                    .with_group_id(name)
                    .with_group_state(text(is))
                    .with_members(member.into_iter().collect())
                    .with_protocol_type(StrBytes::from_static_str("consumer"))
            });
            let response = DescribeGroupsResponse::default().with_groups(groups.collect());
            encode::<DescribeGroupsRequest>(id, version, &response)
        }
        ApiKey::Fetch => {
            let request = FetchRequest::decode(&mut body, version).unwrap();
            let response = fetch::answer(node, &request, faults, state);
            encode::<FetchRequest>(id, version, &response)
        }
        other => panic!("{other:?} was asked"),
    })
}
