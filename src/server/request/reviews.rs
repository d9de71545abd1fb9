//! The common part of reviews of tokens and of access: a bounded time, a few attempts, and keys that hold nothing secret. Reviews
//! that a stranger or the holder of a token can cause by the thousand have bounds, so that the API server does not refuse
//! lagscale's own requests for them.

use std::{
    fmt::Debug,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::{Api, api::PostParams};
use ring::digest::{Context, SHA256};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{sleep, timeout},
};

use crate::text::api_error;

/// As the reference asks: an attempt, and four more while the API server is in trouble.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(10);
/// Reviews that pass a gate: at once, in a second, and in a burst.
const AT_ONCE: usize = 32;
const A_SECOND: f64 = 100.0;
const BURST: f64 = 200.0;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::server) enum Unanswered {
    /// So many of these callers ask, or so much.
    #[error("too many requests of callers {0}")]
    Busy(&'static str),
    /// The API server did not answer, or could not.
    #[error("{0}")]
    Failed(String),
}

/// The gates of the server.
pub(in crate::server) struct Gates {
    /// For reviews of callers that have shown nothing, and of tokens that nobody vouched for a moment ago.
    pub strangers: Gate,
    /// For access reviews of callers whose token the API server knows: strangers use up none of their bounds.
    pub tokens: Gate,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            strangers: Gate::of("that have not shown who they are"),
            tokens: Gate::of("with tokens that don't allow every metric everywhere"),
        }
    }
}

/// The bounds on reviews of certain callers.
pub(in crate::server) struct Gate {
    callers: &'static str,
    places: Semaphore,
    bucket: Mutex<(f64, Instant)>,
}

impl Gate {
    fn of(callers: &'static str) -> Self {
        Self {
            callers,
            places: Semaphore::new(AT_ONCE),
            bucket: Mutex::new((BURST, Instant::now())),
        }
    }

    /// Lets one pass, if there are not too many.
    fn pass(&self, now: Instant) -> Option<SemaphorePermit<'_>> {
        let place = self.places.try_acquire().ok()?;
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, since) = *bucket;
        let filled = now.saturating_duration_since(since).as_secs_f64() * A_SECOND;
        let left = (left + filled).min(BURST);
        let passes = left >= 1.0;
        *bucket = (if passes { left - 1.0 } else { left }, now);
        passes.then_some(place)
    }
}

/// Asks until there is an answer, or a refusal that another attempt would not change; ten seconds in all. Where there is a gate,
/// once and through it.
pub(in crate::server) async fn reviewed<K>(
    reviews: &Api<K>,
    review: &K,
    gate: Option<&Gate>,
) -> Result<K, Unanswered>
where
    K: Clone + DeserializeOwned + Serialize + Debug,
{
    let _place = match gate {
        Some(gate) => {
            let place = gate.pass(Instant::now());
            Some(place.ok_or(Unanswered::Busy(gate.callers))?)
        }
        None => None,
    };
    let further = if gate.is_none() { ATTEMPTS - 1 } else { 0 };
    let params = PostParams::default();
    let attempts = async {
        let mut pause = FIRST_PAUSE;
        for _ in 0..further {
            match reviews.create(&params, review).await {
                Err(error) if passes(&error) => {}
                other => return other,
            }
            sleep(pause).await;
            pause = pause * 3 / 2;
        }
        reviews.create(&params, review).await
    };
    let answer = timeout(DEADLINE, attempts).await;
    let answer = answer.map_err(|_| format!("no answer within {} s", DEADLINE.as_secs()));
    let answer = answer.and_then(|answer| answer.map_err(|e| api_error(&e)));
    answer.map_err(Unanswered::Failed)
}

fn passes(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 429 || status.code >= 500,
        _ => true,
    }
}

/// A hash over texts, each with its length.
pub(in crate::server) struct Digest(Context);

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_so_many_a_second_and_never_more_than_a_few_at_once() {
        let gate = Gates::default().strangers;
        let begin = Instant::now();
        let passing = |seconds: f64, count: usize| {
            let now = begin + Duration::from_secs_f64(seconds);
            (0..count).filter(|_| gate.pass(now).is_some()).count()
        };
        assert_eq!(passing(0.0, 1_000), 200);
        assert_eq!(passing(0.5, 1_000), 50);
        assert_eq!(passing(60.0, 1_000), 200);
        let later = begin + Duration::from_secs(120);
        let held: Vec<_> = (0..40).map(|_| gate.pass(later)).collect();
        assert_eq!(held.iter().flatten().count(), AT_ONCE);
    }
}
