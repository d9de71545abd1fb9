//! The corpora of the fuzz targets: answers of kafka-protocol in every version, and room for what fuzzing finds.

use std::{fs, path::PathBuf};

use kafka_protocol::{
    messages::{
        ApiVersionsRequest, ConsumerGroupDescribeRequest, DescribeGroupsRequest, FetchRequest,
        FetchResponse, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest,
        OffsetFetchRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
    },
    protocol::Request,
};
use lagscale::kafka::requests::{
    describe_groups, fetch, find_coordinator, list_offsets, metadata, offset_fetch, sasl,
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};

use crate::{
    log::{Log, fetch},
    make::{self, frame},
    take::take,
};

/// An input of a target, as `fuzz/take.rs` wants it, that is a whole answer.
#[derive(Clone)]
pub struct Sample {
    pub target: &'static str,
    pub version: i16,
    pub input: Vec<u8>,
}

/// Some answers in every version of every target, always the same.
pub fn samples() -> Vec<Sample> {
    let (handshake, authenticate) = (sasl::HANDSHAKE_CAP, sasl::AUTHENTICATE_CAP);
    [
        some::<ApiVersionsRequest, _>("api_versions", 0..=0, make::api_versions),
        some::<SaslHandshakeRequest, _>("sasl_handshake", 0..=handshake, make::sasl_handshake),
        some::<SaslAuthenticateRequest, _>(
            "sasl_authenticate",
            0..=authenticate,
            make::sasl_authenticate,
        ),
        some::<MetadataRequest, _>("metadata", 0..=metadata::CAP, make::metadata),
        some::<FindCoordinatorRequest, _>(
            "find_coordinator",
            0..=find_coordinator::CAP,
            make::find_coordinator,
        ),
        some::<OffsetFetchRequest, _>("offset_fetch", 1..=offset_fetch::CAP, make::offset_fetch),
        some::<ListOffsetsRequest, _>("list_offsets", 1..=list_offsets::CAP, make::list_offsets),
        some::<FetchRequest, _>("fetch", 4..=fetch::CAP, fetched),
        some::<DescribeGroupsRequest, _>(
            "describe_groups",
            0..=describe_groups::CLASSIC_CAP,
            crate::members::classic,
        ),
        some::<ConsumerGroupDescribeRequest, _>(
            "consumer_group_describe",
            0..=describe_groups::CONSUMER_CAP,
            crate::members::newer,
        ),
    ]
    .concat()
}

fn some<R: Request, S: Strategy<Value = R::Response>>(
    target: &'static str,
    versions: std::ops::RangeInclusive<i16>,
    make: impl Fn(i16) -> S,
) -> Vec<Sample>
where
    R::Response: std::fmt::Debug,
{
    let mut runner = TestRunner::deterministic();
    let first = *versions.start();
    let twice = versions.flat_map(|version| [version, version]);
    twice
        .map(|version| {
            let response = make(version).new_tree(&mut runner).unwrap().current();
            let mut input = vec![u8::try_from(version - first).unwrap()];
            input.extend(frame::<R>(version, &response));
            Sample {
                target,
                version,
                input,
            }
        })
        .collect()
}

/// At the offsets that `fuzz/take.rs` asks for.
fn fetched(_: i16) -> impl Strategy<Value = FetchResponse> {
    (Log::any(), Log::any()).prop_map(|(one, other)| {
        let partitions = vec![one.fetched(0, 5), other.fetched(1, 0)];
        fetch("t", partitions)
    })
}

pub fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpora")
}

#[test]
fn every_answer_of_the_corpora_is_taken_and_nothing_in_them_is_a_panic() {
    let mut targets = 0;
    for target in fs::read_dir(directory()).unwrap() {
        let target = target.unwrap();
        for file in fs::read_dir(target.path()).unwrap() {
            let file = file.unwrap();
            let input = fs::read(file.path()).unwrap();
            let taken = take(target.file_name().to_str().unwrap(), &input);
            // The encoder's are called after their version; what fuzzing finds may be added under any other name.
            let whole = file.file_name().to_str().unwrap().starts_with('v');
            assert!(
                taken.is_ok() || !whole,
                "{}: {taken:?}",
                file.path().display()
            );
        }
        targets += 1;
    }
    let binaries = fs::read_dir(directory().join("../../fuzz/fuzz_targets")).unwrap();
    assert_eq!(targets, binaries.count(), "each fuzz target has a corpus");
}

/// `make corpora`, after a decoder learnt another version.
#[test]
#[ignore = "writes tests/corpora"]
fn corpora_are_written_anew() {
    for (i, sample) in samples().into_iter().enumerate() {
        let directory = directory().join(sample.target);
        fs::create_dir_all(&directory).unwrap();
        let name = format!("v{}-{}", sample.version, i % 2);
        fs::write(directory.join(name), sample.input).unwrap();
    }
}
