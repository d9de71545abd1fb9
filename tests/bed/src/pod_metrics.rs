//! A stand-in for metrics.k8s.io: answers the pods' cpu that a test sets.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::get,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;

use crate::control_plane::ControlPlane;

/// Serves until it is dropped.
pub struct PodMetrics {
    cpu: Arc<Mutex<HashMap<String, u32>>>,
    port: u16,
    task: JoinHandle<()>,
}

impl Drop for PodMetrics {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Shared {
    client: Client,
    cpu: Arc<Mutex<HashMap<String, u32>>>,
}

impl PodMetrics {
    /// Starts under the control plane's serving CA, as service `metrics` of the namespace `parts`.
    pub async fn start(control_plane: &ControlPlane) -> Self {
        let cpu = Arc::new(Mutex::new(HashMap::new()));
        let shared = Shared {
            client: control_plane.client(),
            cpu: cpu.clone(),
        };
        let base = "/apis/metrics.k8s.io/v1beta1";
        let router = Router::new()
            .route(base, get(resources))
            .route(&format!("{base}/namespaces/{{namespace}}/pods"), get(pods))
            .with_state(shared);
        let identity =
            control_plane
                .serving_ca
                .sign("metrics", None, &["metrics.parts.svc", "localhost"]);
        let chain =
            vec![CertificateDer::from_pem_slice(identity.cert.as_bytes()).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a pair");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, router) = (acceptor.clone(), router.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let service = TowerToHyperService::new(router);
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { cpu, port, task }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every pod of `namespace` uses this much, in thousandths of a core, from now on.
    pub fn set_cpu(&self, namespace: &str, millicores: u32) {
        self.cpu
            .lock()
            .expect("not poisoned")
            .insert(namespace.to_owned(), millicores);
    }
}

async fn resources() -> Json<Value> {
    Json(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "metrics.k8s.io/v1beta1",
        "resources": [{"name": "pods", "singularName": "", "namespaced": true, "kind": "PodMetrics", "verbs": ["get", "list"]}],
    }))
}

async fn pods(
    State(shared): State<Shared>,
    Path(namespace): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let api: Api<Pod> = Api::namespaced(shared.client, &namespace);
    let params = ListParams {
        label_selector: query.get("labelSelector").cloned(),
        ..ListParams::default()
    };
    let pods = api.list(&params).await.map(|l| l.items).unwrap_or_default();
    let cpu = shared
        .cpu
        .lock()
        .expect("not poisoned")
        .get(&namespace)
        .copied()
        .unwrap_or(0);
    let now = jiff::Timestamp::now().to_string();
    let items: Vec<_> = pods
        .iter()
        .map(|pod| {
            let containers = pod.spec.iter().flat_map(|s| &s.containers);
            let usage = json!({"cpu": format!("{cpu}m"), "memory": "10Mi"});
            let containers: Vec<_> = containers.map(|c| json!({"name": c.name, "usage": usage})).collect();
            json!({
                "metadata": {"name": pod.name_any(), "namespace": namespace, "labels": pod.labels()},
                "timestamp": now, "window": "30s", "containers": containers,
            })
        })
        .collect();
    Json(
        json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}),
    )
}
