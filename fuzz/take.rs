//! What every fuzz target does with an input, and what `tests/answers` does with the corpora: the first byte says the
//! version, the rest is a frame.

use std::ops::RangeInclusive;

use kafka_protocol::{
    messages::{
        ApiVersionsRequest, ConsumerGroupDescribeRequest, DescribeGroupsRequest, FetchRequest,
        FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest, OffsetFetchRequest,
        SaslAuthenticateRequest, SaslHandshakeRequest,
    },
    protocol::Request,
};
use lagscale::kafka::{
    reader::{Malformed, Reader, read},
    requests::{
        commits, coordinators, layout, login, members, offsets,
        tail::{self, Positions},
        versions,
    },
};

/// Takes the answer that `target` is about out of `input`. Panics for a target that there is none of.
pub fn take(target: &str, input: &[u8]) -> Result<(), Malformed> {
    let [selector, frame @ ..] = input else {
        return Ok(());
    };
    match target {
        "api_versions" => {
            answer::<ApiVersionsRequest, _>(0..=0, *selector, frame, versions::decode)
        }
        "metadata" => {
            answer::<MetadataRequest, _>(0..=layout::CAP, *selector, frame, layout::decode)
        }
        "find_coordinator" => {
            let versions = 0..=coordinators::CAP;
            answer::<FindCoordinatorRequest, _>(versions, *selector, frame, |answer| {
                if answer.version() >= coordinators::MANY {
                    coordinators::decode_many(answer).map(drop)
                } else {
                    coordinators::decode_one(answer).map(drop)
                }
            })
        }
        "offset_fetch" => {
            let versions = 1..=commits::CAP;
            answer::<OffsetFetchRequest, _>(versions, *selector, frame, |answer| {
                if answer.version() >= commits::MANY {
                    commits::decode_many(answer).map(drop)
                } else {
                    commits::decode_one(answer).map(drop)
                }
            })
        }
        "list_offsets" => {
            answer::<ListOffsetsRequest, _>(1..=offsets::CAP, *selector, frame, offsets::decode)
        }
        "sasl_handshake" => {
            let (cap, decode) = (login::HANDSHAKE_CAP, login::decode_handshake);
            answer::<SaslHandshakeRequest, _>(0..=cap, *selector, frame, decode)
        }
        "sasl_authenticate" => {
            let (cap, decode) = (login::AUTHENTICATE_CAP, login::decode_authenticate);
            answer::<SaslAuthenticateRequest, _>(0..=cap, *selector, frame, decode)
        }
        "fetch" => {
            let positions = Positions::from([("t".into(), [(0, 5), (1, 0)].into())]);
            answer::<FetchRequest, _>(4..=tail::CAP, *selector, frame, |answer| {
                tail::decode(answer, &positions)
            })
        }
        "describe_groups" => {
            let (cap, decode) = (members::CLASSIC_CAP, members::decode_classic);
            answer::<DescribeGroupsRequest, _>(0..=cap, *selector, frame, decode)
        }
        "consumer_group_describe" => {
            let (cap, decode) = (members::CONSUMER_CAP, members::decode_consumer);
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
