//! The listener: TLS handshakes, HTTP/2 and HTTP/1.1 connections with bounds, and an end that lets answers finish.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use axum::{Router, extract::Request, response::Response};
use http::StatusCode;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use kube::Client;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use super::{
    accept::Format,
    api::{self, Api},
    authorization::Authorizer,
    guest::{Guest, Limits, Places},
    health::Readiness,
    identity::{Authenticator, Peer},
    reply::Failure,
    serving::{PairError, Serving, Source},
    tls,
    tokens::Tokens,
    trust,
    webhooks::{Neighbours, Webhooks},
};
use crate::{controller::Questions, pulse::Pulse, scaling::table::Table};

const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(15);
/// kube-apiserver multiplexes over one connection; its own backends allow at least as many.
const STREAMS: u32 = 250;
const HEADER_BYTES: u32 = 64 * 1024;

/// Why the server cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The certificate.
    #[error(transparent)]
    Pair(#[from] PairError),
    /// TLS as such.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
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
    /// Who knows reasons.
    pub questions: Questions,
    /// Of the engine that fills the table.
    pub pulse: Pulse,
    /// Values of an engine that has not turned for so long are not served.
    pub longest_turn: Duration,
    /// Becomes true once the first polls are over.
    pub polled: watch::Receiver<bool>,
    /// Becomes true when the process is told to end: it is not ready any more, and serves on.
    pub stopping: watch::Receiver<bool>,
    /// Becomes true when serving ends.
    pub ending: watch::Receiver<bool>,
    /// What connections may cost.
    pub limits: Limits,
}

/// An HTTPS server that listens already.
pub struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    router: Router,
    readiness: Readiness,
    ending: watch::Receiver<bool>,
    limits: Arc<Limits>,
}

impl Server {
    /// Takes the certificate, binds the address, and begins to follow where that comes from, and the cluster's trust.
    pub async fn bind(
        address: SocketAddr,
        source: Source,
        parts: Parts,
        registry: &Registry,
    ) -> Result<Self, ServeError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let expires = IntGauge::new(
            "lagscale_api_certificate_expiry_timestamp_seconds",
            "When the serving certificate ends, in seconds since 1970.",
        )?;
        registry.register(Box::new(expires.clone()))?;
        let (serving, read) = Serving::begin(&source, &provider, expires)?;
        let tls = TlsAcceptor::from(Arc::new(tls::config(serving.clone(), provider.clone())?));
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
        let took = HistogramVec::new(
            HistogramOpts::new(
                "lagscale_api_request_duration_seconds",
                "From a request's arrival to its answer.",
            )
            .buckets(vec![
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
            ]),
            &["kind"],
        )?;
        registry.register(Box::new(took.clone()))?;
        let trusted = Arc::new(ArcSwapOption::empty());
        let (known, trust_known) = watch::channel(false);
        tokio::spawn(trust::follow(parts.client.clone(), trusted.clone(), known));
        let readiness = Readiness {
            pulse: parts.pulse,
            polled: parts.polled,
            trust: trust_known,
            certificate: serving.has_one(),
            stopping: parts.stopping,
        };
        let state = Arc::new(Api {
            table: parts.table,
            longest_turn: parts.longest_turn,
            authenticator: Authenticator {
                trust: trusted,
                tokens: Tokens::new(parts.client.clone()),
            },
            webhooks: Webhooks::new(parts.client.clone(), parts.neighbours),
            questions: parts.questions,
            authorizer: Authorizer::new(parts.client),
            readiness: readiness.clone(),
            requests,
            took,
        });
        tokio::spawn(serving.follow(source, read, provider));
        let router = Router::new().fallback(api::answer).with_state(state);
        Ok(Self {
            listener,
            tls,
            router,
            readiness,
            ending: parts.ending,
            limits: Arc::new(parts.limits),
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
        let mut ending = self.ending.clone();
        let (places, requests) = (
            Places::new(&self.limits),
            Arc::new(Semaphore::new(self.limits.requests as usize)),
        );
        loop {
            let guest = Arc::<Guest>::default();
            let next = async {
                let accepted = self.listener.accept().await;
                (places.take(&guest).await, accepted)
            };
            let (place, accepted) = tokio::select! {
                next = next => next,
                _ = ending.wait_for(|ending| *ending) => break,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others have to end first.
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let connection = Connection {
                tls: self.tls.clone(),
                router: self.router.clone(),
                requests: requests.clone(),
                guest: guest.clone(),
                limits: self.limits.clone(),
                ending: self.ending.clone(),
            };
            tokio::spawn(async move {
                tokio::select! {
                    () = connection.serve(stream) => {}
                    () = guest.sent_away() => {}
                }
                drop(place);
            });
        }
        drop(self.listener);
        places.empty(&self.limits).await;
    }
}

struct Connection {
    tls: TlsAcceptor,
    router: Router,
    requests: Arc<Semaphore>,
    guest: Arc<Guest>,
    limits: Arc<Limits>,
    ending: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let shaken = timeout(self.limits.handshake, self.tls.accept(stream));
        let Ok(Ok(stream)) = shaken.await else {
            return;
        };
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let chain = stream.get_ref().1.peer_certificates();
        let chain = chain.unwrap_or_default().iter();
        let chain = chain.map(|c| c.clone().into_owned()).collect();
        let peer = Arc::new(Peer::new(chain, self.guest.clone()));
        let (router, requests) = (self.router.clone(), self.requests.clone());
        let most = self.limits.requests;
        let service = hyper::service::service_fn(move |request| {
            let (router, requests, peer) = (router.clone(), requests.clone(), peer.clone());
            async move {
                let _busy = peer.guest.asks();
                let Ok(_place) = requests.try_acquire() else {
                    return Ok(too_many(most));
                };
                let request: Request = api::with_peer(request, &peer);
                router.oneshot(request).await
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // By what was negotiated: guessing from the first bytes would wait for them for ever.
        builder = if is_h2 {
            builder.http2_only()
        } else {
            builder.http1_only()
        };
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.headers)
            .max_buf_size(HEADER_BYTES as usize)
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEADER_BYTES)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // A client that goes away in the middle is no event for anybody here.
            _ = connection.as_mut() => return,
            () = self.guest.lives(&self.limits, &mut self.ending) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(self.limits.drain, connection).await;
    }
}

fn too_many(most: u32) -> Response {
    let said = format!("too many requests at once: {most} are being answered");
    let code = StatusCode::SERVICE_UNAVAILABLE;
    Failure::new(code, "ServiceUnavailable", said).reply(Format::Json, false)
}
