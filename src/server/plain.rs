//! The plain port: Prometheus metrics and health for those who cannot speak TLS. It answers nothing secret.

use std::sync::Arc;

use axum::{Router, extract::State, response::Response, routing::get};
use http::StatusCode;
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::net::TcpListener;

use super::{
    health::Readiness,
    reply::{text, with_type},
    route::Probe,
};

/// Serves `/metrics`, `/healthz`, `/livez` and `/readyz` until the process is told to end.
pub async fn plain(
    listener: TcpListener,
    registry: Registry,
    readiness: Readiness,
) -> std::io::Result<()> {
    let mut stopping = readiness.stopping.clone();
    let live =
        async |State((_, readiness)): State<Shared>| readiness.answer(Probe::Live, false, &[]);
    let ready =
        async |State((_, readiness)): State<Shared>| readiness.answer(Probe::Ready, true, &[]);
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(live))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .with_state((Arc::new(registry), readiness));
    axum::serve(listener, router)
        .with_graceful_shutdown(async move {
            let _ = stopping.wait_for(|s| *s).await;
        })
        .await
}

type Shared = (Arc<Registry>, Readiness);

async fn metrics(State((registry, _)): State<Shared>) -> Response {
    let encoder = TextEncoder::new();
    let mut body = Vec::new();
    match encoder.encode(&registry.gather(), &mut body) {
        Ok(()) => with_type(StatusCode::OK, "text/plain; version=0.0.4", body),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
