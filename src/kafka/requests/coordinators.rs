//! FindCoordinator: which broker holds a group's commits.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::{ResponseError, messages::FindCoordinatorRequest};

use super::{Throttled, text};
use crate::kafka::{Address, Connection, Error};

/// Keys in one request; 10 000 were answered at once, but an answer should stay far below the frame cap.
const CHUNK: usize = 1_000;

/// By group: its coordinator's node id and address, or why there is none now.
pub type Coordinators = BTreeMap<Arc<str>, Result<(i32, Address), ResponseError>>;

/// Asks for every group's coordinator: many keys at once from version 4 on (KIP-699), one by one below.
pub async fn fetch(
    connection: &mut Connection,
    groups: &[Arc<str>],
) -> Result<Throttled<Coordinators>, Error> {
    let version = connection.version::<FindCoordinatorRequest>(i16::MAX)?;
    let mut found = Throttled::new(Coordinators::new(), 0);
    if version >= 4 {
        for chunk in groups.chunks(CHUNK) {
            let request = FindCoordinatorRequest::default()
                .with_key_type(0)
                .with_coordinator_keys(chunk.iter().map(|g| text(g)).collect());
            let response = connection.call(&request, version).await?;
            for c in response.coordinators {
                let one = read(c.error_code, c.node_id.0, c.host.as_str(), c.port);
                found.answer.insert(c.key.as_str().into(), one);
            }
            found.throttle_ms = u32::try_from(response.throttle_time_ms).unwrap_or(0);
        }
        return Ok(found);
    }
    for group in groups {
        let request = FindCoordinatorRequest::default().with_key(text(group));
        let response = connection.call(&request, version).await?;
        let (node, port) = (response.node_id.0, response.port);
        let one = read(response.error_code, node, response.host.as_str(), port);
        found.answer.insert(group.clone(), one);
        found.throttle_ms = u32::try_from(response.throttle_time_ms).unwrap_or(0);
    }
    Ok(found)
}

fn read(code: i16, node: i32, host: &str, port: i32) -> Result<(i32, Address), ResponseError> {
    if let Some(error) = ResponseError::try_from_code(code) {
        return Err(error);
    }
    match u16::try_from(port) {
        Ok(port) if node >= 0 && port > 0 => Ok((node, Address::new(host, port))),
        _ => Err(ResponseError::CoordinatorNotAvailable),
    }
}
