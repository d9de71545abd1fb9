//! The serving certificate: one pair that handshakes take, replaced whole while connections go on. Files are looked at by
//! their bytes, since a mounted Secret changes by a symbolic link; a bad pair changes nothing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use prometheus::IntGauge;
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use x509_parser::prelude::{FromDer, X509Certificate};

/// How often the files are looked at.
const LOOKED_AT: Duration = Duration::from_secs(2);

/// Why there is no pair.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read or holds no PEM.
    #[error("{flag}={path}: {error}")]
    File {
        /// The flag that named it.
        flag: &'static str,
        /// The file.
        path: String,
        /// What is wrong.
        error: String,
    },
    /// Certificate and key do not make a pair.
    #[error("certificate and key do not fit: {0}")]
    Pair(#[from] rustls::Error),
}

/// What handshakes are made with now.
#[derive(Debug)]
pub(super) struct Serving {
    pair: ArcSwap<CertifiedKey>,
    expires: IntGauge,
}

impl Serving {
    /// Begins with this pair; `expires` is told when each one ends.
    pub fn new(pair: CertifiedKey, expires: IntGauge) -> Arc<Self> {
        expires.set(not_after(&pair));
        Arc::new(Self {
            pair: ArcSwap::from_pointee(pair),
            expires,
        })
    }

    fn replace(&self, pair: CertifiedKey) {
        self.expires.set(not_after(&pair));
        self.pair.store(Arc::new(pair));
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair.load_full())
    }
}

/// When the leaf ends, in seconds since 1970; 0 where it does not say.
fn not_after(pair: &CertifiedKey) -> i64 {
    let leaf = pair.cert.first();
    let leaf = leaf.and_then(|leaf| X509Certificate::from_der(leaf).ok());
    leaf.map_or(0, |(_, leaf)| leaf.validity().not_after.timestamp())
}

/// A certificate file and the file of its key.
#[derive(Clone, Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The bytes of both.
#[derive(PartialEq, Eq)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    pub fn new(certificate: &Path, key: &Path) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
        }
    }

    /// Reads both.
    pub fn read(&self) -> Result<Contents, PairError> {
        Ok(Contents {
            certificate: read("--tls-cert-file", &self.certificate)?,
            key: read("--tls-private-key-file", &self.key)?,
        })
    }

    /// Makes a pair of what was read.
    pub fn pair(
        &self,
        contents: &Contents,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, PairError> {
        let chain = CertificateDer::pem_slice_iter(&contents.certificate);
        let chain = chain.collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|e| wrong("--tls-cert-file", &self.certificate, &e))?;
        if chain.is_empty() {
            let error = "there is no PEM certificate in it";
            return Err(wrong("--tls-cert-file", &self.certificate, &error));
        }
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|e| wrong("--tls-private-key-file", &self.key, &e))?;
        Ok(CertifiedKey::from_der(chain, key, provider)?)
    }

    /// Takes up whatever is written there, for as long as the process runs. `read` is what was taken up last.
    pub async fn follow(
        self,
        mut read: Contents,
        serving: Arc<Serving>,
        provider: Arc<CryptoProvider>,
    ) {
        let mut said = String::new();
        loop {
            tokio::time::sleep(LOOKED_AT).await;
            let files = self.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || files.read()).await else {
                continue;
            };
            let taken = match found {
                Ok(found) if found == read => continue,
                Ok(found) => {
                    let pair = self.pair(&found, &provider);
                    read = found;
                    pair
                }
                Err(error) => Err(error),
            };
            match taken {
                Ok(pair) => {
                    serving.replace(pair);
                    said.clear();
                    tracing::info!(
                        expires = serving.expires.get(),
                        "a new serving certificate is in use"
                    );
                }
                // Half of a change, most likely; the other half follows.
                Err(error) if error.to_string() != said => {
                    tracing::error!(%error, "the former serving certificate stays in use");
                    said = error.to_string();
                }
                Err(_) => {}
            }
        }
    }
}

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, PairError> {
    std::fs::read(path).map_err(|e| wrong(flag, path, &e))
}

fn wrong(flag: &'static str, path: &Path, error: &dyn std::fmt::Display) -> PairError {
    PairError::File {
        flag,
        path: path.display().to_string(),
        error: error.to_string(),
    }
}
