//! Messages of brokers in SCRAM, through the exchange that takes it: for the fuzz targets and their corpora.

use super::{login::Exchange, sasl::Mechanism};

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
