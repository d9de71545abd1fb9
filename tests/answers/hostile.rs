//! Answers that no broker writes: every length in them may lie, and costs nothing.

use allocation_counter::measure;
use kafka_protocol::messages::MetadataRequest;
use lagscale::kafka::reader::{Malformed, Reader, read};

use crate::{
    corpora::{Sample, samples},
    make::CORRELATION,
    smallest::smallest,
    take::take,
};

/// Plain and flexible versions of Metadata.
const PLAIN: i16 = 8;
const FLEXIBLE: i16 = 9;

/// Reads one value of a frame with nothing else in it, and says how many bytes that allocated.
fn value<T>(
    version: i16,
    bytes: &[u8],
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> (Result<T, Malformed>, u64) {
    let mut frame = CORRELATION.to_be_bytes().to_vec();
    if version == FLEXIBLE {
        frame.push(0);
    }
    frame.extend(bytes);
    let mut found = None;
    let cost = measure(|| {
        found = Some(read::<MetadataRequest, T>(
            &frame,
            version,
            CORRELATION,
            decode,
        ));
    });
    (found.unwrap(), cost.bytes_total)
}

fn refused<T>(
    version: i16,
    bytes: &[u8],
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, Malformed>,
) -> Malformed {
    let (found, allocated) = value(version, bytes, decode);
    assert_eq!(allocated, 0, "{bytes:x?}");
    found
        .err()
        .unwrap_or_else(|| panic!("{bytes:x?} was taken"))
}

// Clippy wants methods for closures, and these would not be general enough.
fn count(r: &mut Reader<'_>) -> Result<usize, Malformed> {
    r.count()
}

fn or_null(r: &mut Reader<'_>) -> Result<Option<usize>, Malformed> {
    r.nullable_count()
}

fn i32s(r: &mut Reader<'_>) -> Result<(), Malformed> {
    r.skip_i32s()
}

fn tags(r: &mut Reader<'_>) -> Result<(), Malformed> {
    r.tags()
}

fn text(r: &mut Reader<'_>) -> Result<(), Malformed> {
    r.text().map(drop)
}

fn octets(r: &mut Reader<'_>) -> Result<(), Malformed> {
    r.bytes().map(drop)
}

#[test]
fn a_plain_length_beyond_the_frame_is_refused_and_costs_nothing() {
    for length in [i32::MAX, i32::MIN, -2, 5] {
        let bytes = [&length.to_be_bytes()[..], &[0; 4]].concat();
        let expected = Malformed::Length {
            at: 4,
            length: length.into(),
            left: 4,
        };
        assert_eq!(refused(PLAIN, &bytes, count), expected);
        assert_eq!(refused(PLAIN, &bytes, or_null), expected);
        assert_eq!(refused(PLAIN, &bytes, octets), expected);
        assert_eq!(refused(PLAIN, &bytes, i32s), expected);
    }
    for length in [i16::MAX, i16::MIN, -2, 5] {
        let bytes = [&length.to_be_bytes()[..], &[0; 4]].concat();
        let expected = Malformed::Length {
            at: 4,
            length: length.into(),
            left: 4,
        };
        assert_eq!(refused(PLAIN, &bytes, text), expected);
    }
}

#[test]
fn a_compact_length_beyond_the_frame_is_refused_and_costs_nothing() {
    let four_billion = [0xff, 0xff, 0xff, 0xff, 0x0f];
    for (varint, length) in [
        (&four_billion[..], 0xffff_fffe),
        (&[0x85, 0x00], 4),
        (&[5], 4),
    ] {
        let bytes = [varint, &[0; 3]].concat();
        let expected = Malformed::Length {
            at: 5,
            length,
            left: 3,
        };
        assert_eq!(refused(FLEXIBLE, &bytes, count), expected);
        assert_eq!(refused(FLEXIBLE, &bytes, text), expected);
        assert_eq!(refused(FLEXIBLE, &bytes, octets), expected);
    }
}

#[test]
fn a_number_of_more_than_32_bits_is_refused() {
    for varint in [&[0xff, 0xff, 0xff, 0xff, 0x10][..], &[0x80; 6], &[0xff; 9]] {
        let expected = Malformed::Varint { at: 5 };
        assert_eq!(refused(FLEXIBLE, varint, count), expected);
        assert_eq!(refused(FLEXIBLE, varint, tags), expected);
    }
}

#[test]
fn null_is_refused_where_a_value_must_be() {
    let (plain, compact) = (Malformed::Null { at: 4 }, Malformed::Null { at: 5 });
    assert_eq!(refused(PLAIN, &[0xff; 4], count), plain);
    assert_eq!(refused(PLAIN, &[0xff; 2], text), plain);
    assert_eq!(refused(FLEXIBLE, &[0], count), compact);
    assert_eq!(refused(FLEXIBLE, &[0], text), compact);
    let null = value(FLEXIBLE, &[0], |r| r.nullable_text().map(|t| t.is_none())).0;
    assert_eq!(null, Ok(true));
    assert_eq!(value(FLEXIBLE, &[0], or_null).0, Ok(None));
}

#[test]
fn a_text_that_is_no_text_is_refused() {
    let bytes = [0, 2, 0xff, 0xfe];
    let expected = Malformed::Text { at: 6 };
    assert_eq!(refused(PLAIN, &bytes, text), expected);
}

#[test]
fn integers_that_the_array_announces_are_there_or_it_is_refused() {
    let bytes = [&2_i32.to_be_bytes()[..], &[0; 7]].concat();
    let expected = Malformed::Short { at: 8, wanted: 8 };
    assert_eq!(refused(PLAIN, &bytes, i32s), expected);
}

#[test]
fn tagged_fields_end_with_the_frame() {
    // Four billion of them; one of four billion bytes.
    let four_billion = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let expected = Malformed::Short { at: 10, wanted: 1 };
    assert_eq!(refused(FLEXIBLE, &four_billion, tags), expected);
    let one = [&[1, 0][..], &four_billion].concat();
    let wanted = 0xffff_ffff;
    let expected = Malformed::Short { at: 12, wanted };
    assert_eq!(refused(FLEXIBLE, &one, tags), expected);
}

#[test]
fn an_answer_that_is_cut_off_anywhere_is_refused() {
    for Sample { target, input, .. } in samples() {
        assert_eq!(take(target, &input), Ok(()));
        for end in 1..input.len() {
            assert!(take(target, &input[..end]).is_err(), "{target} at {end}");
        }
    }
}

/// Numbers in the place of a length.
const LIES: [&[u8]; 7] = [
    &i32::MAX.to_be_bytes(),
    &i16::MAX.to_be_bytes(),
    &[0x80, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xfe],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80],
    &[0xc3, 0x28],
];

/// The first nodes of the maps that an answer is taken into: each has room for eleven entries.
const NODES: u64 = 4_096;
/// Bytes in memory for one in the frame, at most: each small map has a node of its own, with one entry in it.
const MOST: u64 = 20;

#[test]
fn no_byte_of_an_answer_can_make_it_cost_more_than_its_size() {
    let mut refused = 0;
    for Sample {
        target,
        version,
        input,
    } in samples()
    {
        for at in 5..input.len() {
            for lie in LIES.iter().filter(|lie| at + lie.len() <= input.len()) {
                let mut input = input.clone();
                input[at..at + lie.len()].copy_from_slice(lie);
                let cost = measure(|| refused += usize::from(take(target, &input).is_err()));
                let most = input.len() as u64 + NODES;
                assert!(
                    cost.bytes_max <= most,
                    "{target} v{version} with {lie:x?} at {at}: {} bytes of {}",
                    cost.bytes_max,
                    input.len()
                );
            }
        }
    }
    assert!(refused > 1_000, "{refused} were refused");
}

#[test]
fn an_answer_of_the_smallest_parts_stays_within_a_few_times_its_size() {
    for (of, Sample { target, input, .. }) in smallest() {
        let mut taken = Ok(());
        let cost = measure(|| taken = take(target, &input));
        assert!(
            matches!(taken, Ok(()) | Err(Malformed::Many(_))),
            "{taken:?}"
        );
        let times = cost.bytes_max / input.len() as u64;
        assert!(times < MOST, "{target} of {of}: {times} times its size");
    }
}
