//! Bearer tokens, which the API server knows and we do not: a TokenReview each, remembered for ten seconds under the token's
//! hash. What went wrong is not remembered.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client};
use moka::future::Cache;

use crate::server::{
    guest::Standing,
    request::reviews::{Digest, Gate, Unanswered, reviewed},
    request::user::User,
};

const REMEMBERED: Duration = Duration::from_secs(10);
const MOST: u64 = 4096;

/// Asks the API server and remembers.
pub(in crate::server) struct Tokens {
    reviews: Api<TokenReview>,
    known: Cache<[u8; 32], Option<Arc<User>>>,
    gate: Arc<Gate>,
}

impl Tokens {
    pub fn new(client: Client, gate: Arc<Gate>) -> Self {
        Self {
            gate,
            reviews: Api::all(client),
            known: Cache::builder()
                .max_capacity(MOST)
                .time_to_live(REMEMBERED)
                .build(),
        }
    }

    /// Whose token it is; `None` where it is nobody's.
    pub async fn user(&self, token: &str) -> Result<Option<Arc<User>>, Unanswered> {
        let mut digest = Digest::default();
        digest.text(token);
        let known = self.known.try_get_with(digest.end(), self.ask(token)).await;
        known.map_err(|error| {
            if matches!(*error, Unanswered::Failed(_)) {
                tracing::warn!(%error, "cannot ask whose token it is");
            }
            Unanswered::clone(&error)
        })
    }

    async fn ask(&self, token: &str) -> Result<Option<Arc<User>>, Unanswered> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: None,
            },
            ..TokenReview::default()
        };
        let review = reviewed(&self.reviews, &review, Standing::Stranger, &self.gate).await?;
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
