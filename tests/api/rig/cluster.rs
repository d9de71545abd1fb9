//! A stand-in for kube-apiserver: it publishes whom to trust, and reviews tokens and access as it is told to, keeping
//! every question.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bed::Ca;
use bytes::Bytes;
use futures::stream;
use http::{StatusCode, Uri};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

const MAP: &str = "extension-apiserver-authentication";

const DELEGATE: &str = "/api/v1/namespaces/lagscale/serviceaccounts/lagscale-delegate/token";

fn minted(_: &Value) -> Reply {
    static COUNT: AtomicUsize = AtomicUsize::new(1);
    let token = format!("delegate-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    Reply::Status(json!({"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"}))
}

/// The answer of a review: an object's status, or a failure.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The review's `status`.
    Status(Value),
    /// A code, with this message.
    Failure(u16, String),
    /// Nothing, ever.
    Silence,
}

type Rule = Arc<dyn Fn(&Value) -> Reply + Send + Sync>;

/// A running fake.
pub struct Cluster {
    uri: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    published: watch::Sender<Option<BTreeMap<String, String>>>,
    lists: Mutex<Vec<String>>,
    others: Mutex<Vec<String>>,
    access: Mutex<(Rule, Vec<Value>)>,
    tokens: Mutex<(Rule, Vec<Value>)>,
    /// Tokens that were asked for.
    minted: Mutex<(Rule, Vec<Value>)>,
    /// About every metric everywhere.
    wide: Mutex<(Rule, Vec<Value>)>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The ConfigMap that kube-apiserver publishes with these authorities.
pub fn published(proxies: &Ca, clients: &Ca) -> BTreeMap<String, String> {
    [
        ("client-ca-file", clients.pem.as_str()),
        ("requestheader-client-ca-file", proxies.pem.as_str()),
        ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
        ("requestheader-username-headers", r#"["X-Remote-User"]"#),
        ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
        ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
        (
            "requestheader-extra-headers-prefix",
            r#"["X-Remote-Extra-"]"#,
        ),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

impl Cluster {
    /// Publishes `data`, lets everybody do everything that is asked about by itself, and knows no token.
    pub async fn start(data: Option<BTreeMap<String, String>>) -> Self {
        let yes: Rule = Arc::new(|_| Reply::Status(json!({"allowed": true})));
        let no: Rule = Arc::new(|_| Reply::Status(json!({"allowed": false})));
        let nobody: Rule = Arc::new(|_| Reply::Status(json!({"authenticated": false})));
        let shared = Arc::new(Shared {
            published: watch::channel(data).0,
            lists: Mutex::default(),
            others: Mutex::default(),
            access: Mutex::new((yes, Vec::new())),
            wide: Mutex::new((no, Vec::new())),
            tokens: Mutex::new((nobody, Vec::new())),
            minted: Mutex::new((Arc::new(minted), Vec::new())),
        });
        let reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let tokens = "/apis/authentication.k8s.io/v1/tokenreviews";
        let router = Router::new()
            .route("/api/v1/namespaces/kube-system/configmaps", get(maps))
            .route(
                reviews,
                post(
                    async |State(shared): State<Arc<Shared>>, Json(review): Json<Value>| {
                        let widely = review["spec"]["resourceAttributes"]["resource"] == "*";
                        let rule = if widely { &shared.wide } else { &shared.access };
                        reviewed(rule, review).await
                    },
                ),
            )
            .route(
                tokens,
                post(async |State(shared): State<Arc<Shared>>, Json(review)| {
                    reviewed(&shared.tokens, review).await
                }),
            )
            .route(
                DELEGATE,
                post(async |State(shared): State<Arc<Shared>>, Json(request)| {
                    reviewed(&shared.minted, request).await
                }),
            )
            .fallback(async |State(shared): State<Arc<Shared>>, uri: Uri| {
                shared.others.lock().unwrap().push(uri.path().to_owned());
                StatusCode::NOT_FOUND
            })
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            uri,
            shared,
            serving,
        }
    }

    /// Where it is.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// A client of it.
    pub fn client(&self) -> Client {
        Client::try_from(Config::new(self.uri.parse().unwrap())).unwrap()
    }

    /// Publishes this from now on; `None`: the ConfigMap is deleted.
    pub fn publish(&self, data: Option<BTreeMap<String, String>>) {
        self.shared.published.send_replace(data);
    }

    /// Reviews access by this rule from now on; it gets the whole review.
    pub fn on_access(&self, rule: impl Fn(&Value) -> Reply + Send + Sync + 'static) {
        self.shared.access.lock().unwrap().0 = Arc::new(rule);
    }

    /// Reviews tokens by this rule from now on; it gets the whole review.
    pub fn on_token(&self, rule: impl Fn(&Value) -> Reply + Send + Sync + 'static) {
        self.shared.tokens.lock().unwrap().0 = Arc::new(rule);
    }

    /// Reviews who may read every metric everywhere by this rule from now on; it gets the whole review.
    pub fn on_wide_access(&self, rule: impl Fn(&Value) -> Reply + Send + Sync + 'static) {
        self.shared.wide.lock().unwrap().0 = Arc::new(rule);
    }

    /// Every review so far of who may read every metric everywhere.
    pub fn wide_reviews(&self) -> Vec<Value> {
        self.shared.wide.lock().unwrap().1.clone()
    }

    /// Every other SubjectAccessReview so far.
    pub fn access_reviews(&self) -> Vec<Value> {
        self.shared.access.lock().unwrap().1.clone()
    }

    /// Gives tokens by this rule from now on.
    pub fn on_token_request(&self, rule: impl Fn(&Value) -> Reply + Send + Sync + 'static) {
        self.shared.minted.lock().unwrap().0 = Arc::new(rule);
    }

    /// Every request so far for a token of the delegate.
    pub fn token_requests(&self) -> Vec<Value> {
        self.shared.minted.lock().unwrap().1.clone()
    }

    /// Every TokenReview so far.
    pub fn token_reviews(&self) -> Vec<Value> {
        self.shared.tokens.lock().unwrap().1.clone()
    }

    /// The paths of everything else that was asked for, which there is not.
    pub fn other_requests(&self) -> Vec<String> {
        self.shared.others.lock().unwrap().clone()
    }

    /// The queries of every list and watch of the ConfigMap so far.
    pub fn map_queries(&self) -> Vec<String> {
        self.shared.lists.lock().unwrap().clone()
    }
}

async fn reviewed(rule: &Mutex<(Rule, Vec<Value>)>, mut review: Value) -> Response {
    let reply = {
        let mut rule = rule.lock().unwrap();
        rule.1.push(review.clone());
        (rule.0)(&review)
    };
    match reply {
        Reply::Status(status) => {
            review["status"] = status;
            (StatusCode::CREATED, Json(review)).into_response()
        }
        Reply::Failure(code, message) => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": message, "reason": "InternalError", "code": code,
            });
            (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
        }
        Reply::Silence => std::future::pending().await,
    }
}

async fn maps(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let text: Vec<String> = query.iter().map(|(k, v)| format!("{k}={v}")).collect();
    shared.lists.lock().unwrap().push(text.join("&"));
    let mut published = shared.published.subscribe();
    if !query.contains_key("watch") {
        let known = published.borrow_and_update().clone();
        let items: Vec<Value> = known.as_ref().map(map).into_iter().collect();
        let list = json!({
            "kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items,
        });
        return Json(list).into_response();
    }
    // A change between list and watch is told again.
    published.mark_changed();
    let events = stream::unfold((published, false), async |(mut published, was)| {
        loop {
            published.changed().await.ok()?;
            let known = published.borrow_and_update().clone();
            let (kind, object) = match known {
                Some(data) => ("MODIFIED", map(&data)),
                None if was => ("DELETED", map(&BTreeMap::new())),
                None => continue,
            };
            let is = kind == "MODIFIED";
            let line = format!("{}\n", json!({"type": kind, "object": object}));
            return Some((Ok::<_, std::io::Error>(Bytes::from(line)), (published, is)));
        }
    });
    Body::from_stream(events).into_response()
}

fn map(data: &BTreeMap<String, String>) -> Value {
    json!({
        "kind": "ConfigMap", "apiVersion": "v1", "data": data,
        "metadata": {"name": MAP, "namespace": "kube-system", "resourceVersion": "2"},
    })
}
