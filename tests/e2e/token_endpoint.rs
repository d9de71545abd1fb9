//! A small OAuth token endpoint: the client credentials grant over HTTP, with unsigned tokens, and a count of what it was asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// The client's secret, whoever it is.
pub const SECRET: &str = "token: secret & more";

/// By client: how often a token was given, and how often refused.
type Asked = Arc<Mutex<BTreeMap<String, (usize, usize)>>>;

/// Listens until the runtime ends.
pub struct TokenEndpoint {
    /// `host:port`.
    pub address: String,
    asked: Asked,
}

impl TokenEndpoint {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Asked::default();
        let router = Router::new().route("/{life}/token", post(give));
        let router = router.with_state(asked.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    /// Where tokens that live for so many seconds are given.
    pub fn uri(&self, life: u64) -> String {
        format!("http://{}/{life}/token", self.address)
    }

    /// How often a client was given a token, and how often refused.
    pub fn asked(&self, client: &str) -> (usize, usize) {
        let asked = self.asked.lock().unwrap();
        asked.get(client).copied().unwrap_or_default()
    }
}

async fn give(
    State(asked): State<Asked>,
    Path(life): Path<u64>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, Json<Value>) {
    let decoded = |text: &str| {
        let pairs = form_urlencoded::parse(text.as_bytes());
        let pairs = pairs.map(|(k, v)| (k.into_owned(), v.into_owned()));
        pairs.collect::<BTreeMap<String, String>>()
    };
    let form = decoded(&body);
    let basic = headers.get(header::AUTHORIZATION);
    let basic = basic.and_then(|v| v.to_str().ok()?.strip_prefix("Basic "));
    let pair = basic.and_then(|b| String::from_utf8(BASE64_STANDARD.decode(b).ok()?).ok());
    let pair = pair.unwrap_or_default();
    let (id, secret) = pair.split_once(':').unwrap_or_default();
    let plain = |text: &str| decoded(text).into_keys().next().unwrap_or_default();
    let (client, secret) = (plain(id), plain(secret));
    let right = secret == SECRET && form["grant_type"] == "client_credentials";
    let mut asked = asked.lock().unwrap();
    let count = asked.entry(client.clone()).or_default();
    if !right {
        count.1 += 1;
        let error = json!({"error": "invalid_client", "error_description": SECRET});
        return (StatusCode::UNAUTHORIZED, Json(error));
    }
    count.0 += 1;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let scope: Vec<_> = form["scope"].split(' ').collect();
    let claims = json!({"sub": client, "iat": now, "exp": now + life, "scope": scope});
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let token = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims));
    let answer = json!({"access_token": token, "token_type": "bearer", "expires_in": life});
    (StatusCode::OK, Json(answer))
}
