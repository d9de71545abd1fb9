//! Bearer tokens, which the API server knows and we do not: a TokenReview each, remembered for ten seconds under the token's
//! hash. What went wrong is not remembered. A token that was good a while ago is reviewed again without waiting for strangers.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client};
use moka::future::Cache;

use crate::server::{
    request::reviews::{Digest, Gate, Gates, Unanswered, reviewed},
    request::user::User,
};

const REMEMBERED: Duration = Duration::from_secs(10);
/// A token that was good so long ago is a stranger's again.
const VOUCHED: Duration = Duration::from_secs(600);
const MOST: u64 = 4096;

/// Asks the API server and remembers.
pub(in crate::server) struct Tokens {
    reviews: Api<TokenReview>,
    known: Cache<[u8; 32], Option<Arc<User>>>,
    /// Tokens that were good.
    vouched: Cache<[u8; 32], ()>,
    gates: Arc<Gates>,
}

impl Tokens {
    pub fn new(client: Client, gates: Arc<Gates>) -> Self {
        Self {
            gates,
            reviews: Api::all(client),
            known: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(REMEMBERED)
                .build(),
            vouched: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(VOUCHED)
                .build(),
        }
    }

    /// Whose token it is; `None` where it is nobody's.
    pub async fn user(&self, token: &str) -> Result<Option<Arc<User>>, Unanswered> {
        let mut digest = Digest::default();
        digest.text(token);
        let digest = digest.end();
        let ask = async {
            let gate = if self.vouched.contains_key(&digest) {
                None
            } else {
                Some(&self.gates.strangers)
            };
            let user = self.ask(token, gate).await?;
            if user.is_some() {
                self.vouched.insert(digest, ()).await;
            } else {
                self.vouched.invalidate(&digest).await;
            }
            Ok(user)
        };
        let known = self.known.try_get_with(digest, ask).await;
        known.map_err(|error| {
            if matches!(*error, Unanswered::Failed(_)) {
                tracing::warn!(%error, "cannot ask whose token it is");
            }
            Unanswered::clone(&error)
        })
    }

    async fn ask(&self, token: &str, gate: Option<&Gate>) -> Result<Option<Arc<User>>, Unanswered> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: None,
            },
            ..TokenReview::default()
        };
        let review = reviewed(&self.reviews, &review, gate).await?;
        let status = review.status.unwrap_or_default();
        if status.authenticated != Some(true) {
            return match status.error.filter(|e| !e.is_empty()) {
                Some(error) => Err(Unanswered::Failed(error)),
                None => Ok(None),
            };
        }
        let user = status.user.unwrap_or_default();
        Ok(Some(Arc::new(User {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        })))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// Asks an API server that knows the token `good` while it `knows` one.
    fn tokens(knows: &Arc<AtomicBool>) -> Tokens {
        let knows = knows.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let knows = knows.clone();
            async move {
                let body = request.into_body().collect_bytes().await?;
                let mut review: Value = serde_json::from_slice(&body)?;
                let good = review["spec"]["token"] == "good" && knows.load(Ordering::Relaxed);
                review["status"] = json!({"authenticated": good, "user": {"username": "reader"}});
                let answer = Response::builder().status(201);
                Ok::<_, tower::BoxError>(answer.body(Body::from(review.to_string().into_bytes()))?)
            }
        });
        Tokens::new(Client::new(service, "default"), Arc::default())
    }

    #[tokio::test]
    async fn a_token_that_was_good_is_reviewed_again_beside_a_flood_until_it_is_refused() {
        let knows = Arc::new(AtomicBool::new(true));
        let tokens = tokens(&knows);
        assert!(tokens.user("good").await.unwrap().is_some());
        let busy = async || {
            for n in 0.. {
                if let Err(error) = tokens.user(&format!("random {n}")).await {
                    return error;
                }
            }
            unreachable!()
        };
        assert!(matches!(busy().await, Unanswered::Busy(_)));
        for _ in 0..50 {
            tokens.known.invalidate_all();
            assert!(tokens.user("good").await.unwrap().is_some());
        }
        knows.store(false, Ordering::Relaxed);
        tokens.known.invalidate_all();
        assert!(tokens.user("good").await.unwrap().is_none(), "revoked");
        tokens.vouched.run_pending_tasks().await;
        assert_eq!(tokens.vouched.entry_count(), 0, "a stranger's again");
    }
}
