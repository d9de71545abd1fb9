//! The serving pair as every replica loads it from the Secret, whoever wrote it.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;

use super::Kept;
use crate::{server::PemPair, telemetry::Said};

/// Follows the Secret for as long as somebody takes pairs from it. One that is deleted or emptied changes nothing: what was
/// loaded serves on.
pub async fn load(
    client: Client,
    namespace: String,
    name: String,
    to: watch::Sender<Option<PemPair>>,
    path: watch::Sender<Option<Arc<str>>>,
) {
    let api: Api<Secret> = Api::namespaced(client, &namespace);
    let seen = watcher::watch_object(api, &name).default_backoff();
    let mut seen = std::pin::pin!(seen);
    let mut said = Said::default();
    while let Some(found) = seen.next().await {
        if to.is_closed() {
            return;
        }
        match found {
            Ok(Some(secret)) => {
                said.forget();
                let kept = Kept::read(&secret.data.unwrap_or_default());
                if !kept.secret_path.is_empty() {
                    path.send_replace(Some(kept.secret_path.as_str().into()));
                }
                let pair = PemPair::new(kept.certificate, kept.key);
                to.send_if_modified(|known| {
                    let changed = known.as_ref() != Some(&pair) && !pair.is_empty();
                    if changed {
                        *known = Some(pair);
                    }
                    changed
                });
            }
            Ok(None) => {}
            Err(error) => {
                let error = error.to_string();
                if said.is_news(&error) {
                    tracing::warn!(
                        error,
                        namespace,
                        secret = name,
                        "reading the serving certificate"
                    );
                }
            }
        }
    }
}
