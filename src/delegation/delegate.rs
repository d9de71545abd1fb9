//! A backend that is asked: bounded in time, size and number of requests, so that what is wrong with it is its own.

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kube::{Client, Config, client::Body, config::AuthInfo};
use secrecy::{ExposeSecret, SecretString};
use serde::de::IgnoredAny;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    Addresses,
    backend::{Backend, Trust, certificates},
    token::Tokens,
};

/// Token, connection, question and answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Questions at once; one more is refused at once, since they hang together.
const PLACES: usize = 64;
/// Largest answer, in bytes.
const MOST: usize = 1 << 20;
/// Letters of another server's text that are repeated.
const REPEATED: usize = 200;
/// The first bytes of Kubernetes' protobuf.
const PROTOBUF: &[u8] = b"k8s\0";

/// An answer, as the backend gave it.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub code: StatusCode,
    /// `Content-Type`.
    pub content_type: HeaderValue,
    /// The body.
    pub body: Bytes,
}

/// Why a backend has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Trouble {
    /// The status to answer with: 502, 503 or 504.
    pub code: StatusCode,
    /// A sentence that names the backend.
    pub text: String,
}

/// A question as it is passed on.
#[derive(Clone, Copy, Debug)]
pub struct Passed<'a> {
    /// Path and query.
    pub target: &'a str,
    /// The headers that it came with.
    pub headers: &'a HeaderMap,
}

/// A backend with the connections to it.
pub struct Delegate {
    pub(super) backend: Backend,
    client: Client,
    places: Semaphore,
}

impl Delegate {
    /// A backend that nobody has connected to yet. `addresses` say where a Service is whose name does not resolve.
    ///
    /// # Errors
    /// Its CA can't be used.
    pub(super) fn new(backend: Backend, addresses: &Addresses) -> Result<Self, String> {
        let client = client(&backend, addresses).map_err(|error| format!("{backend}: {error}"))?;
        Ok(Self {
            backend,
            client,
            places: Semaphore::new(PLACES),
        })
    }

    /// The backend's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.backend.name
    }

    /// Asks the backend; `via` is the name by which a request that comes back is known.
    pub(super) async fn ask(
        &self,
        passed: Passed<'_>,
        tokens: &Tokens,
        via: &HeaderValue,
    ) -> Result<Answer, Trouble> {
        let Ok(_place) = self.places.try_acquire() else {
            let what = format!("answers none of {PLACES} questions that wait already");
            return Err(self.trouble(StatusCode::SERVICE_UNAVAILABLE, &what));
        };
        let late = || {
            let what = format!("did not answer within {} s", DEADLINE.as_secs());
            self.trouble(StatusCode::GATEWAY_TIMEOUT, &what)
        };
        timeout(DEADLINE, self.answered(passed, tokens, via))
            .await
            .map_err(|_| late())?
    }

    /// A token that is refused may have been revoked: one more try with another.
    async fn answered(
        &self,
        passed: Passed<'_>,
        tokens: &Tokens,
        via: &HeaderValue,
    ) -> Result<Answer, Trouble> {
        let mut refused = false;
        loop {
            let token = tokens
                .get()
                .await
                .map_err(|error| self.bad(&format!("can't be asked: {error}")))?;
            let answer = self.try_once(passed, &token, via).await?;
            match answer.code {
                StatusCode::UNAUTHORIZED if !refused => {
                    refused = true;
                    tokens.forget(&token).await;
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let said = message(&answer);
                    return Err(self.bad(&format!("refuses lagscale's delegate: {said}")));
                }
                StatusCode::LOOP_DETECTED => {
                    return Err(self.bad("leads back here"));
                }
                code if code.is_redirection() => {
                    return Err(self.bad(&format!("answers {code}, which is not followed")));
                }
                _ => return Ok(answer),
            }
        }
    }

    async fn try_once(
        &self,
        passed: Passed<'_>,
        token: &SecretString,
        via: &HeaderValue,
    ) -> Result<Answer, Trouble> {
        let request = request(passed, token, via);
        let request = request.map_err(|error| self.bad(&format!("can't be asked: {error}")))?;
        let reply = self.client.send(request).await;
        let reply =
            reply.map_err(|error| self.bad(&format!("can't be reached: {}", causes(&error))))?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, MOST).collect().await;
        let body = body.map_err(|error| {
            let what = if error.is::<http_body_util::LengthLimitError>() {
                format!("answers with more than {MOST} bytes")
            } else {
                format!("broke off its answer: {error}")
            };
            self.bad(&what)
        })?;
        let answer = Answer {
            code: head.status,
            content_type: head
                .headers
                .get(header::CONTENT_TYPE)
                .cloned()
                .unwrap_or(HeaderValue::from_static("")),
            body: body.to_bytes(),
        };
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::LOOP_DETECTED];
        if head.status.is_redirection() || refused.contains(&head.status) || is_sound(&answer) {
            return Ok(answer);
        }
        Err(self.bad(&format!(
            "answers {} with {} bytes of {:?}, which are no Kubernetes object",
            answer.code.as_u16(),
            answer.body.len(),
            answer.content_type
        )))
    }

    fn bad(&self, what: &str) -> Trouble {
        self.trouble(StatusCode::BAD_GATEWAY, what)
    }

    fn trouble(&self, code: StatusCode, what: &str) -> Trouble {
        Trouble {
            code,
            text: format!("{} {what}", self.backend),
        }
    }
}

/// The connections to a backend: HTTP/1.1, kept, verified as it is trusted. No proxy, no redirects, no retries.
fn client(backend: &Backend, addresses: &Addresses) -> Result<Client, String> {
    let Backend { service, trust, .. } = backend;
    let host = service.host();
    let place = match addresses.get(&format!("{}.{}", service.name, service.namespace)) {
        Some(IpAddr::V6(address)) => format!("[{address}]"),
        Some(IpAddr::V4(address)) => address.to_string(),
        None => host.clone(),
    };
    let uri = format!("https://{place}:{}", service.port);
    let mut config = Config::new(uri.parse().map_err(|e| format!("{uri}: {e}"))?);
    config.tls_server_name = Some(host);
    config.auth_info = AuthInfo::default();
    config.default_retry = false;
    match trust {
        Trust::Bundle(pem) => config.root_cert = Some(certificates(pem)),
        Trust::Anyone => config.accept_invalid_certs = true,
        Trust::Roots => {}
    }
    Client::try_from(config).map_err(|error| causes(&error))
}

fn request(
    passed: Passed<'_>,
    token: &SecretString,
    via: &HeaderValue,
) -> Result<Request<Body>, http::Error> {
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))?;
    bearer.set_sensitive(true);
    let mut request = Request::get(passed.target)
        .header(header::AUTHORIZATION, bearer)
        .header(
            header::USER_AGENT,
            concat!("lagscale/", env!("CARGO_PKG_VERSION")),
        );
    for accept in passed.headers.get_all(header::ACCEPT) {
        request = request.header(header::ACCEPT, accept);
    }
    for hop in passed.headers.get_all(header::VIA).iter().chain([via]) {
        request = request.header(header::VIA, hop);
    }
    request.body(Body::empty())
}

/// Whether it is an object of Kubernetes in one of its forms, as far as that can be seen from outside.
fn is_sound(answer: &Answer) -> bool {
    let content_type = answer.content_type.to_str().unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match essence {
        "application/json" => {
            answer.body.first() == Some(&b'{')
                && serde_json::from_slice::<IgnoredAny>(&answer.body).is_ok()
        }
        "application/vnd.kubernetes.protobuf" => answer.body.starts_with(PROTOBUF),
        "application/yaml" => std::str::from_utf8(&answer.body).is_ok_and(|t| t.contains("kind:")),
        _ => false,
    }
}

/// The message of a Status, or the code.
fn message(answer: &Answer) -> String {
    let status = serde_json::from_slice::<serde_json::Value>(&answer.body);
    let status = status.unwrap_or_default();
    let said = status["message"].as_str();
    said.map_or_else(
        || answer.code.to_string(),
        |said| crate::text::shown(said, REPEATED),
    )
}

/// An error with its causes.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        next = error.source();
    }
    // The outermost say only that something failed.
    let last = texts.len().saturating_sub(2);
    texts.split_off(last).join(": ")
}
