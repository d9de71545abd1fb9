//! The login: a SASL handshake and its exchange, on a connection that is not used for anything else yet.

use std::time::{Duration, Instant};

use kafka_protocol::{
    ResponseError,
    messages::{SaslAuthenticateRequest, SaslHandshakeRequest},
    protocol::StrBytes,
};
use rsasl::{mechname::Mechname, prelude::SASLClient};

use super::{Cause, Connection, error::first_sentence, requests::login, sasl::Sasl};

/// Kafka's own default is 4 096; each costs time on a thread that others wait for.
const MOST_ITERATIONS: u64 = 100_000;

/// The iteration count of a SCRAM server's first message (RFC 5802: `r=...,s=...,i=4096`).
fn iterations(message: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(message).ok()?;
    let count = text.split(',').find_map(|part| part.strip_prefix("i="))?;
    // What is no number is the library's to refuse; what does not fit is too many.
    count
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| count.parse().unwrap_or(u64::MAX))
}

impl Connection {
    pub(super) async fn log_in(&mut self, sasl: &Sasl) -> Result<(), Cause> {
        let mechanism = sasl.mechanism.name();
        let failed = |e: &dyn std::fmt::Display| Cause::Sasl {
            mechanism,
            text: first_sentence(&e.to_string()),
        };
        let handshake =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let version = self.common::<SaslHandshakeRequest>(login::HANDSHAKE_CAP)?;
        let answer = self
            .exchange(&handshake, version, login::decode_handshake)
            .await?;
        match answer.error {
            None => {}
            Some(ResponseError::IllegalSaslState) => return Err(Cause::NoSaslHere { mechanism }),
            Some(_) => {
                return Err(Cause::Mechanism {
                    mechanism,
                    offered: answer.offered,
                });
            }
        }

        let version = self.common::<SaslAuthenticateRequest>(login::AUTHENTICATE_CAP)?;
        let name = Mechname::parse(mechanism.as_bytes()).map_err(|e| failed(&e))?;
        let config = sasl.config().map_err(|e| failed(&e))?;
        let mut session = SASLClient::new(config)
            .start_suggested(&[name])
            .map_err(|e| failed(&e))?;
        let mut received: Option<Vec<u8>> = None;
        loop {
            let mut out = Vec::new();
            if let Some(count) = received.as_deref().and_then(iterations)
                && count > MOST_ITERATIONS
            {
                let text = format!(
                    "the broker asks for {count} iterations, {MOST_ITERATIONS} are the most that are done"
                );
                return Err(Cause::Sasl { mechanism, text });
            }
            let state = session
                .step(received.as_deref(), &mut out)
                .map_err(|e| failed(&e))?;
            if state.has_sent_message() {
                let request = SaslAuthenticateRequest::default().with_auth_bytes(out.into());
                let response = self
                    .exchange(&request, version, login::decode_authenticate)
                    .await?
                    .map_err(Cause::Login)?;
                let lifetime = response.session_lifetime_ms;
                self.redial_at = (lifetime > 0)
                    .then(|| Instant::now() + Duration::from_millis(lifetime).mul_f64(0.8));
                received = Some(response.auth_bytes);
            }
            if state.is_finished() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::iterations;

    #[test]
    fn the_iterations_a_broker_asks_for_are_seen_before_they_are_done() {
        for (message, count) in [
            ("r=nonce,s=salt,i=4096", Some(4096)),
            ("r=nonce,s=salt,i=99999999999999999999999", Some(u64::MAX)),
            ("r=nonce,s=salt,i=x", None),
            ("v=proof", None),
            ("e=other-error", None),
        ] {
            assert_eq!(iterations(message.as_bytes()), count, "{message}");
        }
    }
}
