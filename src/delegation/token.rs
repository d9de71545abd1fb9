//! The token that backends are shown: of a ServiceAccount that may read external metrics and nothing else. lagscale's own may read
//! Secrets, and a backend could use whatever it is shown.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Client, api::PostParams};
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::{account_token, text::api_error};

/// Life of a token; the API server may shorten it.
const LIFE: Duration = Duration::from_secs(3600);

/// The account's token, asked for once and renewed before it ends.
pub(super) struct Tokens {
    accounts: Api<ServiceAccount>,
    account: String,
    namespace: String,
    kept: Mutex<Option<Kept>>,
}

#[derive(Clone)]
struct Kept {
    token: Arc<SecretString>,
    renewed_at: Instant,
    ends: Instant,
}

impl Tokens {
    pub(super) fn new(client: Client, namespace: &str, account: &str) -> Self {
        Self {
            accounts: Api::namespaced(client, namespace),
            account: account.to_owned(),
            namespace: namespace.to_owned(),
            kept: Mutex::new(None),
        }
    }

    /// A token that is good now. Who asks while it is being renewed waits for that.
    ///
    /// # Errors
    /// A sentence: which account, and what the API server said.
    pub(super) async fn get(&self) -> Result<Arc<SecretString>, String> {
        let mut kept = self.kept.lock().await;
        let now = Instant::now();
        if let Some(kept) = kept.as_ref().filter(|k| now < k.renewed_at) {
            return Ok(kept.token.clone());
        }
        match self.ask().await {
            Ok(new) => {
                let token = new.token.clone();
                *kept = Some(new);
                Ok(token)
            }
            Err(error) => {
                let good = kept.as_ref().filter(|k| now < k.ends);
                good.map(|k| k.token.clone()).ok_or(error)
            }
        }
    }

    /// Forgets `token`, which was refused.
    pub(super) async fn forget(&self, token: &Arc<SecretString>) {
        let mut kept = self.kept.lock().await;
        if kept.as_ref().is_some_and(|k| Arc::ptr_eq(&k.token, token)) {
            *kept = None;
        }
    }

    async fn ask(&self) -> Result<Kept, String> {
        let Self {
            namespace, account, ..
        } = self;
        // Its default audience: those servers review tokens without one.
        let request = account_token::request(None, LIFE);
        let asked = Instant::now();
        let params = PostParams::default();
        let made = self
            .accounts
            .create_token_request(account, &params, &request);
        let made = made.await.map_err(|e| {
            format!(
                "no token for ServiceAccount {namespace}/{account}, which the manifests have: {}",
                api_error(&e)
            )
        })?;
        let life = account_token::granted(&made, LIFE);
        let status = made.status.ok_or("the API server gave no token")?;
        Ok(Kept {
            token: Arc::new(status.token.into()),
            renewed_at: asked + account_token::renewed_after(life),
            ends: asked + life,
        })
    }
}
