//! What reviews of tokens and of access have in common: a bounded time, a few attempts, and keys that hold nothing secret.

use std::{fmt::Debug, time::Duration};

use kube::{Api, api::PostParams};
use ring::digest::{Context, SHA256};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{sleep, timeout};

/// As the reference asks: an attempt, and four more while the API server is in trouble.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(10);

/// Asks until there is an answer, or a refusal that another attempt would not change; ten seconds in all.
pub(super) async fn reviewed<K>(reviews: &Api<K>, review: &K) -> Result<K, String>
where
    K: Clone + DeserializeOwned + Serialize + Debug,
{
    let params = PostParams::default();
    let attempts = async {
        let mut pause = FIRST_PAUSE;
        for _ in 1..ATTEMPTS {
            match reviews.create(&params, review).await {
                Err(error) if passes(&error) => {}
                other => return other,
            }
            sleep(pause).await;
            pause = pause * 3 / 2;
        }
        reviews.create(&params, review).await
    };
    match timeout(DEADLINE, attempts).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} s", DEADLINE.as_secs())),
    }
}

fn passes(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 429 || status.code >= 500,
        _ => true,
    }
}

/// A hash over texts, each with its length.
pub(super) struct Digest(Context);

impl Default for Digest {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Digest {
    pub fn number(&mut self, number: usize) {
        self.0.update(&number.to_be_bytes());
    }

    pub fn text(&mut self, text: &str) {
        self.number(text.len());
        self.0.update(text.as_bytes());
    }

    pub fn end(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        bytes
    }
}
