//! The work of every fuzz target with an input, and of `tests/answers` with the corpora. Of an answer the first byte says
//! the version, the rest is a frame; what is sent to the API is text.

#[path = "specs.rs"]
mod specs;

use std::ops::RangeInclusive;

use http::{HeaderMap, HeaderName, HeaderValue};
use kafka_protocol::{
    messages::{
        ApiVersionsRequest, ConsumerGroupDescribeRequest, DescribeGroupsRequest, FetchRequest,
        FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest, OffsetFetchRequest,
        SaslAuthenticateRequest, SaslHandshakeRequest,
    },
    protocol::Request,
};
use lagscale::{
    kafka::{
        reader::{Malformed, Reader, read},
        requests::{
            Isolation, api_versions, describe_groups,
            fetch::{self, Positions},
            find_coordinator, list_offsets, metadata, offset_fetch, sasl,
        },
    },
    selector::Selector,
    server::fuzz,
};

/// Takes what `target` is about out of `input`. Panics for a target that there is none of.
pub fn take(target: &str, input: &[u8]) -> Result<(), Malformed> {
    // An answer's cost is counted, so nothing else is made of it.
    let text = || String::from_utf8_lossy(input);
    if specs::taken(target, input) {
        return Ok(());
    }
    match target {
        "selector" => drop(Selector::parse(&text())),
        "path" => fuzz::path(&text()),
        "query" => fuzz::query(&text()),
        "accept" => fuzz::accept(&headers(text().lines().map(|line| ("accept", line)))),
        "headers" => {
            let text = text();
            let lines = text.lines().filter_map(|line| line.split_once(':'));
            fuzz::headers(&headers(lines));
        }
        "protobuf" => {
            let text = text();
            let mut parts = text.splitn(3, '\n');
            let mut next = || parts.next().unwrap_or_default();
            let (metric, value, topic) = (next(), next(), next());
            let seconds = i64::try_from(input.len()).unwrap_or(0) << 16;
            let topic = (!topic.is_empty()).then_some(topic);
            let written = fuzz::protobuf(metric, topic, seconds, value);
            assert!(written.starts_with(b"k8s\0") && written.ends_with(&[0x1a, 0, 0x22, 0]));
        }
        _ => return answered(target, input),
    }
    Ok(())
}

fn headers<'a>(lines: impl Iterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.trim().as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn answered(target: &str, input: &[u8]) -> Result<(), Malformed> {
    let [selector, frame @ ..] = input else {
        return Ok(());
    };
    match target {
        "api_versions" => {
            answer::<ApiVersionsRequest, _>(0..=0, *selector, frame, api_versions::decode)
        }
        "metadata" => {
            answer::<MetadataRequest, _>(0..=metadata::CAP, *selector, frame, metadata::decode)
        }
        "find_coordinator" => {
            let versions = 0..=find_coordinator::CAP;
            answer::<FindCoordinatorRequest, _>(versions, *selector, frame, |answer| {
                if answer.version() >= find_coordinator::MANY {
                    find_coordinator::decode_many(answer).map(drop)
                } else {
                    find_coordinator::decode_one(answer).map(drop)
                }
            })
        }
        "offset_fetch" => {
            let versions = 1..=offset_fetch::CAP;
            answer::<OffsetFetchRequest, _>(versions, *selector, frame, |answer| {
                if answer.version() >= offset_fetch::MANY {
                    offset_fetch::decode_many(answer).map(drop)
                } else {
                    offset_fetch::decode_one(answer).map(drop)
                }
            })
        }
        "list_offsets" => answer::<ListOffsetsRequest, _>(
            1..=list_offsets::CAP,
            *selector,
            frame,
            list_offsets::decode,
        ),
        "sasl_handshake" => {
            let (cap, decode) = (sasl::HANDSHAKE_CAP, sasl::decode_handshake);
            answer::<SaslHandshakeRequest, _>(0..=cap, *selector, frame, decode)
        }
        "sasl_authenticate" => {
            let (cap, decode) = (sasl::AUTHENTICATE_CAP, sasl::decode_authenticate);
            answer::<SaslAuthenticateRequest, _>(0..=cap, *selector, frame, decode)
        }
        "fetch" => {
            let positions = Positions::from([("t".into(), [(0, 5), (1, 0)].into())]);
            answer::<FetchRequest, _>(4..=fetch::CAP, *selector, frame, |answer| {
                fetch::decode(answer, Isolation::ReadCommitted, &positions)
            })
        }
        "describe_groups" => {
            let (cap, decode) = (
                describe_groups::CLASSIC_CAP,
                describe_groups::decode_classic,
            );
            answer::<DescribeGroupsRequest, _>(0..=cap, *selector, frame, decode)
        }
        "consumer_group_describe" => {
            let (cap, decode) = (
                describe_groups::CONSUMER_CAP,
                describe_groups::decode_consumer,
            );
            answer::<ConsumerGroupDescribeRequest, _>(0..=cap, *selector, frame, decode)
        }
        other => panic!("no target {other}"),
    }
}

fn answer<R: Request, T>(
    versions: RangeInclusive<i16>,
    selector: u8,
    frame: &[u8],
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Result<(), Malformed> {
    let version = versions.start() + i16::from(selector) % (versions.end() - versions.start() + 1);
    // Whatever id the frame has is the right one, or nothing behind it would be looked at.
    let id = frame.first_chunk().map_or(0, |id| i32::from_be_bytes(*id));
    read::<R, T>(frame, version, id, decode).map(drop)
}
