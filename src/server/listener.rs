//! The listener: what the server is made of, whom it accepts, and an end that lets answers finish.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use axum::Router;
use kube::Client;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts};
use rustls::server::ResolvesServerCert;
use tokio::{net::TcpListener, sync::watch};
use tokio_rustls::TlsAcceptor;

use crate::{
    controller::Questions,
    delegation::Delegation,
    pulse::Pulse,
    scaling::table::Table,
    server::{
        answer::api::{self, Api},
        answer::delegated::Owners,
        answer::health::Readiness,
        certificate::{PairError, Serving, Source},
        connection::{Connection, Slots},
        guest::Limits,
        metrics_port::Metrics,
        places::Places,
        request::authorization::Authorizer,
        request::identity::Authenticator,
        request::reviews::Gates,
        request::tokens::Tokens,
        request::trust::{self, Trust},
        tls,
        webhooks::{Neighbours, SecretPath, Webhooks},
    },
    telemetry::Exposition,
};

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
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The parts that the server works with.
pub struct Parts {
    /// The table that it answers from.
    pub table: Arc<Table>,
    /// For reviews of access, for the cluster's trust, and for the workloads that webhooks look at.
    pub client: Client,
    /// The objects that webhooks judge among.
    pub neighbours: Neighbours,
    /// By which kube-apiserver alone knows the webhooks.
    pub secret_path: SecretPath,
    /// Nobody's HPA is answered: another server is asked by them.
    pub shadow: bool,
    /// Where the controller is asked to explain a ScaledObject.
    pub questions: Questions,
    /// The other servers of external metrics, which answer for what is not ours.
    pub delegation: Arc<Delegation>,
    /// When the engine that fills the table last turned.
    pub pulse: Pulse,
    /// Values of an engine that has not turned for so long are not served.
    pub longest_turn: Duration,
    /// Becomes true once the first polls are over.
    pub polled: watch::Receiver<bool>,
    /// Becomes true when the process is told to end: it is not ready any more, and serves on.
    pub stopping: watch::Receiver<bool>,
    /// Becomes true when serving ends.
    pub ending: watch::Receiver<bool>,
    /// Limits of connections.
    pub limits: Limits,
}

/// An HTTPS server that listens already.
pub struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    certificate: Arc<dyn ResolvesServerCert>,
    router: Router,
    trust: Arc<ArcSwapOption<Trust>>,
    readiness: Readiness,
    metrics: Arc<Metrics>,
    ending: watch::Receiver<bool>,
    limits: Arc<Limits>,
}

impl Server {
    /// Takes the certificate, binds the address, and begins to follow where that comes from, and the cluster's trust.
    pub async fn bind(
        address: SocketAddr,
        source: Source,
        parts: Parts,
        exposition: Exposition,
    ) -> Result<Self, ServeError> {
        let registry = exposition.registry();
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
        let metrics = Arc::new(Metrics::new(exposition));
        let gates = Arc::new(Gates::default());
        let state = Arc::new(Api {
            table: parts.table,
            longest_turn: parts.longest_turn,
            authenticator: Authenticator {
                trust: trusted.clone(),
                tokens: Tokens::new(parts.client.clone(), gates.clone()),
            },
            owners: Owners {
                delegation: parts.delegation,
                objects: parts.neighbours.objects.clone(),
            },
            webhooks: Webhooks::new(parts.client.clone(), parts.neighbours, parts.secret_path),
            shadow: parts.shadow,
            questions: parts.questions,
            authorizer: Authorizer::new(parts.client, gates),
            readiness: readiness.clone(),
            metrics: metrics.clone(),
            requests,
            took,
        });
        let certificate = serving.clone();
        tokio::spawn(serving.follow(source, read, provider));
        let router = Router::new().fallback(api::answer).with_state(state);
        Ok(Self {
            listener,
            tls,
            certificate,
            router,
            trust: trusted,
            readiness,
            metrics,
            ending: parts.ending,
            limits: Arc::new(parts.limits),
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The metrics that it answers with.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        self.metrics.clone()
    }

    /// The serving certificate, for handshakes elsewhere.
    #[must_use]
    pub fn certificate(&self) -> Arc<dyn ResolvesServerCert> {
        self.certificate.clone()
    }

    /// The conditions of its readiness.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Serves until told to end, then lets the answers under way finish.
    pub async fn serve(self) {
        let places = Places::new(self.limits.connections, self.limits.of_one_address);
        let slots = Slots::new(&self.limits);
        let warn = |error: &_| tracing::warn!(%error, "cannot accept a connection");
        let serve = |stream, guest| {
            let connection = Connection {
                tls: self.tls.clone(),
                router: self.router.clone(),
                trust: self.trust.clone(),
                slots: slots.clone(),
                guest,
                limits: self.limits.clone(),
                ending: self.ending.clone(),
            };
            connection.serve(stream)
        };
        let ending = self.ending.clone();
        places.welcome(&self.listener, ending, warn, serve).await;
        drop(self.listener);
        places.empty().await;
    }
}
