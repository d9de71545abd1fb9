//! DescribeGroups and ConsumerGroupDescribe (KIP-848): the topics that the members of groups read.
//!
//! A coordinator leaves topics that may not be described out of a group's commits, without a word; its members name them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kafka_protocol::{
    ResponseError,
    messages::{ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId},
};

use super::{Throttled, text, throttle};
use crate::kafka::{
    Cause, Connection, Error,
    reader::{Malformed, Reader},
};

/// The highest versions of kafka-protocol.
pub const CLASSIC_CAP: i16 = 6;
/// The highest version for groups of the newer kind (KIP-848).
pub const CONSUMER_CAP: i16 = 1;

/// The state of either kind of group that has no member.
const EMPTY: &str = "Empty";

/// Groups in one request: an answer has a line per member and topic.
const CHUNK: usize = 20;

/// Topics of one group that its members name.
const MOST_TOPICS: usize = 1_000;

/// A group as its coordinator describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// Topics that its members subscribe to or are assigned; only those of consumers count.
    pub topics: BTreeSet<Arc<str>>,
    /// It is there and has no member. Without a commit a coordinator forgets such a group.
    pub empty: bool,
}

/// By group: what is said of it, or why nothing is.
pub type Members = BTreeMap<Arc<str>, Result<Described, ResponseError>>;

/// Asks the coordinator of `groups`, whichever kind they are of. A group without members has no topics.
pub async fn fetch(connection: &mut Connection, groups: &[Arc<str>]) -> Result<Members, Error> {
    let classic = connection.version::<DescribeGroupsRequest>(CLASSIC_CAP)?;
    let mut all = Members::new();
    for chunk in groups.chunks(CHUNK) {
        let ids = chunk.iter().map(|g| GroupId(text(g))).collect();
        let request = DescribeGroupsRequest::default().with_groups(ids);
        let found = connection.ask(&request, classic, decode_classic).await?;
        all.extend(found);
    }
    // One of the newer kind is unknown to the older question, or dead.
    let newer: Vec<_> = all
        .iter()
        .filter(|(_, found)| match found {
            Ok(described) => !described.empty && described.topics.is_empty(),
            Err(code) => *code == ResponseError::GroupIdNotFound,
        })
        .map(|(group, _)| group.clone())
        .collect();
    let version = match connection.version::<ConsumerGroupDescribeRequest>(CONSUMER_CAP) {
        Ok(version) => version,
        Err(error) if matches!(error.cause, Cause::Version { .. }) => return Ok(all),
        Err(error) => return Err(error),
    };
    for chunk in newer.chunks(CHUNK) {
        let ids = chunk.iter().map(|g| GroupId(text(g))).collect();
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(ids);
        let found = connection.ask(&request, version, decode_consumer).await?;
        for (group, found) in found {
            // A group of neither kind has no members.
            let found = match found {
                Err(ResponseError::GroupIdNotFound | ResponseError::UnsupportedVersion) => {
                    Ok(Described::default())
                }
                found => found,
            };
            all.insert(group, found);
        }
    }
    Ok(all)
}

/// Takes the answer to a DescribeGroups, versions 0 to 6.
pub fn decode_classic(answer: &mut Reader<'_>) -> Result<Throttled<Members>, Malformed> {
    let version = answer.version();
    let throttle = throttle(answer, 1)?;
    let mut found = Members::new();
    for _ in 0..answer.count()? {
        let error = ResponseError::try_from_code(answer.i16()?);
        if version >= 6 {
            answer.nullable_text()?; // the error in words
        }
        let group = answer.text()?;
        let empty = answer.text()? == EMPTY;
        let is_consumer = answer.text()? == "consumer";
        answer.text()?; // assignor
        let mut topics = BTreeSet::new();
        for _ in 0..answer.count()? {
            answer.text()?; // member id
            if version >= 4 {
                answer.nullable_text()?; // instance id
            }
            answer.text()?; // client id
            answer.text()?; // host
            let subscription = answer.bytes()?;
            answer.bytes()?; // assignment
            answer.tags()?;
            if is_consumer {
                // A member's own bytes may be anything.
                let _ = subscribed(subscription, &mut topics);
            }
        }
        if version >= 3 {
            answer.i32()?; // operations that are allowed on it
        }
        answer.tags()?;
        found.insert(
            group.into(),
            error.map_or(Ok(Described { topics, empty }), Err),
        );
    }
    answer.tags()?;
    Ok(Throttled::new(found, throttle))
}

/// Adds the topics of a `ConsumerProtocolSubscription`; later versions add fields behind them.
fn subscribed(bytes: &[u8], topics: &mut BTreeSet<Arc<str>>) -> Result<(), Malformed> {
    let mut reader = Reader::plain(bytes);
    if bytes.is_empty() {
        return Ok(());
    }
    reader.i16()?; // version
    for _ in 0..reader.count()? {
        add(topics, reader.text()?);
    }
    Ok(())
}

/// Adds a topic that a member names, while there are not too many: a member writes what it likes.
fn add(topics: &mut BTreeSet<Arc<str>>, name: &str) {
    if topics.len() < MOST_TOPICS {
        topics.insert(name.into());
    }
}

/// Takes the answer to a ConsumerGroupDescribe, versions 0 and 1.
pub fn decode_consumer(answer: &mut Reader<'_>) -> Result<Throttled<Members>, Malformed> {
    let throttle = throttle(answer, 0)?;
    let mut found = Members::new();
    for _ in 0..answer.count()? {
        let error = ResponseError::try_from_code(answer.i16()?);
        answer.nullable_text()?; // the error in words
        let group = answer.text()?;
        let empty = answer.text()? == EMPTY;
        answer.skip(8)?; // epochs
        answer.text()?; // assignor
        let mut topics = BTreeSet::new();
        for _ in 0..answer.count()? {
            decode_member(answer, &mut topics)?;
        }
        answer.i32()?; // operations that are allowed on it
        answer.tags()?;
        found.insert(
            group.into(),
            error.map_or(Ok(Described { topics, empty }), Err),
        );
    }
    answer.tags()?;
    Ok(Throttled::new(found, throttle))
}

fn decode_member(
    answer: &mut Reader<'_>,
    topics: &mut BTreeSet<Arc<str>>,
) -> Result<(), Malformed> {
    answer.text()?; // member id
    answer.nullable_text()?; // instance id
    answer.nullable_text()?; // rack
    answer.i32()?; // epoch
    answer.text()?; // client id
    answer.text()?; // host
    for _ in 0..answer.count()? {
        add(topics, answer.text()?);
    }
    answer.nullable_text()?; // the pattern it subscribes to
    for _assignment_and_target in 0..2 {
        for _ in 0..answer.count()? {
            answer.uuid()?;
            add(topics, answer.text()?);
            answer.skip_i32s()?;
            answer.tags()?;
        }
        answer.tags()?;
    }
    if answer.version() >= 1 {
        answer.i8()?; // kind of member
    }
    answer.tags()
}
