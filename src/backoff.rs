//! Delays that double from try to try.

use std::time::Duration;

/// `first`, doubled `times` times, but no longer than `longest`.
pub(crate) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_doubles_until_it_is_the_longest() {
        let seconds = |times| doubled(Duration::from_secs(2), times, Duration::from_secs(60));
        let delays = [0, 1, 2, 4, 5, 31, 32, u32::MAX].map(|times| seconds(times).as_secs());
        assert_eq!(delays, [2, 4, 8, 32, 60, 60, 60, 60]);
    }
}
