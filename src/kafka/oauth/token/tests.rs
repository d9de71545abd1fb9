//! Against an HTTP endpoint of one page: it gives the answers it was made with, the last one for ever.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use http_body_util::BodyExt;
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::kafka::oauth::TokenSource;

const TOKEN: &str = r#"{"access_token":"t.o.k","token_type":"bearer","expires_in":3600}"#;

struct Page {
    uri: String,
    /// The request: head and body.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Page {
    async fn new(answers: &[(u16, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let answers: Vec<String> = answers
            .iter()
            .map(|(code, body)| {
                let length = body.len();
                format!(
                    "HTTP/1.1 {code} x\r\ncontent-length: {length}\r\nlocation: /\r\n\r\n{body}"
                )
            })
            .collect();
        let log = asked.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                // Every form ends with a field that the tests know the end of.
                while !request.ends_with(b"x%2Fy") && !request.ends_with(b"+b") {
                    // A TLS record begins with this byte, and no form follows it.
                    if stream.read_buf(&mut request).await.unwrap() == 0 || request[0] == 22 {
                        break;
                    }
                }
                let answer = {
                    let mut log = log.lock().unwrap();
                    let number = log.len().min(answers.len() - 1);
                    log.push(String::from_utf8_lossy(&request).into_owned());
                    answers[number].clone()
                };
                // A reader that has read enough hangs up.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self {
            uri: format!("http://127.0.0.1:{port}/token?tenant=a"),
            asked,
        }
    }

    fn client(&self) -> Client {
        Client {
            endpoint: self.uri.clone(),
            id: "the id".into(),
            secret: "very:secret x/y".into(),
            scopes: vec!["a".into(), "b".into()],
            extensions: [].into(),
            ca: None,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The error of one request for a token, and whether a person has to act.
async fn refused(code: u16, body: &str) -> (String, bool) {
    let page = Page::new(&[(code, body)]).await;
    let cause = fetch(&page.client(), &mut None, &Budget::default())
        .await
        .err()
        .unwrap();
    (cause.to_string(), cause.is_configuration())
}

#[tokio::test]
async fn the_client_is_named_in_the_header_and_then_in_the_form_and_what_worked_is_remembered() {
    let page = Page::new(&[(401, r#"{"error":"invalid_client"}"#), (200, TOKEN)]).await;
    let mut style = None;
    let token = fetch(&page.client(), &mut style, &Budget::default())
        .await
        .unwrap();
    assert_eq!(token.text.expose_secret(), "t.o.k");
    assert_eq!(token.life, Some(Duration::from_secs(3600)));
    fetch(&page.client(), &mut style, &Budget::default())
        .await
        .unwrap();
    let asked = page.asked();
    let form = "\r\n\r\ngrant_type=client_credentials&scope=a+b";
    let in_body = format!("{form}&client_id=the+id&client_secret=very%3Asecret+x%2Fy");
    let basic = BASE64_STANDARD.encode("the+id:very%3Asecret+x%2Fy");
    assert!(asked[0].starts_with("POST /token?tenant=a HTTP/1.1\r\nhost: 127.0.0.1:"));
    assert!(asked[0].contains(&format!("authorization: Basic {basic}\r\n")));
    assert!(asked[0].ends_with(form), "{asked:?}");
    assert!(!asked[1].contains("authorization"));
    assert!(asked[1].ends_with(&in_body), "{asked:?}");
    assert!(asked[2].ends_with(&in_body), "{asked:?}");
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn a_refusal_tells_status_and_code_and_nothing_that_is_secret() {
    let error = r#"{"error":"invalid_client","error_description":"very:secret x/y"}"#;
    let (text, configuration) = refused(401, error).await;
    assert!(text.starts_with("no token from 127.0.0.1:"), "{text}");
    assert!(text.ends_with(
        "HTTP 401 invalid_client; check username (the client id) and password (its secret)"
    ));
    assert!(configuration);
    for (code, body, end, acts) in [
        (
            400,
            r#"{"error":"invalid_scope"}"#,
            "HTTP 400 invalid_scope; check scopes",
            true,
        ),
        (403, r#"{"error":"very:secret x/y"}"#, "HTTP 403", true),
        (
            200,
            r#"{"error":"access_denied"}"#,
            "HTTP 200 access_denied",
            true,
        ),
        (
            200,
            "<html>very:secret x/y</html>",
            "HTTP 200 without an access_token in JSON",
            true,
        ),
        (
            200,
            r#"{"access_token":"a\u0001b"}"#,
            "HTTP 200 with an access_token that no bearer token can be",
            true,
        ),
        (302, "", "HTTP 302; redirects are not followed", true),
        (404, "very:secret x/y", "HTTP 404", true),
        (429, "", "HTTP 429", false),
        (503, "", "HTTP 503", false),
    ] {
        let (text, configuration) = refused(code, body).await;
        assert!(text.ends_with(end), "{text}");
        assert_eq!(configuration, acts, "{text}");
    }
}

#[tokio::test]
async fn an_answer_without_end_and_an_endpoint_that_is_none_are_errors() {
    let (text, _) = refused(200, &"x".repeat(MAX_ANSWER + 1)).await;
    assert!(text.contains("the HTTP exchange failed"), "{text}");
    let page = Page::new(&[(200, TOKEN)]).await;
    for (uri, text) in [
        ("very secret", "oauthTokenEndpointUri: not a valid"),
        ("ftp://very.secret/", "oauthTokenEndpointUri: not a valid"),
        ("/very/secret", "oauthTokenEndpointUri: not a valid"),
        (
            "http://127.0.0.1:1/",
            "no token from 127.0.0.1:1: Connection refused",
        ),
        (
            &page.uri.replace("http", "https"),
            "no token from 127.0.0.1:",
        ),
    ] {
        let client = Client {
            endpoint: uri.into(),
            ..page.client()
        };
        let said = fetch(&client, &mut None, &Budget::default())
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(said.starts_with(text), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

#[tokio::test]
async fn askers_at_the_same_time_share_one_request_and_one_failure() {
    let page = Page::new(&[(200, TOKEN)]).await;
    let budget = Budget::default();
    let source = TokenSource::new(page.client());
    let messages = futures::future::join_all((0..50).map(|_| source.message(&budget))).await;
    for message in messages {
        assert!(message.unwrap().expose_secret().contains("Bearer t.o.k"));
    }
    source.refused().await;
    source.message(&Budget::default()).await.unwrap();
    assert_eq!(page.asked().len(), 1, "what is new stays, also refused");

    let page = Page::new(&[(503, "")]).await;
    let source = TokenSource::new(page.client());
    let failed = futures::future::join_all((0..50).map(|_| source.message(&budget))).await;
    assert!(failed.iter().all(Result::is_err));
    assert_eq!(page.asked().len(), 1);
}

#[tokio::test]
async fn a_token_is_asked_for_again_once_it_has_ended() {
    let ended = r#"{"access_token":"old","expires_in":"0.0001"}"#;
    let page = Page::new(&[(200, ended), (200, TOKEN)]).await;
    let source = TokenSource::new(page.client());
    let first = source.message(&Budget::default()).await.unwrap();
    assert!(first.expose_secret().contains("Bearer old"));
    let second = source.message(&Budget::default()).await.unwrap();
    assert!(second.expose_secret().contains("Bearer t.o.k"));
    assert_eq!(page.asked().len(), 2);
}

/// A report from outside (R28): some endpoints refuse an empty scope.
#[tokio::test]
async fn an_empty_scope_is_not_sent() {
    for (scopes, sent) in [
        (&[][..], None),
        (&[""], None),
        (&["", " "], None),
        (&["a", "b/c"], Some("a b/c")),
    ] {
        let client = Client {
            endpoint: "http://localhost:1/token".into(),
            id: "id".into(),
            secret: "secret".into(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            extensions: BTreeMap::new(),
            ca: None,
        };
        let endpoint = endpoint(&client.endpoint).unwrap();
        let body = request(&client, &endpoint, Style::Header)
            .unwrap()
            .into_body();
        let form = body.collect().await.unwrap().to_bytes();
        let found = form_urlencoded::parse(&form).find(|(key, _)| key == "scope");
        assert_eq!(
            found.map(|(_, value)| value.into_owned()).as_deref(),
            sent,
            "{scopes:?}"
        );
    }
}
