//! The rest to read at an offset, judged by the headers of batches alone, against a log that knows.

use std::cell::Cell;

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        FetchRequest, FetchResponse,
        fetch_response::{AbortedTransaction, PartitionData},
    },
};
use lagscale::kafka::{
    reader::{Malformed, read},
    requests::{
        Isolation, Tail, Tails, Throttled,
        fetch::{self, Positions},
    },
};
use proptest::prelude::*;

use crate::{
    log::{Kind, Log, Logged, aborted, fetch, partition},
    make::{CORRELATION, frame},
};

type Decoded = Result<Throttled<Result<Tails, ResponseError>>, Malformed>;

fn decoded(version: i16, asked: i64, response: &FetchResponse) -> Decoded {
    let positions = Positions::from([("t".into(), [(0, asked)].into())]);
    let frame = frame::<FetchRequest>(version, response);
    read::<FetchRequest, _>(&frame, version, CORRELATION, |answer| {
        fetch::decode(answer, Isolation::ReadCommitted, &positions)
    })
}

/// The answer for partition 0 of topic t at `asked`.
fn tail_of(version: i16, asked: i64, data: PartitionData) -> Result<Tail, ResponseError> {
    let found = decoded(version, asked, &fetch("t", vec![data])).unwrap();
    assert_eq!(found.throttle_ms, 3);
    found.answer.unwrap()["t"][&0]
}

fn judged(asked: i64, last_stable: i64, aborted: &[AbortedTransaction], records: &[u8]) -> Tail {
    let records = Bytes::copy_from_slice(records);
    let data = partition(0, last_stable, aborted.to_vec(), records);
    tail_of(fetch::CAP, asked, data).unwrap()
}

fn batch(kind: Kind, base: i64, count: i64) -> Vec<u8> {
    let producer = 7;
    let batch = Logged {
        base,
        count,
        producer,
        kind,
    };
    batch.encoded().to_vec()
}

#[test]
fn what_is_said_of_any_log_at_any_offset_is_what_a_consumer_would_be_given() {
    let (records, nothing) = (Cell::new(0), Cell::new(0));
    for version in 4..=fetch::CAP {
        proptest!(ProptestConfig::with_cases(300), |(log in Log::any(), at in 0..=100_i64)| {
            let asked = log.last_stable() * at / 100;
            let found = tail_of(version, asked, log.fetched(0, asked));
            let expected = match log.first(asked) {
                Some(offset) => Tail::Record(offset),
                None => Tail::Nothing(log.last_stable()),
            };
            prop_assert_eq!(found, Ok(expected));
            let count = if log.first(asked).is_some() { &records } else { &nothing };
            count.set(count.get() + 1);
        });
    }
    assert!(records.get() > 200, "only {} had a record", records.get());
    assert!(nothing.get() > 200, "only {} had none", nothing.get());
}

#[test]
fn a_trailing_marker_is_nothing_and_a_record_behind_it_is_one() {
    let marker = batch(Kind::Marker, 10, 1);
    assert_eq!(judged(10, 11, &[], &marker), Tail::Nothing(11));
    let more = [marker, batch(Kind::Plain, 11, 3)].concat();
    assert_eq!(judged(10, 14, &[], &more), Tail::Record(11));
}

#[test]
fn aborted_records_are_nothing_and_committed_ones_of_the_same_producer_are_records() {
    let records = [
        batch(Kind::Transactional, 10, 5),
        batch(Kind::Marker, 15, 1),
        batch(Kind::Transactional, 16, 2),
        batch(Kind::Marker, 18, 1),
    ];
    let first = [&records[0][..], &records[1]].concat();
    assert_eq!(judged(10, 16, &[aborted(7, 10)], &first), Tail::Nothing(16));
    assert_eq!(judged(10, 16, &[aborted(8, 10)], &first), Tail::Record(10));
    let all = records.concat();
    assert_eq!(judged(12, 19, &[aborted(7, 10)], &all), Tail::Record(16));
    let both = [aborted(7, 16), aborted(7, 10)];
    assert_eq!(judged(12, 19, &both, &all), Tail::Nothing(19));
}

#[test]
fn an_offset_within_a_batch_is_the_first_that_is_left() {
    assert_eq!(
        judged(4, 10, &[], &batch(Kind::Plain, 0, 10)),
        Tail::Record(4)
    );
    let before = [batch(Kind::Plain, 0, 4), batch(Kind::Marker, 4, 1)].concat();
    assert_eq!(judged(4, 5, &[], &before), Tail::Nothing(5));
}

#[test]
fn who_reads_uncommitted_records_is_given_aborted_and_open_ones_and_no_markers() {
    let uncommitted = |records: &[u8], high_watermark: i64| {
        let data = partition(0, 0, Vec::new(), Bytes::copy_from_slice(records));
        let data = data
            .with_high_watermark(high_watermark)
            .with_last_stable_offset(-1);
        let positions = Positions::from([("t".into(), [(0, 5)].into())]);
        let frame = frame::<FetchRequest>(fetch::CAP, &fetch("t", vec![data]));
        let found = read::<FetchRequest, _>(&frame, fetch::CAP, CORRELATION, |answer| {
            fetch::decode(answer, Isolation::ReadUncommitted, &positions)
        });
        found.unwrap().answer.unwrap()["t"][&0].unwrap()
    };
    let marker = batch(Kind::Marker, 5, 1);
    assert_eq!(uncommitted(&marker, 6), Tail::Nothing(6));
    let open = [marker, batch(Kind::Transactional, 6, 2)].concat();
    assert_eq!(uncommitted(&open, 8), Tail::Record(6));
}

#[test]
fn at_or_behind_the_last_stable_offset_there_is_nothing() {
    assert_eq!(judged(11, 11, &[], &[]), Tail::Nothing(11));
    assert_eq!(judged(12, 11, &[], &[]), Tail::Nothing(11));
}

#[test]
fn bytes_that_end_too_early_tell_nothing_unless_a_header_says_enough() {
    assert_eq!(judged(10, 11, &[], &[]), Tail::Unknown);
    let markers = [batch(Kind::Marker, 10, 1), batch(Kind::Marker, 11, 1)].concat();
    assert_eq!(judged(10, 13, &[], &markers), Tail::Unknown);
    let header = 61;
    for end in 0..markers.len() {
        let whole = end >= markers.len() / 2 + header;
        let expected = if whole {
            Tail::Nothing(12)
        } else {
            Tail::Unknown
        };
        assert_eq!(judged(10, 12, &[], &markers[..end]), expected, "{end}");
    }
    let plain = batch(Kind::Plain, 10, 5);
    for end in 0..plain.len() {
        let expected = if end >= header {
            Tail::Record(10)
        } else {
            Tail::Unknown
        };
        assert_eq!(judged(10, 15, &[], &plain[..end]), expected, "{end}");
    }
}

#[test]
fn an_old_format_and_headers_that_contradict_themselves_tell_nothing() {
    let marker = batch(Kind::Marker, 10, 1);
    // The magic, a negative count of offsets, a length that is less than a header, and one that is negative.
    for (at, lie) in [
        (16, &[1][..]),
        (23, &[0xff; 4]),
        (8, &[0, 0, 0, 48]),
        (8, &[0xff; 4]),
    ] {
        let mut records = marker.clone();
        records[at..at + lie.len()].copy_from_slice(lie);
        assert_eq!(judged(10, 11, &[], &records), Tail::Unknown, "{at}");
    }
    let backwards = [batch(Kind::Marker, 11, 1), batch(Kind::Marker, 10, 1)].concat();
    assert_eq!(judged(10, 13, &[], &backwards), Tail::Unknown);
    assert_eq!(
        judged(
            i64::MAX - 1,
            i64::MAX,
            &[],
            &batch(Kind::Marker, i64::MAX, 1)
        ),
        Tail::Unknown
    );
    // A broker that does not know its last stable offset.
    assert_eq!(judged(10, -1, &[], &marker), Tail::Unknown);
}

#[test]
fn an_error_is_a_partition_s_own_or_stands_for_the_answer() {
    let denied = ResponseError::TopicAuthorizationFailed;
    let data = partition(0, -1, vec![], Bytes::new()).with_error_code(denied.code());
    for version in 4..=fetch::CAP {
        assert_eq!(tail_of(version, 0, data.clone()), Err(denied));
    }
    let unknown = ResponseError::FetchSessionIdNotFound;
    let response = fetch("t", vec![]).with_error_code(unknown.code());
    assert_eq!(decoded(7, 0, &response).unwrap().answer, Err(unknown));
}

#[test]
fn what_was_not_asked_is_not_answered() {
    let nothing = || partition(3, 0, vec![], Bytes::new());
    let other = fetch("another", vec![nothing()]);
    assert_eq!(decoded(12, 0, &other).unwrap().answer, Ok(Tails::new()));
    let other = fetch("t", vec![nothing()]);
    assert_eq!(decoded(12, 0, &other).unwrap().answer, Ok(Tails::new()));
}
