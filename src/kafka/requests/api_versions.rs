//! ApiVersions: which requests a broker knows, and in which versions. Asked in version 0, which every broker answers.

use std::collections::HashMap;

use kafka_protocol::{ResponseError, protocol::VersionRange};

use crate::kafka::reader::{Malformed, Reader};

/// By API key.
pub type Versions = HashMap<i16, VersionRange>;

/// Takes the answer in version 0: the ranges, or what the broker has against us.
pub fn decode(answer: &mut Reader<'_>) -> Result<Result<Versions, ResponseError>, Malformed> {
    let error = ResponseError::try_from_code(answer.i16()?);
    let mut versions = Versions::new();
    for _ in 0..answer.count()? {
        let key = answer.i16()?;
        let (min, max) = (answer.i16()?, answer.i16()?);
        versions.insert(key, VersionRange { min, max });
    }
    Ok(error.map_or(Ok(versions), Err))
}
