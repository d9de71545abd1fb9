//! The port of the external scaler: HTTP/2 over mutual TLS, with the API's serving certificate.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::Router;
use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, pem::PemObject},
    server::{ResolvesServerCert, WebPkiClientVerifier},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{interval, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::methods::{self, Methods};
use crate::{controller::ExternalTriggers, pulse::Pulse, server::places::Places, telemetry::Said};

/// Connections at once, and of one address. A KEDA keeps one to each replica.
const PLACES: (usize, usize) = (64, 16);
/// Questions of one connection at once; each `external-push` trigger has one that never ends.
const STREAMS: u32 = 4096;
const HEADER_BYTES: u32 = 16 * 1024;
const HANDSHAKE: Duration = Duration::from_secs(10);
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(15);
/// A connection is made anew after this, so that a client whose certificate has ended does not stay. KEDA does so by itself.
const LIFE: Duration = Duration::from_secs(3600);
/// For what is under way when a connection ends.
const DRAIN: Duration = Duration::from_secs(2);
/// How often the file is looked at.
const LOOKED_AT: Duration = Duration::from_secs(2);

/// Why the external scaler cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum ExternalScalerError {
    /// The CA of its clients.
    #[error("--external-scaler-client-ca-file={file}: {why}")]
    ClientCa {
        /// The file.
        file: PathBuf,
        /// Its fault.
        why: String,
    },
    /// The address.
    #[error("--external-scaler-listen={address}: {error}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The metrics.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The parts that it works with.
pub struct ExternalScalerParts {
    /// Where it listens.
    pub address: SocketAddr,
    /// The CA that clients' certificates are of, PEM; read anew when it changes.
    pub client_ca: PathBuf,
    /// The serving certificate.
    pub certificate: Arc<dyn ResolvesServerCert>,
    /// The triggers that it is asked about.
    pub triggers: ExternalTriggers,
    /// When the engine last turned, and the longest that a turn may take.
    pub pulse: (Pulse, Duration),
    /// Becomes true when serving ends.
    pub ending: watch::Receiver<bool>,
}

/// An external scaler that listens already.
pub struct ExternalScaler {
    listener: TcpListener,
    tls: Arc<Tls>,
    router: Router,
    ending: watch::Receiver<bool>,
}

/// The configuration of handshakes, replaced whole.
struct Tls {
    file: PathBuf,
    certificate: Arc<dyn ResolvesServerCert>,
    config: ArcSwap<ServerConfig>,
}

impl ExternalScaler {
    /// Reads the CA, binds the address, and counts in `registry`.
    pub async fn bind(
        parts: ExternalScalerParts,
        registry: &Registry,
    ) -> Result<Self, ExternalScalerError> {
        let answers = IntCounterVec::new(
            Opts::new(
                "lagscale_external_scaler_requests_total",
                "Questions of a KEDA that asks as of an external scaler.",
            ),
            &["method", "code"],
        )?;
        registry.register(Box::new(answers.clone()))?;
        let count = IntGauge::new(
            "lagscale_external_scaler_triggers",
            "Triggers that a KEDA has asked about lately.",
        )?;
        registry.register(Box::new(count.clone()))?;
        let address = parts.address;
        let pem = std::fs::read(&parts.client_ca);
        let pem = pem.map_err(|e| wrong(&parts.client_ca, &e))?;
        let config = config(&pem, &parts.client_ca, &parts.certificate)?;
        let tls = Arc::new(Tls {
            file: parts.client_ca,
            certificate: parts.certificate,
            config: ArcSwap::from_pointee(config),
        });
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|error| ExternalScalerError::Listen { address, error })?;
        tokio::spawn(tls.clone().follow(pem, parts.triggers.clone(), count));
        Ok(Self {
            listener,
            tls,
            router: methods::router(Methods {
                triggers: parts.triggers,
                pulse: parts.pulse,
                answers,
            }),
            ending: parts.ending,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to end.
    pub async fn serve(self) {
        let places = Places::new(PLACES.0, PLACES.1);
        let service = TowerToHyperService::new(self.router);
        let ending = self.ending.clone();
        let connect = |stream, _| {
            let tls = TlsAcceptor::from(self.tls.config.load_full());
            serve(stream, tls, service.clone(), self.ending.clone())
        };
        places
            .welcome(&self.listener, ending, |_| {}, connect)
            .await;
        drop(self.listener);
        places.empty().await;
    }
}

async fn serve(
    stream: TcpStream,
    tls: TlsAcceptor,
    service: TowerToHyperService<Router>,
    mut ending: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await else {
        return;
    };
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A client that goes away in the middle is no event for anybody here.
        _ = connection.as_mut() => return,
        () = sleep(LIFE) => {}
        _ = ending.wait_for(|ending| *ending) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(DRAIN, connection).await;
}

impl Tls {
    /// Takes up another CA when the file has one; `read` is what was taken up last. Counts triggers on the way.
    async fn follow(
        self: Arc<Self>,
        mut read: Vec<u8>,
        triggers: ExternalTriggers,
        count: IntGauge,
    ) {
        let mut said = Said::default();
        let mut looks = interval(LOOKED_AT);
        loop {
            looks.tick().await;
            count.set(i64::try_from(triggers.count()).unwrap_or(i64::MAX));
            let file = self.file.clone();
            let found = tokio::task::spawn_blocking(move || std::fs::read(file)).await;
            let Ok(found) = found else { continue };
            let taken = match found {
                Ok(pem) if pem == read => continue,
                Ok(pem) => {
                    let taken = config(&pem, &self.file, &self.certificate);
                    read = pem;
                    taken
                }
                Err(error) => Err(wrong(&self.file, &error)),
            };
            match taken {
                Ok(config) => {
                    self.config.store(config.into());
                    said.forget();
                    tracing::info!("another CA of clients is in use for the external scaler");
                }
                Err(error) if said.is_news(&error.to_string()) => {
                    tracing::error!(%error, "the former CA of clients stays in use");
                }
                Err(_) => {}
            }
        }
    }
}

fn config(
    pem: &[u8],
    file: &Path,
    certificate: &Arc<dyn ResolvesServerCert>,
) -> Result<ServerConfig, ExternalScalerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_slice_iter(pem) {
        let found = found.map_err(|e| wrong(file, &e))?;
        roots.add(found).map_err(|e| wrong(file, &e))?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let clients = clients.build().map_err(|e| wrong(file, &e))?;
    let versions = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| wrong(file, &e))?;
    let mut config = versions
        .with_client_cert_verifier(clients)
        .with_cert_resolver(certificate.clone());
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn wrong(file: &Path, why: &dyn std::fmt::Display) -> ExternalScalerError {
    ExternalScalerError::ClientCa {
        file: file.to_owned(),
        why: why.to_string(),
    }
}
