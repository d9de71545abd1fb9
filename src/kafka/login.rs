//! The login: a SASL handshake and its exchange, on a connection that is not used for anything else yet.

use std::time::{Duration, Instant};

use kafka_protocol::{
    ResponseError,
    messages::{SaslAuthenticateRequest, SaslHandshakeRequest},
    protocol::StrBytes,
};
use rsasl::{mechname::Mechname, prelude::SASLClient};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    Cause, Connection,
    error::first_sentence,
    oauth::TokenSource,
    requests::login,
    sasl::{Mechanism, Sasl, config},
};

/// Kafka's own default is 4 096; each costs time on a thread that others wait for.
const MOST_ITERATIONS: u64 = 100_000;

/// A credential with everything that is fetched from elsewhere.
pub(super) enum Login<'a> {
    Password {
        mechanism: Mechanism,
        username: &'a str,
        password: &'a SecretString,
    },
    Bearer {
        source: &'a TokenSource,
        message: SecretString,
    },
}

impl<'a> Login<'a> {
    /// Asks for a token if one is needed.
    pub(super) async fn prepared(sasl: &'a Sasl) -> Result<Self, Cause> {
        Ok(match sasl {
            Sasl::Password {
                mechanism,
                username,
                password,
            } => Self::Password {
                mechanism: *mechanism,
                username,
                password,
            },
            Sasl::Bearer(source) => Self::Bearer {
                source,
                message: source.message().await?,
            },
        })
    }
}

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

/// What a broker says of a token that it does not take (RFC 7628 section 3.2.2).
#[derive(Deserialize)]
struct Refusal {
    status: String,
    scope: Option<String>,
}

/// A refusal in words. Some brokers send it as the error's message, others before the error.
fn refusal(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Refusal { status, scope }) => {
            let wants = scope.map_or_else(String::new, |s| format!("; it wants the scope {s}"));
            first_sentence(&format!(
                "the broker does not take the token: {status}{wants}"
            ))
        }
        Err(_) => first_sentence(text),
    }
}

impl Connection {
    pub(super) async fn log_in(&mut self, login: Login<'_>) -> Result<(), Cause> {
        match login {
            Login::Password {
                mechanism,
                username,
                password,
            } => self.with_password(mechanism, username, password).await,
            Login::Bearer { source, message } => {
                let result = self.with_token(&message).await;
                if let Err(Cause::Login(_)) = result {
                    source.refused().await;
                }
                result
            }
        }
    }

    async fn mechanism(&mut self, mechanism: &'static str) -> Result<(), Cause> {
        let handshake =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let version = self.common::<SaslHandshakeRequest>(login::HANDSHAKE_CAP)?;
        let answer = self
            .exchange(&handshake, version, login::decode_handshake)
            .await?;
        match answer.error {
            None => Ok(()),
            Some(ResponseError::IllegalSaslState) => Err(Cause::NoSaslHere { mechanism }),
            Some(_) => Err(Cause::Mechanism {
                mechanism,
                offered: answer.offered,
            }),
        }
    }

    /// One message of the exchange and its answer.
    async fn authenticate(&mut self, message: Vec<u8>) -> Result<Vec<u8>, Cause> {
        let version = self.common::<SaslAuthenticateRequest>(login::AUTHENTICATE_CAP)?;
        let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
        let response = self
            .exchange(&request, version, login::decode_authenticate)
            .await?
            .map_err(|text| Cause::Login(refusal(&text)))?;
        let lifetime = response.session_lifetime_ms;
        self.redial_at =
            (lifetime > 0).then(|| Instant::now() + Duration::from_millis(lifetime).mul_f64(0.8));
        Ok(response.auth_bytes)
    }

    async fn with_token(&mut self, message: &SecretString) -> Result<(), Cause> {
        self.mechanism("OAUTHBEARER").await?;
        let answer = self
            .authenticate(message.expose_secret().as_bytes().to_vec())
            .await?;
        if answer.is_empty() {
            return Ok(());
        }
        // The exchange ends with this byte; whatever becomes of it, the broker has said why.
        let _ = self.authenticate(vec![1]).await;
        Err(Cause::Login(refusal(&String::from_utf8_lossy(&answer))))
    }

    async fn with_password(
        &mut self,
        mechanism: Mechanism,
        username: &str,
        password: &SecretString,
    ) -> Result<(), Cause> {
        let mechanism = mechanism.name();
        let failed = |e: &dyn std::fmt::Display| Cause::Sasl {
            mechanism,
            text: first_sentence(&e.to_string()),
        };
        self.mechanism(mechanism).await?;
        let name = Mechname::parse(mechanism.as_bytes()).map_err(|e| failed(&e))?;
        let config = config(username, password).map_err(|e| failed(&e))?;
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
                received = Some(self.authenticate(out).await?);
            }
            if state.is_finished() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{iterations, refusal};

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

    #[test]
    fn a_refused_token_is_told_in_words() {
        for (text, words) in [
            (
                r#"{"status":"invalid_token"}"#,
                "the broker does not take the token: invalid_token",
            ),
            (
                r#"{"status":"insufficient_scope","scope":"kafka","openid-configuration":"x"}"#,
                "the broker does not take the token: insufficient_scope; it wants the scope kafka",
            ),
            (
                "Invalid username or password",
                "Invalid username or password",
            ),
            ("{", "{"),
        ] {
            assert_eq!(refusal(text), words);
        }
        assert!(refusal(&format!(r#"{{"status":"{}"}}"#, "x".repeat(9_000))).len() <= 300);
    }
}
