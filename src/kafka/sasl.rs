//! Who we are towards a broker: PLAIN and SCRAM through rsasl.

use std::sync::Arc;

use rsasl::config::SASLConfig;
use secrecy::{ExposeSecret, SecretString};

/// A mechanism with its credential.
#[derive(Clone, Debug)]
pub struct Sasl {
    /// What to speak.
    pub mechanism: Mechanism,
    /// The user, or the client id.
    pub username: String,
    /// Never printed.
    pub password: SecretString,
}

/// The mechanisms that can be connected with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616; the password goes over the wire as it is, so use it with TLS.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// The registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Sasl {
    /// What rsasl needs for one exchange.
    pub(super) fn config(&self) -> Result<Arc<SASLConfig>, String> {
        SASLConfig::with_credentials(
            None,
            self.username.clone(),
            self.password.expose_secret().to_owned(),
        )
        .map_err(|e| e.to_string())
    }
}
