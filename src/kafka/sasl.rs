//! The credential towards a broker: a user with a password, or whoever an OAuth token says.

use std::sync::Arc;

use rsasl::config::SASLConfig;
use secrecy::{ExposeSecret, SecretString};

use super::oauth::TokenSource;

/// A mechanism with its credential.
#[derive(Clone, Debug)]
pub enum Sasl {
    /// PLAIN and SCRAM.
    Password {
        /// The mechanism and its credential.
        mechanism: Mechanism,
        /// The user.
        username: String,
        /// Never printed.
        password: SecretString,
    },
    /// OAUTHBEARER (RFC 7628). Clones share the token.
    Bearer(Arc<TokenSource>),
}

/// The mechanisms with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616; the password goes over the wire as it is, so use it with TLS.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677 with SHA-512.
    ScramSha512,
}

impl Sasl {
    /// The registered name of the mechanism.
    #[must_use]
    pub const fn mechanism(&self) -> &'static str {
        match self {
            Self::Password { mechanism, .. } => mechanism.name(),
            Self::Bearer(_) => "OAUTHBEARER",
        }
    }
}

impl Mechanism {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name that KEDA has for it, in `sasl`.
    #[must_use]
    pub const fn keda_name(self) -> &'static str {
        match self {
            Self::Plain => "plaintext",
            Self::ScramSha256 => "scram_sha256",
            Self::ScramSha512 => "scram_sha512",
        }
    }

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

/// The settings of rsasl for one exchange.
pub(super) fn config(username: &str, password: &SecretString) -> Result<Arc<SASLConfig>, String> {
    let password = password.expose_secret().to_owned();
    SASLConfig::with_credentials(None, username.to_owned(), password).map_err(|e| e.to_string())
}
