//! The time for which a broker that refuses us is left alone.

use std::time::Duration;

use crate::backoff::doubled;

/// A refused login costs the broker a delayed answer, so it is tried less and less often.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// How long to leave alone what refuses us: twice as long each time, up to a minute, and up to a tenth more, so that what
/// has one cause does not dial in step.
pub(super) fn backoff(every: Duration, tries: u32) -> Duration {
    jittered(doubled(every, tries, LONGEST_BACKOFF))
}

pub(super) fn jittered(span: Duration) -> Duration {
    span.mul_f64(1.0 + fastrand::f64() / 10.0)
}
