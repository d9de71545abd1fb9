//! The cache against an API server that answers as a test says; watches get no answer, their news are the test's.

use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard},
};

use http::{Request, Response, StatusCode};
use kube::client::Body;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::triggers::Parameters;

/// The API server's answer for the one thing that is asked for.
#[derive(Default)]
struct Server {
    /// Version and value; `None`: there is no such thing.
    holds: Option<(&'static str, &'static str)>,
    fails: bool,
    asked: usize,
}

struct Bench {
    credentials: Credentials,
    news: mpsc::UnboundedReceiver<News>,
    server: Arc<Mutex<Server>>,
}

impl Bench {
    /// Follows `reference`, which the server has at version 1.
    fn following(reference: &Reference) -> Self {
        let server = Arc::new(Mutex::new(Server {
            holds: Some(("1", "old")),
            ..Server::default()
        }));
        let answering = server.clone();
        let answer = tower::service_fn(move |request: Request<Body>| {
            let answer = answer(&request, &mut answering.lock().unwrap());
            std::future::ready(Ok::<_, Infallible>(answer))
        });
        let rules = CredentialRules::open();
        let (sender, news) = mpsc::unbounded_channel();
        let credentials = Credentials::new(Client::new(answer, "default"), rules, sender);
        let mut bench = Self {
            credentials,
            news,
            server,
        };
        bench.credentials.follow([reference.clone()].into());
        bench
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    /// Takes the next read that ends; whether it changed anything.
    async fn read(&mut self) -> bool {
        let news = self.news.recv().await.unwrap();
        self.credentials.take(news).is_some()
    }

    /// A watch tells of this version; whether that changed anything yet.
    fn seen(&mut self, version: Option<&str>) -> bool {
        let news = News::Seen(secret(), version.map(str::to_owned));
        self.credentials.take(news).is_some()
    }

    fn found(&self, reference: &Reference) -> String {
        match self.credentials.find(reference) {
            Found::Waiting => "waiting".into(),
            Found::Missing => "missing".into(),
            Found::Failed(error) => error.into(),
            Found::Here(Content::Values(values)) => {
                let values = values.kept.iter();
                let pairs = values.map(|(k, v)| format!("{k}={}", v.expose_secret()));
                pairs.collect()
            }
            Found::Here(Content::Template(_)) => "a template".into(),
        }
    }
}

fn answer(request: &Request<Body>, server: &mut Server) -> Response<Body> {
    let (code, body) = match (request.uri().path(), server.holds) {
        ("/api/v1/namespaces/shop/secrets/kafka", Some((version, value))) if !server.fails => {
            let data = k8s_openapi::ByteString(value.as_bytes().to_vec());
            let metadata = json!({"name": "kafka", "resourceVersion": version});
            (
                StatusCode::OK,
                json!({"metadata": metadata, "data": {"password": data}}),
            )
        }
        ("/api/v1/namespaces/shop/secrets/kafka", None) => (StatusCode::NOT_FOUND, json!({})),
        ("/api/v1/namespaces/shop/serviceaccounts/consumer/token", Some((version, value))) => {
            let expires = format!("2030-01-0{version}T00:00:00Z");
            let status = json!({"token": value, "expirationTimestamp": expires});
            let spec = json!({"audiences": [], "expirationSeconds": 600});
            (
                StatusCode::CREATED,
                json!({"metadata": {}, "spec": spec, "status": status}),
            )
        }
        (path, _) => {
            if path == "/api/v1/secrets" {
                // A watch: it tries again later.
                let refused = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
                return refused.body(Body::empty()).unwrap();
            }
            (StatusCode::INTERNAL_SERVER_ERROR, json!({}))
        }
    };
    server.asked += 1;
    let reason = if code == StatusCode::NOT_FOUND {
        "NotFound"
    } else {
        ""
    };
    let message = json!({"code": code.as_u16(), "reason": reason, "status": "Failure", "message": "out of order"});
    let body = if code.is_success() { body } else { message };
    let body = Body::from(body.to_string().into_bytes());
    Response::builder().status(code).body(body).unwrap()
}

fn secret() -> Reference {
    Reference::Secret(("shop".into(), "kafka".into()))
}

#[tokio::test]
async fn what_is_named_is_read_once_for_each_version() {
    let mut bench = Bench::following(&secret());
    assert_eq!(bench.found(&secret()), "waiting");
    assert!(bench.read().await);
    assert_eq!(bench.found(&secret()), "password=old");
    assert!(!bench.seen(Some("1")));
    bench.server().holds = Some(("2", "new"));
    assert!(!bench.seen(Some("2")));
    assert!(bench.read().await);
    assert_eq!(bench.found(&secret()), "password=new");
    assert_eq!(bench.server().asked, 2);
}

#[tokio::test]
async fn what_is_deleted_is_gone_at_once_and_back_when_it_is_made_anew() {
    let mut bench = Bench::following(&secret());
    bench.read().await;
    bench.server().holds = None;
    assert!(bench.seen(None));
    assert_eq!(bench.found(&secret()), "missing");
    assert!(!bench.read().await);
    bench.server().holds = Some(("3", "new"));
    bench.seen(Some("3"));
    assert!(bench.read().await);
    assert_eq!(bench.found(&secret()), "password=new");
}

#[tokio::test]
async fn what_can_t_be_read_again_stands_and_is_tried_again() {
    let mut bench = Bench::following(&secret());
    bench.read().await;
    bench.server().fails = true;
    bench.seen(Some("2"));
    assert!(!bench.read().await);
    assert_eq!(bench.found(&secret()), "password=old");
    *bench.server() = Server {
        holds: Some(("2", "new")),
        ..Server::default()
    };
    let known = bench.credentials.followed.get_mut(&secret()).unwrap();
    assert!(known.again.is_some());
    known.again = Some(Instant::now());
    bench.credentials.refresh();
    assert!(bench.read().await);
    assert_eq!(bench.found(&secret()), "password=new");
}

#[tokio::test]
async fn what_was_never_read_says_why() {
    let mut bench = Bench::following(&secret());
    bench.server().fails = true;
    assert!(bench.read().await);
    assert_eq!(bench.found(&secret()), "out of order");
}

#[tokio::test]
async fn a_change_during_a_read_brings_another_read() {
    let mut bench = Bench::following(&secret());
    bench.seen(Some("2"));
    assert!(bench.read().await);
    bench.server().holds = Some(("2", "new"));
    assert!(bench.read().await);
    assert_eq!(bench.found(&secret()), "password=new");
}

/// A finding of the audit (16).
#[tokio::test]
async fn what_there_is_no_room_for_says_so_and_what_was_read_before_stands() {
    let mut bench = Bench::following(&secret());
    bench.read().await;
    let parameters = Parameters::from([(String::new(), "x".repeat(8 << 20).into())]);
    let (content, mut size) = (Content::Values(parameters.into()), 0);
    bench
        .credentials
        .room
        .take("shop", &mut size, Some(&content));
    bench.server().holds = Some(("2", "newer"));
    bench.seen(Some("2"));
    assert!(!bench.read().await);
    assert_eq!(bench.found(&secret()), "password=old");
    bench.credentials.follow(BTreeSet::new());
    bench.credentials.follow([secret()].into());
    assert!(bench.read().await);
    let said = bench.found(&secret());
    assert!(said.contains("objects of namespace shop"), "{said}");
    bench.credentials.room.take("shop", &mut size, None);
    bench.credentials.follow(BTreeSet::new());
    bench.credentials.follow([secret()].into());
    assert!(bench.read().await);
    assert_eq!(bench.found(&secret()), "password=newer");
    assert!(
        bench
            .credentials
            .room
            .refuses("shop", 0, &content)
            .is_some()
    );
}

#[tokio::test]
async fn what_nobody_names_any_more_is_forgotten() {
    let mut bench = Bench::following(&secret());
    bench.read().await;
    bench.credentials.follow(BTreeSet::new());
    assert_eq!(bench.found(&secret()), "waiting");
    assert!(!bench.seen(Some("2")));
    assert_eq!(bench.server().asked, 1);
}

#[tokio::test]
async fn a_token_is_asked_for_and_renewed() {
    let account = Reference::Token(("shop".into(), "consumer".into()));
    let mut bench = Bench::following(&account);
    assert!(bench.read().await);
    assert_eq!(bench.found(&account), "token=old");
    bench.server().holds = Some(("2", "new"));
    let known = bench.credentials.followed.get_mut(&account).unwrap();
    let again = known.again.expect("it expires");
    assert!(
        again < Instant::now() + Duration::from_secs(600),
        "renewed before it expires"
    );
    known.again = Some(Instant::now());
    bench.credentials.refresh();
    assert!(bench.read().await);
    assert_eq!(bench.found(&account), "token=new");
}
