//! The Secrets that triggers name: fetched when named, fetched again when their metadata says they changed, forgotten
//! when nobody names them any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::SecretString;
use tokio::sync::mpsc;

const RETRY: Duration = Duration::from_secs(2);

/// Namespace and name.
pub(super) type SecretName = (String, String);

/// The values of one Secret at one resource version.
#[derive(Clone, Debug)]
pub(super) struct Values {
    pub(super) version: String,
    /// By key; what is no UTF-8 is left out.
    pub(super) keys: BTreeMap<String, SecretString>,
}

/// A fetch that ended.
pub(super) struct Fetched {
    name: SecretName,
    /// `None`: there is no such Secret any more.
    values: Result<Option<Values>, String>,
}

/// What is known of a Secret that somebody names.
#[derive(Default)]
struct Followed {
    values: Option<Values>,
    /// Why the last fetch failed.
    failure: Option<String>,
    /// For which watched version a fetch was begun, and when; `None` once its values are here.
    asked: Option<(String, Instant)>,
}

/// The cache.
pub(super) struct Credentials {
    client: Client,
    followed: BTreeMap<SecretName, Followed>,
    fetched: mpsc::UnboundedSender<Fetched>,
}

impl Credentials {
    pub(super) fn new(client: Client, fetched: mpsc::UnboundedSender<Fetched>) -> Self {
        Self {
            client,
            followed: BTreeMap::new(),
            fetched,
        }
    }

    /// Follows what is named: `version` tells a Secret's resource version as watched, `None` where there is no such Secret.
    pub(super) fn follow(
        &mut self,
        named: &BTreeSet<SecretName>,
        version: impl Fn(&SecretName) -> Option<String>,
    ) {
        self.followed.retain(|name, _| named.contains(name));
        for name in named {
            let known = self.followed.entry(name.clone()).or_default();
            let Some(version) = version(name) else {
                // Deleted: what it held is withheld at once.
                known.values = None;
                known.asked = None;
                continue;
            };
            if known.values.as_ref().is_some_and(|v| v.version == version) {
                known.asked = None;
                continue;
            }
            let asked = known.asked.as_ref();
            if asked.is_some_and(|(of, at)| *of == version && at.elapsed() < RETRY) {
                continue;
            }
            known.asked = Some((version, Instant::now()));
            let (client, fetched, name) = (self.client.clone(), self.fetched.clone(), name.clone());
            tokio::spawn(async move {
                let values = fetch(client, &name).await;
                // The engine is gone when nobody listens.
                let _ = fetched.send(Fetched { name, values });
            });
        }
    }

    /// Takes a finished fetch.
    pub(super) fn take(&mut self, fetched: Fetched) {
        let Some(known) = self.followed.get_mut(&fetched.name) else {
            return;
        };
        known.failure = None;
        match fetched.values {
            Ok(Some(values)) => known.values = Some(values),
            Ok(None) => {}
            Err(error) => known.failure = Some(error),
        }
    }

    /// Whether a fetch failed, or brought another version than the watched one, long enough ago to be tried again.
    pub(super) fn is_due(&self) -> bool {
        let mut asked = self.followed.values().filter_map(|f| f.asked.as_ref());
        asked.any(|(_, at)| at.elapsed() >= RETRY)
    }

    /// Why the last fetch of a Secret failed, if it did.
    pub(super) fn failure(&self, name: &SecretName) -> Option<&str> {
        self.followed.get(name)?.failure.as_deref()
    }

    /// The present values; `None` until they are there.
    pub(super) fn get(&self, name: &SecretName) -> Option<&Values> {
        self.followed.get(name)?.values.as_ref()
    }
}

async fn fetch(client: Client, (namespace, name): &SecretName) -> Result<Option<Values>, String> {
    let api: Api<Secret> = Api::namespaced(client, namespace);
    let limit = Duration::from_secs(10);
    let read = tokio::time::timeout(limit, api.get_opt(name)).await;
    let error = match read {
        Ok(Ok(None)) => return Ok(None),
        Ok(Ok(Some(secret))) => return Ok(Some(values(secret))),
        Ok(Err(kube::Error::Api(status))) => status.message.clone(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {limit:?}"),
    };
    tracing::warn!(error, "reading Secret {namespace}/{name}");
    Err(error)
}

fn values(secret: Secret) -> Values {
    let keys = secret.data.unwrap_or_default().into_iter();
    let keys =
        keys.filter_map(|(k, v)| Some((k, SecretString::from(String::from_utf8(v.0).ok()?))));
    Values {
        version: secret.metadata.resource_version.unwrap_or_default(),
        keys: keys.collect(),
    }
}
