//! FindCoordinator: which broker holds a group's commits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kafka_protocol::{ResponseError, messages::FindCoordinatorRequest};

use super::{Throttled, text, throttle};
use crate::kafka::{
    Address, Connection, Error,
    reader::{Malformed, Reader},
};

/// The highest version of kafka-protocol; 5 and 6 differ from 4 in what errors may come.
pub const CAP: i16 = 6;
/// From this version on many groups are asked at once (KIP-699).
pub const MANY: i16 = 4;

/// Keys in one request; 10 000 were answered at once, but an answer should stay far below the frame cap.
const CHUNK: usize = 1_000;

/// A group's coordinator: its node id and address, or why there is none now.
pub type Coordinator = Result<(i32, Address), ResponseError>;

/// By group.
pub type Coordinators = BTreeMap<Arc<str>, Coordinator>;

/// Asks for every group's coordinator: many groups at once where the broker can, one by one else.
pub async fn fetch(
    connection: &mut Connection,
    groups: &[Arc<str>],
) -> Result<Coordinators, Error> {
    let version = connection.version::<FindCoordinatorRequest>(CAP)?;
    let mut all = Coordinators::new();
    if version >= MANY {
        for chunk in groups.chunks(CHUNK) {
            let request = FindCoordinatorRequest::default()
                .with_key_type(0)
                .with_coordinator_keys(chunk.iter().map(|g| text(g)).collect());
            let asked: BTreeSet<&str> = chunk.iter().map(AsRef::as_ref).collect();
            let decode = |answer: &mut Reader<'_>| decode_kept(answer, |g| asked.contains(g));
            let found = connection.ask(&request, version, decode).await?;
            all.extend(found);
        }
        return Ok(all);
    }
    for group in groups {
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let found = connection.ask(&request, version, decode_one).await?;
        all.insert(group.clone(), found);
    }
    Ok(all)
}

/// Takes the answer to a FindCoordinator with many keys, versions 4 to 6.
pub fn decode_many(answer: &mut Reader<'_>) -> Result<Throttled<Coordinators>, Malformed> {
    decode_kept(answer, |_| true)
}

/// Takes the groups that `keep` wants of an answer with many keys.
fn decode_kept(
    answer: &mut Reader<'_>,
    keep: impl Fn(&str) -> bool,
) -> Result<Throttled<Coordinators>, Malformed> {
    let throttle = throttle(answer, 1)?;
    let mut found = Coordinators::new();
    for _ in 0..answer.count()? {
        let group = answer.text()?;
        let (node, host, port) = (answer.i32()?, answer.text()?, answer.i32()?);
        let code = answer.i16()?;
        answer.nullable_text()?; // the error in words
        answer.tags()?;
        if keep(group) {
            found.insert(group.into(), read(code, node, host, port));
        }
    }
    answer.tags()?;
    Ok(Throttled::new(found, throttle))
}

/// Takes the answer to a FindCoordinator with one key, versions 0 to 3.
pub fn decode_one(answer: &mut Reader<'_>) -> Result<Throttled<Coordinator>, Malformed> {
    let throttle = throttle(answer, 1)?;
    let code = answer.i16()?;
    if answer.version() >= 1 {
        answer.nullable_text()?; // the error in words
    }
    let (node, host, port) = (answer.i32()?, answer.text()?, answer.i32()?);
    answer.tags()?;
    Ok(Throttled::new(read(code, node, host, port), throttle))
}

fn read(code: i16, node: i32, host: &str, port: i32) -> Coordinator {
    if let Some(error) = ResponseError::try_from_code(code) {
        return Err(error);
    }
    match Address::told(host, port) {
        Some(address) if node >= 0 => Ok((node, address)),
        _ => Err(ResponseError::CoordinatorNotAvailable),
    }
}
