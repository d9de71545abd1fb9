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

use crate::text::watch_error;

/// The ConfigMap's name, in `kube-system`.
const NAME: &str = "extension-apiserver-authentication";

type Verifier = Arc<dyn ClientCertVerifier>;

/// The published trust, ready to judge with.
#[derive(Debug, Default)]
pub(in crate::server) struct Trust {
    /// Signs client certificates of users.
    pub clients: Option<Verifier>,
    /// Signs the front proxy's client certificate.
    pub front_proxy: Option<Verifier>,
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
pub(in crate::server) struct TrustError {
    key: &'static str,
    what: String,
}

impl Trust {
    /// Reads the ConfigMap's data. A key that can't be read keeps what `former` had of it, and is told; where there is no
    /// former one, nobody is a front proxy or a client by it.
    pub fn parse(
        data: &BTreeMap<String, String>,
        former: Option<&Self>,
    ) -> (Self, Vec<TrustError>) {
        let mut errors = Vec::new();
        let mut lists = |key, of: fn(&Self) -> &Vec<String>| match list(data, key) {
            Ok(list) => Some(list),
            Err(error) => {
                errors.push(error);
                former.map(of).cloned()
            }
        };
        let names = [
            lists("requestheader-allowed-names", |t| &t.allowed_names),
            lists("requestheader-username-headers", |t| &t.username),
            lists("requestheader-group-headers", |t| &t.group),
            lists("requestheader-uid-headers", |t| &t.uid),
            lists("requestheader-extra-headers-prefix", |t| &t.extra),
        ];
        let whole = names.iter().all(Option::is_some);
        let [allowed_names, username, group, uid, extra] = names.map(Option::unwrap_or_default);
        let mut authorities = |key, of: fn(&Self) -> &Option<Verifier>| {
            authority(data, key).unwrap_or_else(|error| {
                errors.push(error);
                former.and_then(|former| of(former).clone())
            })
        };
        let trust = Self {
            clients: authorities("client-ca-file", |t| &t.clients),
            front_proxy: authorities("requestheader-client-ca-file", |t| &t.front_proxy)
                .filter(|_| whole),
            allowed_names,
            username,
            group,
            uid,
            extra,
        };
        (trust, errors)
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
) -> Result<Option<Verifier>, TrustError> {
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
pub(in crate::server) async fn follow(
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
            Ok(Some(map)) => {
                let former = trust.load_full();
                let (new, errors) = Trust::parse(&map.data.unwrap_or_default(), former.as_deref());
                for error in &errors {
                    tracing::error!(%error, "what was published before stands for it");
                }
                if errors.is_empty() || new.front_proxy.is_some() {
                    known.send_replace(true);
                }
                trust.store(Some(Arc::new(new)));
            }
            Ok(None) => return,
            Err(error) => {
                let error = watch_error(&error);
                tracing::warn!(
                    error,
                    "cannot watch ConfigMap kube-system/{NAME}: is the RoleBinding to extension-apiserver-authentication-reader there?"
                );
            }
        }
    }
}
