//! A gate between one process of lagscale and the API server: reads and watches pass, writes are counted, and the n-th
//! one can be the last that gets through, or the first that does not.

use std::{
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{control_plane, control_plane::ControlPlane};

/// Resources that are no write of an object: questions of who may ask, and what is told or held on the side.
const APART: [&str; 4] = [
    "authentication.k8s.io",
    "authorization.k8s.io",
    "coordination.k8s.io",
    "events.k8s.io",
];

/// On which side of its delivery a write is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The API server never hears of it.
    Before,
    /// The API server has done it, and nobody is told.
    After,
}

/// One write that the API server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// `POST`, `PUT`, `PATCH` or `DELETE`.
    pub verb: String,
    /// With its subresource, such as `scaledobjects/status`.
    pub resource: String,
    /// Empty for what has none.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// HTTP status.
    pub code: u16,
    /// Whether the object is another one since: a write of what is already stored leaves the resource version.
    pub changed: bool,
}

impl Write {
    /// Whether it was of what an object's owner says of it, not of the object.
    #[must_use]
    pub fn is_status(&self) -> bool {
        self.resource.ends_with("/status")
    }
}

/// Listens on loopback over plain HTTP until it is dropped, and asks as lagscale's ServiceAccount.
pub struct Gate {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    task: JoinHandle<()>,
}

struct Shared {
    lagscale: Client,
    /// Sees the version of an object that lagscale itself may not read.
    admin: Client,
    state: Mutex<State>,
    /// True from the moment the write in question is held.
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    writes: Vec<Write>,
    /// How many writes are still to come until one is held, and on which side.
    trap: Option<(usize, Delivery)>,
    /// A process that lost one write makes no other.
    holding: bool,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    /// Starts an open one; its kubeconfig is written to `dir`.
    pub async fn start(control_plane: &ControlPlane, dir: &Path) -> Self {
        let shared = Arc::new(Shared {
            lagscale: control_plane::client(&control_plane.lagscale_kubeconfig()).await,
            admin: control_plane.client(),
            state: Mutex::default(),
            closed: watch::Sender::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let kubeconfig = dir.join(format!("gate-{}.kubeconfig", address.port()));
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "gate",
            "clusters": [{"name": "gate", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "gate", "user": {}}],
            "contexts": [{"name": "gate", "context": {"cluster": "gate", "user": "gate"}}],
        });
        std::fs::write(&kubeconfig, config.to_string()).expect("a kubeconfig");
        let task = tokio::spawn(accept(listener, shared.clone()));
        Self {
            shared,
            kubeconfig,
            task,
        }
    }

    /// For the process behind it.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Every write that was delivered and answered so far.
    pub fn writes(&self) -> Vec<Write> {
        self.shared.state().writes.clone()
    }

    /// Holds the `nth` write from now on, counted from 1, and every one that comes after it.
    pub fn close_at(&self, nth: usize, delivery: Delivery) {
        self.shared.state().trap = Some((nth, delivery));
    }

    /// Returns once the write is held: time to kill who made it.
    pub async fn closed(&self) {
        let mut closed = self.shared.closed.subscribe();
        closed.wait_for(|c| *c).await.expect("an open channel");
    }

    /// Lets writes through again; those that are held never pass.
    pub fn open(&self) {
        let mut state = self.shared.state();
        state.trap = None;
        state.holding = false;
        self.shared.closed.send_replace(false);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    /// Whether the write that has just come is held, and on which side.
    fn held(&self) -> Option<Delivery> {
        let mut state = self.state();
        if state.holding {
            return Some(Delivery::Before);
        }
        let (left, delivery) = state.trap.as_mut()?;
        *left -= 1;
        let delivery = (*left == 0).then_some(*delivery)?;
        state.holding = true;
        Some(delivery)
    }

    async fn pass(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Body>, String> {
        let write = Write::of(request.method(), request.uri().path());
        let held = write.as_ref().and_then(|_| self.held());
        if held == Some(Delivery::Before) {
            return self.hold().await;
        }
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?;
        parts.headers.remove(header::HOST);
        let request = Request::from_parts(parts, body.to_bytes().to_vec().into());
        let Some(write) = write else {
            let answer = self.lagscale.send(request).await;
            return answer.map_err(|e| e.to_string());
        };
        // A write that is under way when its asker is killed arrives all the same, and is counted.
        let delivery = tokio::spawn(self.clone().deliver(write, request));
        let answer = delivery.await.map_err(|e| e.to_string())?;
        if held.is_some() {
            return self.hold().await;
        }
        answer
    }

    async fn deliver(
        self: Arc<Self>,
        mut write: Write,
        request: Request<Body>,
    ) -> Result<Response<Body>, String> {
        let before = if write.is_change() {
            self.version(request.uri().path()).await
        } else {
            None
        };
        let answer = self.lagscale.send(request).await;
        let (head, body) = answer.map_err(|e| e.to_string())?.into_parts();
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        write.answered(head.status, &body, before.as_deref());
        self.state().writes.push(write);
        Ok(Response::from_parts(head, body.to_vec().into()))
    }

    /// Ends with the connection.
    async fn hold<T>(&self) -> T {
        self.closed.send_replace(true);
        std::future::pending().await
    }

    async fn version(&self, path: &str) -> Option<String> {
        let request = Request::get(path).body(Vec::new()).ok()?;
        let object: Value = self.admin.request(request).await.ok()?;
        version(&object)
    }
}

impl Write {
    /// The write that a request asks for, if it does.
    fn of(method: &Method, path: &str) -> Option<Self> {
        if method == Method::GET {
            return None;
        }
        let mut parts = path.split('/').filter(|p| !p.is_empty());
        let group = match parts.next()? {
            "apis" => parts.next()?,
            _ => "",
        };
        let _version = parts.next()?;
        let mut parts = parts.peekable();
        let namespace = match parts.next_if_eq(&"namespaces") {
            Some(_) => parts.next()?,
            None => "",
        };
        let resource = parts.next()?;
        if APART.contains(&group) || resource == "events" {
            return None;
        }
        let name = parts.next().unwrap_or_default();
        let resource = std::iter::once(resource).chain(parts);
        Some(Self {
            verb: method.to_string(),
            resource: resource.collect::<Vec<_>>().join("/"),
            namespace: namespace.into(),
            name: name.into(),
            code: 0,
            changed: false,
        })
    }

    /// Whether it changes what exists, rather than making or deleting it.
    fn is_change(&self) -> bool {
        matches!(self.verb.as_str(), "PUT" | "PATCH")
    }

    fn answered(&mut self, status: StatusCode, body: &Bytes, before: Option<&str>) {
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        self.code = status.as_u16();
        self.changed = status.is_success();
        if self.is_change() {
            let meta = &object["metadata"];
            // The last finalizer taken off: the answer is what it was.
            let gone = meta["deletionTimestamp"].is_string() && meta["finalizers"].is_null();
            self.changed &= gone || version(&object).as_deref() != before;
        }
        if self.name.is_empty() {
            let name = object["metadata"]["name"].as_str();
            name.unwrap_or_default().clone_into(&mut self.name);
        }
    }
}

fn version(object: &Value) -> Option<String> {
    let version = object["metadata"]["resourceVersion"].as_str();
    version.map(str::to_owned)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Connections end with the gate.
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let shared = shared.clone();
        let service = service_fn(move |request| {
            let shared = shared.clone();
            async move { Ok::<_, Infallible>(answer(shared, request).await) }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    shared.pass(request).await.unwrap_or_else(|error| {
        let mut answer = Response::new(Body::from(error.into_bytes()));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    })
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::Write;

    #[test]
    fn a_write_is_known_by_its_path_and_what_is_no_objects_write_is_left_out() {
        let of = |method: Method, path: &str| {
            let write = Write::of(&method, path)?;
            Some([write.resource, write.namespace, write.name].join(" "))
        };
        let objects = "/apis/keda.sh/v1alpha1/namespaces/shop/scaledobjects";
        let status = format!("{objects}/app/status");
        let known = of(Method::PATCH, &status);
        assert_eq!(known.as_deref(), Some("scaledobjects/status shop app"));
        let made = of(
            Method::POST,
            "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers",
        );
        assert_eq!(made.as_deref(), Some("horizontalpodautoscalers shop "));
        for (method, path) in [
            (Method::GET, objects),
            (
                Method::POST,
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            ),
            (Method::POST, "/api/v1/namespaces/shop/events"),
            (
                Method::POST,
                "/apis/events.k8s.io/v1/namespaces/shop/events",
            ),
        ] {
            assert_eq!(of(method, path), None, "{path}");
        }
    }
}
