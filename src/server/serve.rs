//! The listener: TLS handshakes, HTTP/2 and HTTP/1.1 connections with bounds, and an end that lets answers finish.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use axum::{Router, extract::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use kube::Client;
use prometheus::{IntCounterVec, Opts, Registry};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{
    api::{self, Api},
    authorization::Authorizer,
    health::Readiness,
    identity::{Authenticator, Peer},
    tls::{self, TlsError},
    tokens::Tokens,
    trust,
    webhooks::{Neighbours, Webhooks},
};
use crate::scaling::table::Table;

const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(30);
/// How long a connection may last on which no request was allowed.
const UNPROVEN: Duration = Duration::from_secs(60);
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(15);
/// kube-apiserver multiplexes over one connection; its own backends allow at least as many.
const STREAMS: u32 = 250;
const HEADER_BYTES: u32 = 64 * 1024;
/// At most this many connections at once; the next one waits in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// How long answers may take to finish once the process is told to end.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the server cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The address.
    #[error("--listen={address}: {error}")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What the server works with.
pub struct Parts {
    /// What it answers from.
    pub table: Arc<Table>,
    /// For reviews of access, for the cluster's trust, and for the workloads that webhooks look at.
    pub client: Client,
    /// What webhooks judge among.
    pub neighbours: Neighbours,
    /// Becomes true once the first polls are over.
    pub polled: watch::Receiver<bool>,
    /// Becomes true when the process is told to end.
    pub stopping: watch::Receiver<bool>,
}

/// An HTTPS server that listens already.
pub struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    router: Router,
    readiness: Readiness,
}

impl Server {
    /// Reads the certificate, binds the address, and begins to follow the cluster's trust.
    pub async fn bind(
        address: SocketAddr,
        certificate: &Path,
        key: &Path,
        parts: Parts,
        registry: &Registry,
    ) -> Result<Self, ServeError> {
        let tls = TlsAcceptor::from(Arc::new(tls::config(certificate, key)?));
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| ServeError::Listen { address, error })?;
        let requests = IntCounterVec::new(
            Opts::new(
                "lagscale_api_requests_total",
                "Requests of the external metrics API.",
            ),
            &["kind", "code"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        let trusted = Arc::new(ArcSwapOption::empty());
        let (known, trust_known) = watch::channel(false);
        tokio::spawn(trust::follow(parts.client.clone(), trusted.clone(), known));
        let readiness = Readiness {
            polled: parts.polled,
            trust: trust_known,
            stopping: parts.stopping,
        };
        let state = Arc::new(Api {
            table: parts.table,
            authenticator: Authenticator {
                trust: trusted,
                tokens: Tokens::new(parts.client.clone()),
            },
            webhooks: Webhooks::new(parts.client.clone(), parts.neighbours),
            authorizer: Authorizer::new(parts.client),
            readiness: readiness.clone(),
            requests,
        });
        let router = Router::new().fallback(api::answer).with_state(state);
        Ok(Self {
            listener,
            tls,
            router,
            readiness,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What its readiness waits for.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until told to end, then lets the answers under way finish.
    pub async fn serve(self) {
        let mut stopping = self.readiness.stopping.clone();
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let next = async {
                let place = places.clone().acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                next = next => next,
                _ = stopping.wait_for(|s| *s) => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others have to end first.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (tls, router) = (self.tls.clone(), self.router.clone());
            let watcher = graceful.watcher();
            tokio::spawn(async move {
                connection(stream, tls, router, watcher).await;
                drop(place);
            });
        }
        drop(self.listener);
        if tokio::time::timeout(DRAIN, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some answers were still under way at the end");
        }
    }
}

async fn connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else {
        return;
    };
    let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let chain = stream.get_ref().1.peer_certificates();
    let chain = chain
        .unwrap_or_default()
        .iter()
        .map(|c| c.clone().into_owned());
    let peer = Arc::new(Peer::new(chain.collect()));
    let stranger = stranger(peer.clone());
    let service = hyper::service::service_fn(move |request| {
        let router = router.clone();
        let request: Request = api::with_peer(request, &peer);
        router.oneshot(request)
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // By what was negotiated: guessing from the first bytes would wait for them for ever.
    let mut builder = if is_h2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A client that goes away in the middle is no event for anybody here.
        _ = watcher.watch(connection.into_owned()) => {}
        () = stranger => {}
    }
}

/// Returns once a connection had its time and nobody on it was let in: there are only so many places. Reviews, which
/// anybody may ask for, give it the same time again.
async fn stranger(peer: Arc<Peer>) {
    tokio::time::sleep(UNPROVEN).await;
    while peer.was_reviewed() {
        tokio::time::sleep(UNPROVEN).await;
    }
    if peer.was_let_in() {
        std::future::pending::<()>().await;
    }
}
