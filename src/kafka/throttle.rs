//! The silence that a broker demands on a connection (KIP-219).

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::traffic;

/// A broker asks for at most about a second of silence (the quota window); more is not obeyed, a hostile one could stop us.
const LONGEST: Duration = Duration::from_secs(2);

/// An answer and how long the broker wants to be left alone on this connection (KIP-219), in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttled<T> {
    /// The silence that was asked for.
    pub answer: T,
    /// Zero or more.
    pub throttle_ms: u32,
}

impl<T> Throttled<T> {
    pub(super) fn new(answer: T, throttle_ms: i32) -> Self {
        Self {
            answer,
            throttle_ms: u32::try_from(throttle_ms).unwrap_or(0),
        }
    }
}

/// The silence that is kept on a connection.
#[derive(Default)]
pub(super) struct Silence(Option<Instant>);

impl Silence {
    /// Returns when it is over.
    pub(super) async fn is_over(&mut self) {
        if let Some(until) = self.0.take() {
            sleep_until(until.into()).await;
        }
    }

    /// Takes an answer, and begins the silence that it demands.
    pub(super) fn heed<T>(&mut self, answer: Throttled<T>) -> T {
        let silence = Duration::from_millis(answer.throttle_ms.into()).min(LONGEST);
        traffic::throttled(silence.as_millis().try_into().unwrap_or(u64::MAX));
        self.0 = (!silence.is_zero()).then(|| Instant::now() + silence);
        answer.answer
    }
}
