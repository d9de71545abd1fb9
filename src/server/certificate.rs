//! The serving certificate: one pair that handshakes take, replaced whole while connections go on. Files are looked at by
//! their bytes, since a mounted Secret changes by a symbolic link; a bad pair changes nothing.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwapOption;
use prometheus::IntGauge;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::watch;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::telemetry::Said;

/// How often the files are looked at.
const LOOKED_AT: Duration = Duration::from_secs(2);

/// Why there is no pair.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A part of it cannot be read or holds no PEM.
    #[error("{name}: {error}")]
    Part {
        /// The flag and its file, or the key of a Secret.
        name: String,
        /// The cause.
        error: String,
    },
    /// Certificate and key do not make a pair.
    #[error("certificate and key do not fit: {0}")]
    Pair(#[from] rustls::Error),
}

/// Certificate and key as PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct PemPair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl fmt::Debug for PemPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemPair").finish_non_exhaustive()
    }
}

impl PemPair {
    /// A pair of these PEM texts.
    #[must_use]
    pub fn new(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }

    /// Whether a part of it is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificate.is_empty() || self.key.is_empty()
    }

    fn certified(
        &self,
        source: &Source,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, PairError> {
        let (certificate, key) = source.names();
        let chain = CertificateDer::pem_slice_iter(&self.certificate);
        let chain = chain.collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|e| wrong(&certificate, &e))?;
        if chain.is_empty() {
            return Err(wrong(&certificate, &"there is no PEM certificate in it"));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|e| wrong(&key, &e))?;
        Ok(CertifiedKey::from_der(chain, key, provider)?)
    }
}

/// Where the pair comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Two files, which somebody else renews.
    Files {
        /// The certificate and its intermediates.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// Told by whoever keeps it; nobody is served before the first one.
    Told(watch::Receiver<Option<PemPair>>),
}

impl Source {
    /// The names of its two parts.
    fn names(&self) -> (String, String) {
        match self {
            Self::Files { certificate, key } => (
                format!("--tls-cert-file={}", certificate.display()),
                format!("--tls-private-key-file={}", key.display()),
            ),
            Self::Told(_) => (
                "tls.crt of the Secret".into(),
                "tls.key of the Secret".into(),
            ),
        }
    }

    /// The present pair; `None` where it was not told yet.
    fn read(&self) -> Result<Option<PemPair>, PairError> {
        let (certificate, key) = match self {
            Self::Files { certificate, key } => (certificate, key),
            Self::Told(told) => return Ok(told.borrow().clone()),
        };
        let read = |name: String, path: &Path| std::fs::read(path).map_err(|e| wrong(&name, &e));
        let names = self.names();
        Ok(Some(PemPair {
            certificate: read(names.0, certificate)?,
            key: read(names.1, key)?,
        }))
    }

    /// Returns when it is worth another look.
    async fn changed(&mut self) {
        if let Self::Told(told) = self {
            if told.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        } else {
            tokio::time::sleep(LOOKED_AT).await;
        }
    }
}

/// The configuration that handshakes are made with now, if there is one.
#[derive(Debug)]
pub(super) struct Serving {
    pair: ArcSwapOption<CertifiedKey>,
    expires: IntGauge,
    has_one: watch::Sender<bool>,
}

impl Serving {
    /// Begins with what is there; `expires` is told when each pair ends.
    pub fn begin(
        source: &Source,
        provider: &CryptoProvider,
        expires: IntGauge,
    ) -> Result<(Arc<Self>, Option<PemPair>), PairError> {
        let serving = Arc::new(Self {
            pair: ArcSwapOption::empty(),
            expires,
            has_one: watch::Sender::new(false),
        });
        let read = source.read()?;
        if let Some(pair) = &read {
            serving.replace(pair.certified(source, provider)?);
        }
        Ok((serving, read))
    }

    /// Whether handshakes can be made.
    pub fn has_one(&self) -> watch::Receiver<bool> {
        self.has_one.subscribe()
    }

    fn replace(&self, pair: CertifiedKey) {
        self.expires.set(not_after(&pair));
        self.pair.store(Some(Arc::new(pair)));
        self.has_one.send_replace(true);
    }

    /// Takes up whatever comes, for as long as the process runs. `read` is what was taken up last.
    pub async fn follow(
        self: Arc<Self>,
        mut source: Source,
        mut read: Option<PemPair>,
        provider: Arc<CryptoProvider>,
    ) {
        let mut said = Said::default();
        loop {
            source.changed().await;
            let asked = source.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || asked.read()).await else {
                continue;
            };
            let taken = match found {
                Ok(found) if found == read => continue,
                Ok(found) => {
                    read = found;
                    read.as_ref().map(|pair| pair.certified(&source, &provider))
                }
                Err(error) => Some(Err(error)),
            };
            match taken {
                Some(Ok(pair)) => {
                    self.replace(pair);
                    said.forget();
                    let expires = self.expires.get();
                    tracing::info!(expires, "a new serving certificate is in use");
                }
                // Half of a change, most likely; the other half follows.
                Some(Err(error)) if said.is_news(&error.to_string()) => {
                    tracing::error!(%error, "the former serving certificate stays in use");
                }
                Some(Err(_)) | None => {}
            }
        }
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.pair.load_full()
    }
}

/// When the leaf ends, in seconds since 1970; 0 where it does not say.
fn not_after(pair: &CertifiedKey) -> i64 {
    let leaf = pair.cert.first();
    let leaf = leaf.and_then(|leaf| X509Certificate::from_der(leaf).ok());
    leaf.map_or(0, |(_, leaf)| leaf.validity().not_after.timestamp())
}

fn wrong(name: &str, error: &dyn fmt::Display) -> PairError {
    PairError::Part {
        name: name.to_owned(),
        error: error.to_string(),
    }
}
