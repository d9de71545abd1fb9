//! What brokers and token endpoints say in words of other protocols, through the readers that take it: for the fuzz targets and
//! their corpora.

use std::{collections::BTreeMap, time::Instant};

use http::StatusCode;

use super::{login::Exchange, oauth::Client, sasl::Mechanism, token};

/// Where a message of a broker has the nonce that we sent, which is another one each time.
const NONCE: &str = "NONCE";

/// Takes part in a SCRAM exchange in which the broker says these messages; whether it went to its end.
#[must_use]
pub fn scram<'a>(messages: impl IntoIterator<Item = &'a str>) -> bool {
    let password = "secret".into();
    let Ok(mut exchange) = Exchange::begin(Mechanism::ScramSha256, "user", &password) else {
        return false;
    };
    let Ok((Some(first), _)) = exchange.step(None) else {
        return false;
    };
    let first = String::from_utf8_lossy(&first).into_owned();
    let nonce = first.rsplit("r=").next().unwrap_or_default();
    for message in messages {
        let message = message.replacen(NONCE, nonce, 1);
        match exchange.step(Some(message.as_bytes())) {
            Err(_) => return false,
            Ok((_, true)) => return true,
            Ok(_) => {}
        }
    }
    false
}

/// Reads what a token endpoint answered; whether it is a token.
#[must_use]
pub fn token_answer(status: u16, body: &[u8]) -> bool {
    let client = Client {
        endpoint: "https://token".into(),
        id: "user".into(),
        secret: "secret".into(),
        scopes: Vec::new(),
        extensions: BTreeMap::new(),
        ca: None,
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    token::read(status, body, Instant::now(), &client).is_ok()
}
