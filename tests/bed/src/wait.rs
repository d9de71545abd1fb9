//! Waiting for something with a deadline that is generous, and saying what was waited for.

use std::{fmt::Debug, time::Duration};

use tokio::time::Instant;

const STEP: Duration = Duration::from_millis(100);

/// Asks every 100 ms until `look` answers `Ok`; panics after `deadline` with what it saw last.
pub async fn until<T, E: Debug>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        let last = match look().await {
            Ok(found) => return found,
            Err(last) => last,
        };
        assert!(
            Instant::now() < end,
            "waited {deadline:?} for {what}; last seen: {last:?}"
        );
        tokio::time::sleep(STEP).await;
    }
}

/// Looks every 100 ms for as long as `span`, and panics at the first `Err`.
pub async fn always<E: Debug>(
    what: &str,
    span: Duration,
    mut look: impl AsyncFnMut() -> Result<(), E>,
) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        if let Err(seen) = look().await {
            panic!("{what} did not hold: {seen:?}");
        }
        tokio::time::sleep(STEP).await;
    }
}
