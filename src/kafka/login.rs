//! The login: a SASL handshake and its exchange, on a connection that is not used for anything else yet.

use std::time::{Duration, Instant};

use kafka_protocol::{
    ResponseError,
    messages::{SaslAuthenticateRequest, SaslHandshakeRequest},
    protocol::StrBytes,
};
use rsasl::{
    mechname::Mechname,
    prelude::{SASLClient, Session},
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    Budget, Cause, Connection,
    error::first_sentence,
    oauth::TokenSource,
    requests::sasl,
    sasl::{Mechanism, Sasl, config},
};

/// Twice the most that Kafka itself makes a user's password of; each costs time on a thread that others wait for.
const MOST_ITERATIONS: u64 = 32_768;

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
    pub(super) async fn prepared(sasl: &'a Sasl, budget: &Budget) -> Result<Self, Cause> {
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
                message: source.message(budget).await?,
            },
        })
    }
}

/// Whether a SCRAM server's message is one (RFC 5802: `r=...,s=...,i=4096`, then `v=...` or `e=...`), and asks for no more work
/// than is done. The library takes much for granted.
fn sound(message: &[u8]) -> Result<(), String> {
    let strange = || "the broker's message is none of SCRAM's".to_owned();
    let text = std::str::from_utf8(message).ok().filter(|t| t.is_ascii());
    let parts: Vec<&str> = text.ok_or_else(strange)?.split(',').collect();
    let whole = |p: &&str| p.len() > 2 && p.as_bytes().get(1) == Some(&b'=');
    if !parts.iter().all(whole) {
        return Err(strange());
    }
    match parts.as_slice() {
        [last] if last.starts_with("v=") || last.starts_with("e=") => Ok(()),
        [nonce, salt, count, ..] if nonce.starts_with("r=") && salt.starts_with("s=") => {
            let count = count.strip_prefix("i=").ok_or_else(strange)?;
            if !count.bytes().all(|b| b.is_ascii_digit()) {
                return Err(strange());
            }
            match count.parse::<u64>() {
                Ok(1..=MOST_ITERATIONS) => Ok(()),
                _ => Err(format!(
                    "the broker asks for {count} iterations, {MOST_ITERATIONS} are the most that are done"
                )),
            }
        }
        _ => Err(strange()),
    }
}

/// A broker's answer to a token that it does not take (RFC 7628 section 3.2.2).
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
        let version = self.common::<SaslHandshakeRequest>(sasl::HANDSHAKE_CAP)?;
        let answer = self
            .exchange(&handshake, version, sasl::decode_handshake)
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
        let version = self.common::<SaslAuthenticateRequest>(sasl::AUTHENTICATE_CAP)?;
        let request = SaslAuthenticateRequest::default().with_auth_bytes(message.into());
        let response = self
            .exchange(&request, version, sasl::decode_authenticate)
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
        self.mechanism(mechanism.name()).await?;
        let mut exchange = Exchange::begin(mechanism, username, password)?;
        let mut received: Option<Vec<u8>> = None;
        loop {
            let (message, finished) = exchange.step(received.as_deref())?;
            if let Some(message) = message {
                received = Some(self.authenticate(message).await?);
            }
            if finished {
                return Ok(());
            }
        }
    }
}

/// Our side of an exchange with a password.
pub(super) struct Exchange {
    mechanism: Mechanism,
    session: Session,
}

impl Exchange {
    pub(super) fn begin(
        mechanism: Mechanism,
        username: &str,
        password: &SecretString,
    ) -> Result<Self, Cause> {
        let failed = |e: &dyn std::fmt::Display| failed(mechanism, e);
        let name = Mechname::parse(mechanism.name().as_bytes()).map_err(|e| failed(&e))?;
        let config = config(username, password).map_err(|e| failed(&e))?;
        let session = SASLClient::new(config).start_suggested(&[name]);
        Ok(Self {
            mechanism,
            session: session.map_err(|e| failed(&e))?,
        })
    }

    /// The next message after one that was received, if any, and whether that is the end.
    pub(super) fn step(
        &mut self,
        received: Option<&[u8]>,
    ) -> Result<(Option<Vec<u8>>, bool), Cause> {
        let mechanism = self.mechanism;
        if mechanism != Mechanism::Plain
            && let Some(message) = received
        {
            sound(message).map_err(|text| failed(mechanism, &text))?;
        }
        let mut out = Vec::new();
        let state = self.session.step(received, &mut out);
        let state = state.map_err(|e| failed(mechanism, &e))?;
        Ok((state.has_sent_message().then_some(out), state.is_finished()))
    }
}

fn failed(mechanism: Mechanism, why: &dyn std::fmt::Display) -> Cause {
    Cause::Sasl {
        mechanism: mechanism.name(),
        text: first_sentence(&why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{refusal, sound};

    #[test]
    fn what_a_broker_says_in_scram_is_looked_at_before_the_library_does() {
        for message in [
            "r=nonce,s=c2FsdA==,i=4096",
            "r=n=o,s=s,i=1,x=y",
            "v=proof",
            "e=other-error",
        ] {
            assert_eq!(sound(message.as_bytes()), Ok(()), "{message}");
        }
        for message in [
            "",
            "r=x,",
            "r=x",
            "v=",
            "r=x,s=y",
            "r=x,s=y,i=",
            "r=x,s=y,i=+4000000000",
            "r=x,s=y,i=x",
            "r=,s=y,i=1",
            "r=x,s=y,i=0",
            "r=x,s=y,i=99999999999999999999999",
            "r=x,s=y,i=32769",
            "m=x,r=y,s=z",
            "x",
        ] {
            assert!(sound(message.as_bytes()).is_err(), "{message}");
        }
        assert!(sound(b"r=\xff,s=y,i=4000000").is_err());
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
        assert!(refusal(&format!(r#"{{"status":"{}"}}"#, "x".repeat(9_000))).len() < 310);
    }
}
