//! The plain port: Prometheus metrics and health for those who cannot speak TLS. It answers nothing secret, and anybody who
//! reaches it can hold one of few places for a few seconds at most.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, response::Response, routing::get};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::sleep,
};

use super::{
    health::Readiness,
    reply::{text, with_type},
    route::Probe,
};

/// Connections at once; one more is closed at once.
const PLACES: usize = 128;
/// For the headers of a request, the first or a further one.
const HEADERS: Duration = Duration::from_secs(10);
const HEADER_BYTES: usize = 16 * 1024;

/// Serves `/metrics`, `/healthz`, `/livez` and `/readyz` until serving ends.
pub async fn plain(
    listener: TcpListener,
    registry: Registry,
    readiness: Readiness,
    mut ending: watch::Receiver<bool>,
) {
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
    let service = TowerToHyperService::new(router);
    let places = Arc::new(Semaphore::new(PLACES));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|ending| *ending) => return,
        };
        let Ok((stream, _)) = accepted else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            continue;
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service.clone());
        tokio::spawn(async move {
            // A client that goes away in the middle is no event for anybody here.
            let _ = connection.await;
            drop(place);
        });
    }
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
