//! SaslHandshake and SaslAuthenticate: what the broker says to a mechanism, and to each message of it.

use kafka_protocol::ResponseError;

use crate::kafka::{
    error::code_name,
    reader::{Malformed, Reader},
};

/// The highest version of SaslHandshake; from 1 on the messages go in SaslAuthenticate.
pub const HANDSHAKE_CAP: i16 = 1;
/// The highest version of SaslAuthenticate.
pub const AUTHENTICATE_CAP: i16 = 2;

/// Most characters that are kept of a broker's list of mechanisms.
const MOST_OFFERED: usize = 200;
/// Most characters that are kept of a refusal, which may be a JSON document.
const MOST_WORDS: usize = 2_000;

/// The answer to a mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// `None` when the mechanism may be spoken.
    pub error: Option<ResponseError>,
    /// The mechanisms that the broker offers, with commas between, cut at 200 characters.
    pub offered: String,
}

/// The answer to one message of a mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The mechanism's next message.
    pub auth_bytes: Vec<u8>,
    /// In milliseconds, 0 for no end; from version 1 on.
    pub session_lifetime_ms: u64,
}

/// Takes the answer to a SaslHandshake, versions 0 and 1.
pub fn decode_handshake(answer: &mut Reader<'_>) -> Result<Handshake, Malformed> {
    let error = ResponseError::try_from_code(answer.i16()?);
    let mut offered = String::new();
    for i in 0..answer.count()? {
        let comma = if i == 0 { "" } else { ", " };
        let room = MOST_OFFERED.saturating_sub(offered.chars().count());
        let more = comma.chars().chain(answer.text()?.chars());
        offered.extend(more.take(room));
    }
    Ok(Handshake { error, offered })
}

/// Takes the answer to a SaslAuthenticate, versions 0 to 2: a refusal comes in the broker's words.
pub fn decode_authenticate(
    answer: &mut Reader<'_>,
) -> Result<Result<Authenticated, String>, Malformed> {
    let error = ResponseError::try_from_code(answer.i16()?);
    let message = answer.nullable_text()?;
    let words = |m: &str| m.chars().take(MOST_WORDS).collect();
    let refusal = error.map(|error| message.map_or_else(|| code_name(error), words));
    let auth_bytes = answer.bytes()?.to_vec();
    let lifetime = if answer.version() >= 1 {
        answer.i64()?
    } else {
        0
    };
    answer.tags()?;
    let authenticated = Authenticated {
        auth_bytes,
        session_lifetime_ms: u64::try_from(lifetime).unwrap_or(0),
    };
    Ok(refusal.map_or(Ok(authenticated), Err))
}
