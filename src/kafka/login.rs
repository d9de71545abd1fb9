//! The login: a SASL handshake and its exchange, on a connection that is not used for anything else yet.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{SaslAuthenticateRequest, SaslHandshakeRequest},
    protocol::StrBytes,
};
use rsasl::{mechname::Mechname, prelude::SASLClient};

use super::{Cause, Connection, error::first_sentence, sasl::Sasl};

impl Connection {
    pub(super) async fn log_in(&mut self, sasl: &Sasl) -> Result<(), Cause> {
        let mechanism = sasl.mechanism.name();
        let failed = |e: &dyn std::fmt::Display| Cause::Sasl {
            mechanism,
            text: first_sentence(&e.to_string()),
        };
        let handshake =
            SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let version = self.common::<SaslHandshakeRequest>(1)?;
        let answer = self.exchange(&handshake, version).await?;
        match ResponseError::try_from_code(answer.error_code) {
            None => {}
            Some(ResponseError::IllegalSaslState) => return Err(Cause::NoSaslHere { mechanism }),
            Some(_) => {
                let offered: Vec<_> = answer.mechanisms.iter().map(StrBytes::as_str).collect();
                return Err(Cause::Mechanism {
                    mechanism,
                    offered: offered.join(", ").chars().take(200).collect(),
                });
            }
        }

        let version = self.common::<SaslAuthenticateRequest>(i16::MAX)?;
        let name = Mechname::parse(mechanism.as_bytes()).map_err(|e| failed(&e))?;
        let config = sasl.config().map_err(|e| failed(&e))?;
        let mut session = SASLClient::new(config)
            .start_suggested(&[name])
            .map_err(|e| failed(&e))?;
        let mut received: Option<Bytes> = None;
        loop {
            let mut out = Vec::new();
            let state = session
                .step(received.as_deref(), &mut out)
                .map_err(|e| failed(&e))?;
            if state.has_sent_message() {
                let request = SaslAuthenticateRequest::default().with_auth_bytes(out.into());
                let response = self.exchange(&request, version).await?;
                if let Some(error) = ResponseError::try_from_code(response.error_code) {
                    let text = response.error_message.map_or_else(
                        || super::error::code_name(error),
                        |m| first_sentence(m.as_str()),
                    );
                    return Err(Cause::Login(text));
                }
                let lifetime = u64::try_from(response.session_lifetime_ms).unwrap_or(0);
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
