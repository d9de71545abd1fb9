//! A client of a token endpoint, and a token of it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use secrecy::SecretString;

/// The client that a token is asked for with. Everything but the names may be secret, so nothing is printed.
#[derive(Clone)]
pub struct Client {
    /// `oauthTokenEndpointUri`: http or https.
    pub endpoint: String,
    /// `username`.
    pub id: String,
    /// `password`.
    pub secret: SecretString,
    /// `scopes`, as they are sent; nothing but empty ones is not sent.
    pub scopes: Vec<String>,
    /// `oauthExtensions`, sent to the broker beside the token.
    pub extensions: BTreeMap<String, String>,
    /// `ca`: trusted beside the system's roots.
    pub ca: Option<String>,
}

/// A token, and how long it is good for.
pub(in crate::kafka) struct Token {
    pub(super) text: SecretString,
    pub(super) asked: Instant,
    /// `None`: the endpoint did not say.
    pub(super) life: Option<Duration>,
}

impl Token {
    pub(super) fn is_younger(&self, part: f64) -> bool {
        self.life
            .is_none_or(|life| self.asked.elapsed() < life.mul_f64(part))
    }
}
