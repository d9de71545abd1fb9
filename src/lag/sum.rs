//! The lag of a trigger: its partitions' pairs, counted by its options.

use std::time::{Duration, Instant};

use super::{Isolation, Moment, Track};

/// The place where a consumer of the group begins that has no valid commit (`offsetResetPolicy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It begins at the log end of that time.
    Latest,
    /// It begins at the log start.
    Earliest,
}

/// How a trigger counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counting {
    /// `offsetResetPolicy`.
    pub policy: Policy,
    /// `isolation`.
    pub isolation: Isolation,
    /// `scaleToZeroOnInvalidOffset`: a partition without a commit does not keep a consumer alive.
    pub zero_without_commit: bool,
    /// `excludePersistentLag`: a lag whose commit has not moved for this long does not count (but still activates).
    pub exclude_persistent_after: Option<Duration>,
}

/// The sum of a set of partitions. In records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// For the HPA.
    pub lag: i64,
    /// For waking and sleeping: as `lag`, persistent lag included.
    pub activation: i64,
    /// Partitions whose counted lag is above zero.
    pub with_lag: u32,
    /// Partitions counted.
    pub counted: u32,
    /// The newest reading among them.
    pub newest: Option<Moment>,
    /// When the next lag becomes persistent, if its commit does not move until then.
    pub persists_at: Option<Instant>,
}

/// Adds up `tracks`. Nothing is negative, whatever a broker said; sums saturate.
pub fn sum<'a>(
    tracks: impl IntoIterator<Item = &'a Track>,
    counting: Counting,
    now: Moment,
) -> Sum {
    let mut sum = Sum::default();
    for track in tracks {
        let lag = lag(track, counting);
        let persists_at = counting
            .exclude_persistent_after
            .zip(track.stuck_since(counting.isolation))
            .map(|(after, since)| since.at + after);
        let persistent = persists_at.is_some_and(|at| at <= now.at);
        let coming = persists_at.filter(|_| !persistent);
        sum.persists_at = sum.persists_at.into_iter().chain(coming).min();
        let counted = if persistent { 0 } else { lag };
        sum.lag = sum.lag.saturating_add(counted);
        sum.activation = sum.activation.saturating_add(lag);
        sum.with_lag += u32::from(counted > 0);
        sum.counted += 1;
        sum.newest = match sum.newest {
            Some(newest) if newest.at >= track.at.at => Some(newest),
            _ => Some(track.at),
        };
    }
    sum
}

/// Records of one partition that the group still has to do: docs/lag.md has the table.
fn lag(track: &Track, counting: Counting) -> i64 {
    let (first, end) = (track.first(), track.end_for(counting.isolation));
    let whole = end.saturating_sub(first).max(0);
    let baseline = match counting.isolation {
        Isolation::ReadUncommitted => track.baseline,
        Isolation::ReadCommitted => track.stable_baseline.unwrap_or(track.baseline),
    };
    // Records that are deleted wait for nobody.
    let since_seen = end.saturating_sub(baseline.max(first)).max(0);
    match track.committed {
        Some(_) if !track.beyond => track.backlog(counting.isolation),
        None if counting.zero_without_commit => match counting.policy {
            Policy::Earliest => 0,
            Policy::Latest => since_seen,
        },
        _ => match counting.policy {
            Policy::Earliest => whole,
            Policy::Latest => since_seen.max(1),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::Reading;

    fn track(committed: Option<i64>, start: i64, end: i64) -> Track {
        Track::begin(Reading {
            committed,
            end,
            start: Some(start),
            topic_id: None,
            stable: None,
            leader_epoch: None,
            at: Moment::now(),
        })
    }

    fn counted(track: &Track, policy: Policy, zero_without_commit: bool) -> i64 {
        let counting = Counting {
            policy,
            isolation: Isolation::ReadUncommitted,
            zero_without_commit,
            exclude_persistent_after: None,
        };
        sum([track], counting, Moment::now()).lag
    }

    #[test]
    fn a_partition_counts_by_commit_start_end_and_policy() {
        use Policy::{Earliest, Latest};
        for (committed, start, end, policy, zero, lag) in [
            (Some(90), 0, 100, Latest, false, 10),
            (Some(100), 0, 100, Latest, false, 0),
            (Some(30), 80, 210, Earliest, false, 130),
            (Some(30), 80, 210, Latest, false, 130),
            (None, 20, 100, Earliest, false, 80),
            (None, 20, 100, Earliest, true, 0),
            (None, 20, 100, Latest, false, 1),
            (None, 20, 100, Latest, true, 0),
            (Some(200), 20, 100, Earliest, false, 80),
            (Some(200), 20, 100, Latest, false, 1),
            (Some(i64::MAX), 0, 0, Latest, false, 1),
            (None, 0, i64::MAX, Earliest, false, i64::MAX),
        ] {
            let track = track(committed, start, end);
            assert_eq!(
                counted(&track, policy, zero),
                lag,
                "C {committed:?} S {start} E {end} {policy:?} {zero}"
            );
        }
    }

    #[test]
    fn a_read_committed_consumer_has_what_lies_before_the_open_transaction() {
        use Policy::{Earliest, Latest};
        for (committed, policy, all, stable) in [
            (Some(90), Latest, 10, 5),
            (Some(97), Latest, 3, 0),
            (None, Earliest, 80, 75),
            (Some(10), Earliest, 80, 75),
        ] {
            let mut track = track(committed, 20, 100);
            track.stable = Some(95);
            let lag = |isolation| {
                let counting = Counting {
                    policy,
                    isolation,
                    zero_without_commit: false,
                    exclude_persistent_after: None,
                };
                sum([&track], counting, track.at).lag
            };
            assert_eq!(lag(Isolation::ReadUncommitted), all, "{committed:?}");
            assert_eq!(lag(Isolation::ReadCommitted), stable, "{committed:?}");
        }
    }

    #[test]
    fn without_a_commit_latest_counts_what_came_since_it_was_first_seen() {
        let mut seen = track(None, 0, 100);
        seen.take(Reading {
            committed: None,
            end: 107,
            start: None,
            topic_id: None,
            stable: None,
            leader_epoch: None,
            at: Moment::now(),
        });
        assert_eq!(counted(&seen, Policy::Latest, false), 7);
        assert_eq!(counted(&seen, Policy::Latest, true), 7);
    }

    #[test]
    fn a_read_committed_consumer_without_a_commit_begins_at_the_last_stable_offset() {
        let read = |end, stable| Reading {
            committed: None,
            end,
            start: None,
            topic_id: None,
            stable: Some(stable),
            leader_epoch: None,
            at: Moment::now(),
        };
        let mut seen = Track::begin(read(100, 50));
        seen.take(read(101, 101));
        let lag = |isolation| {
            let counting = Counting {
                policy: Policy::Latest,
                isolation,
                zero_without_commit: true,
                exclude_persistent_after: None,
            };
            sum([&seen], counting, Moment::now()).lag
        };
        assert_eq!(lag(Isolation::ReadCommitted), 51);
        assert_eq!(lag(Isolation::ReadUncommitted), 1);
    }

    #[test]
    fn nothing_is_larger_than_the_log() {
        for (start, end, most) in [
            (990, 1_000, 10),
            (1_000_000, 1_000_100, 100),
            (1_000, 1_000, 1),
        ] {
            for (committed, beyond) in [(None, false), (Some(2_000_000), true)] {
                let mut seen = track(committed, 0, 100);
                (seen.start, seen.end, seen.beyond) = (Some(start), end, beyond);
                let lag = counted(&seen, Policy::Latest, false);
                assert_eq!(lag, most, "S {start} E {end} committed {committed:?}");
                assert!(counted(&seen, Policy::Earliest, false) <= most);
            }
        }
    }

    #[test]
    fn a_persistent_lag_counts_for_one_interval_and_then_only_activates() {
        let stuck = track(Some(5), 0, 9);
        let interval = Duration::from_secs(30);
        let counting = Counting {
            policy: Policy::Latest,
            isolation: Isolation::ReadUncommitted,
            zero_without_commit: false,
            exclude_persistent_after: Some(interval),
        };
        let before = sum([&stuck], counting, stuck.at.later(interval / 2));
        let after = sum([&stuck], counting, stuck.at.later(interval));
        assert_eq!((before.lag, before.activation, before.with_lag), (4, 4, 1));
        assert_eq!((after.lag, after.activation, after.with_lag), (0, 4, 0));
    }

    #[test]
    fn sums_saturate_instead_of_wrapping() {
        let huge = track(Some(0), 0, i64::MAX);
        let counting = Counting {
            policy: Policy::Latest,
            isolation: Isolation::ReadUncommitted,
            zero_without_commit: false,
            exclude_persistent_after: None,
        };
        assert_eq!(sum([&huge, &huge], counting, huge.at).lag, i64::MAX);
    }
}
