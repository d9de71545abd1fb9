//! The predecessor as every replica knows it: from the annotation of the APIService, whoever wrote it.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};

use super::{Delegate, Delegation, predecessor};
use crate::{telemetry::Said, text::watch_error};

impl Delegation {
    /// Follows the APIService of this name for as long as the process runs.
    pub async fn follow(self: Arc<Self>, client: Client, api_service: &'static str) {
        let api: Api<APIService> = Api::all(client);
        let seen = watcher::watch_object(api, api_service).default_backoff();
        let mut seen = std::pin::pin!(seen);
        let mut said = Said::default();
        while let Some(found) = seen.next().await {
            let told = match found {
                Ok(Some(found)) => self.adopt(&found),
                // One that is gone names nobody, and what was known may be all that still leads there.
                Ok(None) => Ok(()),
                Err(error) => Err(watch_error(&error)),
            };
            match told {
                Ok(()) => said.forget(),
                Err(error) if said.is_news(&error) => tracing::warn!(
                    error,
                    api_service,
                    "looking for whom the APIService led to before"
                ),
                Err(_) => {}
            }
        }
    }

    fn adopt(&self, found: &APIService) -> Result<(), String> {
        let Some(backend) = predecessor::backend(found)? else {
            self.predecessor.store(None);
            return Ok(());
        };
        let known = self.predecessor.load();
        if known.as_ref().is_some_and(|known| known.backend == backend) {
            return Ok(());
        }
        let own = (&self.rules.namespace, &self.rules.service);
        if (&backend.service.namespace, &backend.service.name) == own {
            return Err(format!("{backend} is lagscale itself"));
        }
        let delegate = Delegate::new(backend, &self.rules.addresses)?;
        tracing::info!(
            "what is not lagscale's own is asked of {}",
            delegate.backend
        );
        self.predecessor.store(Some(Arc::new(delegate)));
        Ok(())
    }
}
