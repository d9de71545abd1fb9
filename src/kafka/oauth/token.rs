//! One request for a token: an HTTP POST, bounded in time and size, as golang.org/x/oauth2 sends it, which KEDA uses.
//!
//! Its errors name the endpoint's host and port, the HTTP status and OAuth's error code, and nothing that was sent.

use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use form_urlencoded::{Serializer, byte_serialize};
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use serde::Deserialize;
use tokio::{task::JoinSet, time::timeout};

use super::client::{Client, Token};
use crate::kafka::{
    Address, Budget, Cause,
    stream::{Stream, connect, handshake},
    tls::Tls,
};

/// Name resolution, TCP, TLS, and the one or two requests that it takes.
const DEADLINE: Duration = Duration::from_secs(10);
/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 256 << 10;

/// Where the client's id and secret go; endpoints differ.
#[derive(Clone, Copy)]
pub(super) enum Style {
    /// `Authorization: Basic`, which RFC 6749 wants.
    Header,
    /// Two more fields of the form.
    Body,
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    /// Seconds; some send them as text.
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
}

/// Asks for a token. `style` is what worked the last time; before anything has, the header is tried and then the body.
pub(super) async fn fetch(
    client: &Client,
    style: &mut Option<Style>,
    budget: &Budget,
) -> Result<Token, Cause> {
    let endpoint = endpoint(&client.endpoint)?;
    let asking = async {
        let mut one = style.unwrap_or(Style::Header);
        let mut answer = ask(client, &endpoint, one, budget).await;
        if style.is_none() && matches!(&answer, Err(said) if said.configuration) {
            one = Style::Body;
            answer = ask(client, &endpoint, one, budget).await;
        }
        if answer.is_ok() {
            *style = Some(one);
        }
        answer
    };
    let late = || Said::passing(format!("no answer within {} s", DEADLINE.as_secs()));
    let answer = timeout(DEADLINE, asking).await;
    answer
        .unwrap_or_else(|_| Err(late()))
        .map_err(|said| Cause::Token {
            endpoint: endpoint.address,
            text: said.text,
            configuration: said.configuration,
        })
}

/// Why there is no token.
struct Said {
    text: String,
    /// Somebody has to change something: here, or the way the client is named.
    configuration: bool,
}

impl Said {
    fn passing(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            configuration: false,
        }
    }

    /// The cause of a failed dial, which knows brokers only.
    fn from(cause: &Cause) -> Self {
        let text = match cause {
            Cause::Resolve(text) => format!("the host name does not resolve ({text})"),
            Cause::NotTls => "this port may not speak TLS (is https right for it?)".into(),
            cause => cause.to_string(),
        };
        Self {
            configuration: cause.is_configuration(),
            ..Self::passing(text)
        }
    }
}

struct Endpoint {
    address: Address,
    tls: bool,
    /// Path and query.
    target: Uri,
    /// Host, and port if one was written.
    host: String,
}

fn endpoint(uri: &str) -> Result<Endpoint, Cause> {
    // Not echoed: it comes from where secrets come from.
    let wrong =
        || Cause::Setting("oauthTokenEndpointUri: not a valid http:// or https:// address".into());
    let uri: Uri = uri.parse().map_err(|_| wrong())?;
    let (tls, port) = match uri.scheme_str() {
        Some("https") => (true, 443),
        Some("http") => (false, 80),
        _ => return Err(wrong()),
    };
    let host = uri.host().filter(|h| !h.is_empty()).ok_or_else(wrong)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    Ok(Endpoint {
        address: Address::new(bare, uri.port_u16().unwrap_or(port)),
        tls,
        target: path.parse().map_err(|_| wrong())?,
        host: match uri.port_u16() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        },
    })
}

fn request(
    client: &Client,
    endpoint: &Endpoint,
    style: Style,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut form = Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    // Some endpoints refuse an empty one.
    let scopes = client.scopes.join(" ");
    if !scopes.trim().is_empty() {
        form.append_pair("scope", &scopes);
    }
    let secret = client.secret.expose_secret();
    let mut request = Request::post(endpoint.target.clone())
        .header(header::HOST, &endpoint.host)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    match style {
        Style::Header => {
            let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", escaped(&client.id), escaped(secret));
            let mut value =
                http::HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(pair)))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        Style::Body => {
            form.append_pair("client_id", &client.id);
            form.append_pair("client_secret", secret);
        }
    }
    request.body(Full::from(form.finish()))
}

async fn ask(
    client: &Client,
    endpoint: &Endpoint,
    style: Style,
    budget: &Budget,
) -> Result<Token, Said> {
    let address = &endpoint.address;
    let request = request(client, endpoint, style)
        .map_err(|e| Said::passing(format!("the request can't be made: {e}")))?;
    let tcp = connect(address, budget).await.map_err(|c| Said::from(&c))?;
    let stream: Box<dyn Stream> = if endpoint.tls {
        let tls = Tls {
            ca: client.ca.clone(),
            ..Tls::default()
        };
        let config = tls.prepared().await.map_err(|c| Said::from(&c))?;
        let stream = handshake(address, config, tcp).await;
        Box::new(stream.map_err(|c| Said::from(&c))?)
    } else {
        Box::new(tcp)
    };
    let cut = |e: &dyn std::fmt::Display| Said::passing(format!("the HTTP exchange failed: {e}"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| cut(&e))?;
    // Ends with this function.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let asked = Instant::now();
    let (head, body) = sender
        .send_request(request)
        .await
        .map_err(|e| cut(&e))?
        .into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map_err(|e| cut(&e))?.to_bytes();
    read(head.status, &body, asked, client)
}

/// Whether an answer with this status holds a token.
pub(super) fn is_token(status: u16, body: &[u8], client: &Client) -> bool {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    read(status, body, Instant::now(), client).is_ok()
}

fn read(status: StatusCode, body: &[u8], asked: Instant, client: &Client) -> Result<Token, Said> {
    let passes = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        );
    let said = |what: &str| Said {
        text: format!("HTTP {}{what}", status.as_u16()),
        configuration: !passes,
    };
    let answer = serde_json::from_slice::<Answer>(body).ok();
    let code = answer.as_ref().and_then(|a| a.error.as_deref());
    if let Some(code) = code.filter(|code| is_code(code, client)) {
        return Err(said(&format!(" {code}{}", advice(code))));
    }
    if status.is_redirection() {
        return Err(said("; redirects are not followed"));
    }
    if !status.is_success() || code.is_some() {
        return Err(said(""));
    }
    let Some(Answer {
        access_token: Some(text),
        expires_in,
        ..
    }) = answer
    else {
        return Err(said(" without an access_token in JSON"));
    };
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(said(" with an access_token that no bearer token can be"));
    }
    let seconds = expires_in.and_then(|v| match v {
        serde_json::Value::String(text) => text.parse().ok(),
        value => value.as_f64(),
    });
    // At most a year: what comes from the network is not taken for a clock's range.
    let life = seconds
        .filter(|s| s.is_finite() && *s != 0.0)
        .map(|s| s.clamp(0.0, 31_536_000.0));
    Ok(Token {
        text: text.into(),
        asked,
        life: life.map(Duration::from_secs_f64),
    })
}

/// Whether it is short and of the letters that codes are of, and not the secret sent back.
fn is_code(code: &str, client: &Client) -> bool {
    (1..=40).contains(&code.len())
        && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        && !code.contains(client.secret.expose_secret())
}

fn advice(code: &str) -> &'static str {
    match code {
        "invalid_client" | "unauthorized_client" => {
            "; check username (the client id) and password (its secret)"
        }
        "invalid_scope" => "; check scopes",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
