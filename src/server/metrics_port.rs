//! The plain port: Prometheus metrics and health for those who cannot speak TLS. It answers nothing secret. A connection lasts
//! half a minute at most, and whoever has been there longest makes room for a newcomer, so that a probe always has its turn.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::State, response::Response, routing::get};
use bytes::Bytes;
use http::{StatusCode, header::CONTENT_LENGTH};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::{Mutex, watch},
    time::{sleep, timeout},
};

use crate::{
    server::{
        answer::health::Readiness,
        answer::reply::{text, with_type},
        places::Places,
        request::route::Probe,
    },
    telemetry::Exposition,
};

/// Connections at once, and of one address.
const PLACES: (usize, usize) = (64, 16);
/// For the headers of a request, the first or a further one.
const HEADERS: Duration = Duration::from_secs(10);
const HEADER_BYTES: usize = 16 * 1024;
/// A connection with all its requests and answers; Prometheus dials anew.
const LIFE: Duration = Duration::from_secs(30);
/// Metrics are gathered so often at most, however many ask: that walks through every sample.
const GATHERED: Duration = Duration::from_secs(1);

/// Serves `/metrics`, `/healthz`, `/livez` and `/readyz` until serving ends.
pub async fn plain(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    readiness: Readiness,
    ending: watch::Receiver<bool>,
) {
    let live =
        async |State((_, readiness)): State<Shared>| readiness.answer(Probe::Live, false, &[]);
    let ready =
        async |State((_, readiness)): State<Shared>| readiness.answer(Probe::Ready, true, &[]);
    let answer = async |State((metrics, _)): State<Shared>| metrics.answer().await;
    let router = Router::new()
        .route("/metrics", get(answer))
        .route("/healthz", get(live))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .with_state((metrics, readiness));
    serve_plainly(listener, router, ending).await;
}

/// Serves what `router` answers over plain HTTP until serving ends, with this port's bounds.
pub async fn serve_plainly(listener: TcpListener, router: Router, ending: watch::Receiver<bool>) {
    let service = TowerToHyperService::new(router);
    let (most, of_one_address) = PLACES;
    let places = Places::new(most, of_one_address);
    let serve = |stream, _| {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service.clone());
        async {
            // A client that goes away in the middle, or does not read, is no event for anybody here.
            let _ = timeout(LIFE, connection).await;
        }
    };
    places.welcome(&listener, ending, |_| {}, serve).await;
}

type Shared = (Arc<Metrics>, Readiness);

/// The metrics as text, gathered when somebody asks.
pub struct Metrics {
    exposition: Exposition,
    /// The last text, dropped when it is old: it may have megabytes.
    last: Arc<Mutex<Option<Arc<[Bytes]>>>>,
}

impl Metrics {
    /// The metrics that `exposition` has.
    #[must_use]
    pub fn new(exposition: Exposition) -> Self {
        Self {
            exposition,
            last: Arc::default(),
        }
    }

    /// The metrics, a second old at most. Answers under way share their text.
    pub async fn answer(&self) -> Response {
        let mut last = self.last.lock().await;
        let blocks = if let Some(blocks) = &*last {
            blocks.clone()
        } else {
            let blocks: Arc<[Bytes]> = match self.exposition.texts() {
                Ok(texts) => texts.into(),
                Err(error) => return text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            };
            *last = Some(blocks.clone());
            let last = self.last.clone();
            tokio::spawn(async move {
                sleep(GATHERED).await;
                *last.lock().await = None;
            });
            blocks
        };
        let length = blocks.iter().map(Bytes::len).sum::<usize>();
        let each = (0..blocks.len()).map(move |n| Ok::<_, Infallible>(blocks[n].clone()));
        let body = Body::from_stream(futures::stream::iter(each));
        let mut reply = with_type(StatusCode::OK, "text/plain; version=0.0.4", body);
        let headers = reply.headers_mut();
        headers.insert(CONTENT_LENGTH, length.into());
        reply
    }
}
