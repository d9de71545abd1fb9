//! Whom the cluster trusts: the ConfigMap `extension-apiserver-authentication` that kube-apiserver publishes, read and
//! followed. A bad update keeps the last good one; without one nobody is a front proxy.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwapOption;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio::sync::watch;

/// The ConfigMap's name, in `kube-system`.
const NAME: &str = "extension-apiserver-authentication";

/// What was published, ready to judge with.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// Signs client certificates of users.
    pub clients: Option<Arc<dyn ClientCertVerifier>>,
    /// Signs the front proxy's client certificate.
    pub front_proxy: Option<Arc<dyn ClientCertVerifier>>,
    /// Common names that a front proxy may have; empty: any.
    pub allowed_names: Vec<String>,
    /// Headers that name the user, best first.
    pub username: Vec<String>,
    /// Headers that name groups.
    pub group: Vec<String>,
    /// Headers that name the uid; trusted only where published (kube-apiserver before 1.32 does not strip them).
    pub uid: Vec<String>,
    /// Prefixes of headers that carry extras.
    pub extra: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("ConfigMap kube-system/{NAME}, key {key}: {what}")]
pub(super) struct TrustError {
    key: &'static str,
    what: String,
}

impl Trust {
    /// Reads the ConfigMap's data.
    pub fn parse(data: &BTreeMap<String, String>) -> Result<Self, TrustError> {
        Ok(Self {
            clients: authority(data, "client-ca-file")?,
            front_proxy: authority(data, "requestheader-client-ca-file")?,
            allowed_names: list(data, "requestheader-allowed-names")?,
            username: list(data, "requestheader-username-headers")?,
            group: list(data, "requestheader-group-headers")?,
            uid: list(data, "requestheader-uid-headers")?,
            extra: list(data, "requestheader-extra-headers-prefix")?,
        })
    }
}

fn list(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, TrustError> {
    match data.get(key).map_or("", |v| v.trim()) {
        "" => Ok(Vec::new()),
        text => serde_json::from_str(text).map_err(|e| TrustError {
            key,
            what: format!("expected a JSON list of names, found {text:?}: {e}"),
        }),
    }
}

fn authority(
    data: &BTreeMap<String, String>,
    key: &'static str,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TrustError> {
    let wrong = |what: String| TrustError { key, what };
    let Some(pem) = data.get(key).filter(|p| !p.trim().is_empty()) else {
        return Ok(None);
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate =
            certificate.map_err(|e| wrong(format!("expected PEM certificates: {e}")))?;
        roots.add(certificate).map_err(|e| wrong(e.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder(roots.into()).build();
    Ok(Some(verifier.map_err(|e| wrong(e.to_string()))?))
}

/// Follows the ConfigMap for as long as the process runs; `known` turns true with the first good one.
pub(super) async fn follow(
    client: Client,
    trust: Arc<ArcSwapOption<Trust>>,
    known: watch::Sender<bool>,
) {
    let maps: Api<ConfigMap> = Api::namespaced(client, "kube-system");
    // The role that grants it names this one object, so a watch has to name it too.
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut maps = watcher(maps, config)
        .default_backoff()
        .applied_objects()
        .boxed();
    loop {
        match maps.try_next().await {
            Ok(Some(map)) => match Trust::parse(&map.data.unwrap_or_default()) {
                Ok(new) => {
                    trust.store(Some(Arc::new(new)));
                    known.send_replace(true);
                }
                Err(error) => tracing::error!(%error, "the last good trust is kept"),
            },
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "cannot watch ConfigMap kube-system/{NAME}: is the RoleBinding to extension-apiserver-authentication-reader there?");
            }
        }
    }
}
