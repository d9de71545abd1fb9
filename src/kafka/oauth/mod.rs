//! OAuth's client credentials grant (RFC 6749 section 4.4) behind SASL/OAUTHBEARER (RFC 7628): a token is asked for when one is
//! needed, by one asker at a time, and kept until a fifth of its life is left.

mod client;
mod token;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::{Budget, Cause};
pub use client::Client;
use client::Token;
use token::Style;

/// A failure stands this long for everybody who asks: each broker of a cluster has its own lane.
const FAILURE_STANDS: Duration = Duration::from_secs(2);
/// A token that a broker refuses is asked for anew, but not more often than this.
const REFUSED_AGAIN: Duration = Duration::from_secs(60);

/// A client with the token that it has.
pub struct TokenSource {
    client: Client,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    token: Option<Token>,
    failure: Option<(Instant, Cause)>,
    style: Option<Style>,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource(..)")
    }
}

impl TokenSource {
    /// A source that has asked for nothing yet.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            held: Mutex::default(),
        }
    }

    /// The parts that tell this client from another, for a fingerprint.
    pub(in crate::kafka) fn texts(&self) -> impl Iterator<Item = &str> {
        let Client {
            endpoint,
            id,
            secret,
            scopes,
            extensions,
            ca,
        } = &self.client;
        let scopes = scopes.iter().map(String::as_str);
        let extensions = extensions
            .iter()
            .flat_map(|(k, v)| [k.as_str(), v.as_str()]);
        let ca = ca.as_deref().unwrap_or_default();
        [endpoint, id, secret.expose_secret(), ca]
            .into_iter()
            .chain(scopes)
            .chain(["\u{1}"])
            .chain(extensions)
    }

    /// The client's first message with a token that is good for a while.
    pub(in crate::kafka) async fn message(&self, budget: &Budget) -> Result<SecretString, Cause> {
        let mut held = self.held.lock().await;
        // A broker's session ends with the token, and is renewed at four fifths of it: with a new token then.
        if let Some(token) = held.token.as_ref().filter(|t| t.is_younger(0.8)) {
            return first_message(&token.text, &self.client.extensions);
        }
        let failure = held.failure.as_ref();
        let failure = failure.filter(|(at, _)| at.elapsed() < FAILURE_STANDS);
        let cause = match failure.map(|(_, cause)| cause.clone()) {
            Some(cause) => cause,
            None => match token::fetch(&self.client, &mut held.style, budget).await {
                Ok(token) => {
                    let message = first_message(&token.text, &self.client.extensions);
                    held.token = Some(token);
                    return message;
                }
                Err(cause) => {
                    held.failure = Some((Instant::now(), cause.clone()));
                    cause
                }
            },
        };
        // One that is about to end is better than none.
        match held.token.as_ref().filter(|t| t.is_younger(1.0)) {
            Some(token) => first_message(&token.text, &self.client.extensions),
            None => Err(cause),
        }
    }

    /// To be called when a broker refused the token: the next login asks for another.
    pub(in crate::kafka) async fn refused(&self) {
        let mut held = self.held.lock().await;
        if held
            .token
            .as_ref()
            .is_some_and(|t| t.asked.elapsed() >= REFUSED_AGAIN)
        {
            held.token = None;
        }
    }
}

/// Whether an answer of a token endpoint holds a token: for the fuzz targets.
#[must_use]
pub fn is_token(status: u16, body: &[u8]) -> bool {
    let client = Client {
        endpoint: "https://token".into(),
        id: "user".into(),
        secret: "secret".into(),
        scopes: Vec::new(),
        extensions: BTreeMap::new(),
        ca: None,
    };
    token::is_token(status, body, &client)
}

/// RFC 7628 section 3.1, without an authorization identity, as Kafka reads it.
fn first_message(
    token: &SecretString,
    extensions: &BTreeMap<String, String>,
) -> Result<SecretString, Cause> {
    let mut message = format!("n,,\u{1}auth=Bearer {}", token.expose_secret());
    for (key, value) in extensions {
        let ends = |text: &str| text.chars().any(char::is_control);
        if key.is_empty() || key == "auth" || ends(key) || ends(value) {
            return Err(Cause::Setting(
                "oauthExtensions: a key must not be empty or `auth`, and nothing may hold control characters".into(),
            ));
        }
        message.push('\u{1}');
        message.push_str(key);
        message.push('=');
        message.push_str(value);
    }
    message.push_str("\u{1}\u{1}");
    Ok(message.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(extensions: &[(&str, &str)]) -> Result<String, Cause> {
        let pairs = extensions.iter();
        let extensions = pairs.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let message = first_message(&"t.o.k".into(), &extensions.collect())?;
        Ok(message.expose_secret().to_owned())
    }

    #[test]
    fn a_token_and_its_extensions_are_framed_as_kafka_reads_them() {
        assert_eq!(message(&[]).unwrap(), "n,,\u{1}auth=Bearer t.o.k\u{1}\u{1}");
        assert_eq!(
            message(&[("logicalCluster", "lkc"), ("pool", "p")]).unwrap(),
            "n,,\u{1}auth=Bearer t.o.k\u{1}logicalCluster=lkc\u{1}pool=p\u{1}\u{1}"
        );
    }

    #[test]
    fn no_extension_ends_its_frame_or_takes_the_token_s_place() {
        for pair in [
            ("auth", "Bearer other"),
            ("", "v"),
            ("k", "v\u{1}auth=x"),
            ("k\n", "v"),
        ] {
            let error = message(&[pair]).unwrap_err();
            assert!(error.to_string().starts_with("oauthExtensions: "));
        }
    }

    fn token(age: u64, life: Option<u64>) -> Token {
        Token {
            text: "t.o.k".into(),
            asked: Instant::now()
                .checked_sub(Duration::from_secs(age))
                .unwrap(),
            life: life.map(Duration::from_secs),
        }
    }

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        assert!(token(70, Some(100)).is_younger(0.8));
        assert!(!token(81, Some(100)).is_younger(0.8));
        assert!(token(81, Some(100)).is_younger(1.0));
        assert!(!token(101, Some(100)).is_younger(1.0));
        assert!(token(101, None).is_younger(0.8));
    }

    #[tokio::test]
    async fn a_token_that_is_about_to_end_serves_on_while_no_other_can_be_had() {
        let with = |token| TokenSource {
            client: Client {
                // Nobody listens there.
                endpoint: "http://127.0.0.1:1/".into(),
                id: "id".into(),
                secret: "secret".into(),
                scopes: Vec::new(),
                extensions: BTreeMap::new(),
                ca: None,
            },
            held: Mutex::new(Held {
                token: Some(token),
                ..Held::default()
            }),
        };
        let source = with(token(90, Some(100)));
        let message = source.message(&Budget::default()).await.unwrap();
        assert!(message.expose_secret().contains("Bearer t.o.k"));
        source.refused().await;
        source.message(&Budget::default()).await.unwrap_err();
        with(token(100, Some(100)))
            .message(&Budget::default())
            .await
            .unwrap_err();
    }
}
