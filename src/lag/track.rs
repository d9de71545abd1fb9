//! What is remembered of one partition of one group, from reading to reading. Its unit is the pair of a committed offset
//! and a log end offset read after it; a pair is kept or replaced whole.

use super::Moment;

/// How often in a row a commit beyond the end is taken for a race before it is believed: two ticks and the metadata
/// refresh between them.
const BEYOND_TICKS: u8 = 2;

/// One reading: the commit first, then the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// `None`: the group has no commit here.
    pub committed: Option<i64>,
    /// Log end offset, read after the commit.
    pub end: i64,
    /// Log start offset, if it was asked; it only moves up within one topic id.
    pub start: Option<i64>,
    /// The topic's id, if the broker tells.
    pub topic_id: Option<[u8; 16]>,
    /// The last stable offset, if it was asked: what a consumer with isolation read_committed sees ends here.
    pub stable: Option<i64>,
    /// Of the leader that told the end.
    pub leader_epoch: Option<i32>,
    /// When the commit was read: the older half of the pair.
    pub at: Moment,
}

/// What was lost of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The log was seen to lose records that had been committed, as an unclean leader election does.
    Truncated,
    /// The commit is gone although its topic is the same: expired, or deleted with its group. The last one stands.
    Expired,
    /// The topic was deleted and made anew since the group was first seen, which has no commit in it yet.
    Recreated,
}

/// The last good pair and what a policy may need beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// The committed offset of the pair.
    pub committed: Option<i64>,
    /// The log end offset of the pair.
    pub end: i64,
    /// The last log start offset seen.
    pub start: Option<i64>,
    /// The last stable offset of the pair.
    pub stable: Option<i64>,
    /// When the pair was read.
    pub at: Moment,
    /// The end when this partition was first seen without a commit, or when a commit was first believed to lie beyond it:
    /// where a `latest` consumer would begin.
    pub baseline: i64,
    /// Since when there has been a lag with this very commit.
    pub stuck_since: Option<Moment>,
    /// Up to which offset it was seen that nothing is left to read behind the commit: transaction markers take offsets too.
    pub drained: Option<i64>,
    /// Whether the commit lies beyond the end: truncated, or from elsewhere.
    pub beyond: bool,
    /// What is not there any more.
    pub loss: Option<Loss>,
    pub(super) topic_id: Option<[u8; 16]>,
    leader_epoch: Option<i32>,
    doubts: u8,
}

impl Track {
    /// The first reading.
    #[must_use]
    pub fn begin(reading: Reading) -> Self {
        let mut track = Self {
            committed: reading.committed,
            end: reading.end,
            start: reading.start,
            stable: reading.stable,
            at: reading.at,
            baseline: reading.end,
            stuck_since: None,
            drained: None,
            beyond: false,
            loss: None,
            topic_id: reading.topic_id,
            leader_epoch: reading.leader_epoch,
            doubts: 0,
        };
        // With no good pair to stand on, a commit beyond the end is believed at once.
        track.beyond = reading.committed.is_some_and(|c| c > reading.end);
        track.stuck_since = track.has_backlog().then_some(reading.at);
        track
    }

    /// Whether the last reading was not believed, so that the good one before it stands.
    #[must_use]
    pub const fn is_doubted(&self) -> bool {
        self.doubts > 0
    }

    /// Takes a further reading. A commit beyond the end leaves the last good pair standing for two ticks.
    pub fn take(&mut self, mut reading: Reading) {
        let recreated = reading.topic_id.is_some()
            && self.topic_id.is_some()
            && reading.topic_id != self.topic_id;
        if recreated {
            *self = Self {
                // A new topic begins at 0; where its log began when first seen, everything in it is new to the group.
                baseline: 0,
                loss: reading.committed.is_none().then_some(Loss::Recreated),
                ..Self::begin(reading)
            };
            return;
        }
        // Without topic ids a new topic can't be told from a lost commit, and then nothing is remembered.
        let expired = reading.committed.is_none()
            && self.committed.is_some()
            && reading.topic_id.is_some()
            && reading.topic_id == self.topic_id;
        if expired {
            reading.committed = self.committed;
        }
        let beyond = reading.committed.is_some_and(|c| c > reading.end);
        let epochs = reading.leader_epoch.zip(self.leader_epoch);
        let elected = epochs.is_some_and(|(new, known)| new > known);
        // A leader that was deposed and does not know it yet tells an old end. Brokers without topic ids begin epochs
        // anew with a topic, so it is not doubted for ever.
        let deposed = epochs.is_some_and(|(new, known)| new < known);
        let cut = self.loss == Some(Loss::Truncated) || elected || reading.end < self.end;
        let truncated = beyond && !deposed && cut;
        let doubtful = deposed || beyond && !truncated && !self.beyond;
        if doubtful && self.doubts + 1 < BEYOND_TICKS {
            self.doubts += 1;
            return;
        }
        if beyond && !self.beyond || reading.committed.is_none() && self.committed.is_some() {
            self.baseline = reading.end;
        }
        let moved = reading.committed != self.committed;
        // Another leader may have cut the log, and what it has there now was not seen.
        let same_log = !elected && reading.end >= self.end;
        self.drained = self.drained.filter(|_| !moved && same_log);
        self.committed = reading.committed;
        self.end = reading.end;
        self.start = reading.start.or(self.start);
        self.stable = reading.stable;
        self.at = reading.at;
        self.beyond = beyond;
        self.loss = match self.loss {
            _ if truncated => Some(Loss::Truncated),
            _ if expired => Some(Loss::Expired),
            loss => loss.filter(|l| *l == Loss::Recreated && reading.committed.is_none()),
        };
        self.leader_epoch = reading.leader_epoch.or(self.leader_epoch);
        self.doubts = 0;
        self.topic_id = reading.topic_id.or(self.topic_id);
        if !self.has_backlog() {
            self.stuck_since = None;
        } else if moved || self.stuck_since.is_none() {
            self.stuck_since = Some(reading.at);
        }
    }

    fn has_backlog(&self) -> bool {
        self.committed.is_some_and(|c| c < self.end)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(committed: i64, end: i64, seconds: u64) -> Reading {
        let epoch = *EPOCH.get_or_init(Moment::now);
        Reading {
            committed: (committed >= 0).then_some(committed),
            end,
            start: Some(0),
            topic_id: Some([1; 16]),
            stable: None,
            leader_epoch: Some(1),
            at: epoch.later(Duration::from_secs(seconds)),
        }
    }
    static EPOCH: std::sync::OnceLock<Moment> = std::sync::OnceLock::new();

    #[test]
    fn a_commit_beyond_the_end_keeps_the_last_good_pair_for_two_ticks() {
        let mut track = Track::begin(read(90, 100, 0));
        track.take(read(110, 100, 5));
        assert_eq!((track.committed, track.beyond), (Some(90), false));
        track.take(read(110, 100, 10));
        assert_eq!((track.committed, track.beyond), (Some(110), true));
        assert_eq!(track.baseline, 100);
        track.take(read(120, 130, 15));
        assert_eq!((track.committed, track.beyond), (Some(120), false));
    }

    #[test]
    fn a_log_that_lost_committed_records_is_believed_at_once() {
        let mut fallen = Track::begin(read(190, 200, 0));
        fallen.take(read(190, 100, 5));
        assert_eq!((fallen.beyond, fallen.loss), (true, Some(Loss::Truncated)));
        assert_eq!((fallen.committed, fallen.end), (Some(190), 100));
        fallen.take(read(90, 100, 10));
        assert_eq!((fallen.beyond, fallen.loss), (false, None));

        let mut elected = Track::begin(read(90, 100, 0));
        let mut next = read(110, 100, 5);
        next.leader_epoch = Some(2);
        elected.take(next);
        assert_eq!(elected.loss, Some(Loss::Truncated));
    }

    #[test]
    fn the_end_that_a_deposed_leader_tells_is_not_believed_at_once() {
        let mut track = Track::begin(read(90, 200, 0));
        let mut old = read(95, 100, 5);
        old.leader_epoch = Some(0);
        track.take(old);
        assert_eq!((track.committed, track.end), (Some(90), 200));
        track.take(read(96, 210, 10));
        assert_eq!(
            (track.committed, track.end, track.loss),
            (Some(96), 210, None)
        );
    }

    #[test]
    fn a_commit_that_is_gone_from_the_same_topic_is_remembered_until_there_is_one_again() {
        let mut track = Track::begin(read(90, 100, 0));
        track.take(read(-1, 120, 5));
        assert_eq!(
            (track.committed, track.end, track.loss),
            (Some(90), 120, Some(Loss::Expired))
        );
        track.take(read(-1, 130, 10));
        assert_eq!(
            (track.committed, track.end, track.loss),
            (Some(90), 130, Some(Loss::Expired))
        );
        track.take(read(130, 130, 15));
        assert_eq!((track.committed, track.loss), (Some(130), None));
        let mut unknown = read(-1, 140, 20);
        unknown.topic_id = None;
        track.take(unknown);
        assert_eq!((track.committed, track.loss), (None, None));
    }

    #[test]
    fn what_was_drained_stays_so_for_one_commit_in_one_log() {
        let drained = |next: Reading| {
            let mut track = Track::begin(read(99, 100, 0));
            track.drained = Some(100);
            track.take(next);
            track.drained
        };
        assert_eq!(drained(read(99, 100, 5)), Some(100));
        assert_eq!(drained(read(99, 104, 5)), Some(100), "and 104 is more");
        assert_eq!(drained(read(98, 100, 5)), None);
        assert_eq!(drained(read(99, 99, 5)), None);
        let mut elected = read(99, 100, 5);
        elected.leader_epoch = Some(2);
        assert_eq!(drained(elected), None);
    }

    #[test]
    fn a_single_race_leaves_no_trace() {
        let mut track = Track::begin(read(90, 100, 0));
        track.take(read(110, 100, 5));
        track.take(read(110, 120, 10));
        assert_eq!((track.committed, track.end), (Some(110), 120));
        track.take(read(130, 120, 15));
        assert_eq!(track.committed, Some(110), "the doubt begins anew");
    }

    #[test]
    fn a_new_topic_id_forgets_what_was_known_of_the_old_topic() {
        let mut track = Track::begin(read(90, 100, 0));
        let mut again = read(-1, 3, 5);
        again.topic_id = Some([2; 16]);
        track.take(again);
        assert_eq!((track.committed, track.end), (None, 3));
        assert_eq!(track.loss, Some(Loss::Recreated));
        assert_eq!(track.baseline, 0, "all three records are new to the group");
    }

    #[test]
    fn being_stuck_counts_from_the_first_lag_with_the_same_commit() {
        let mut track = Track::begin(read(100, 100, 0));
        assert_eq!(track.stuck_since, None);
        track.take(read(100, 105, 5));
        let since = track.stuck_since;
        assert_eq!(since, Some(read(0, 0, 5).at));
        track.take(read(100, 107, 10));
        assert_eq!(track.stuck_since, since);
        track.take(read(101, 107, 15));
        assert_eq!(track.stuck_since, Some(read(0, 0, 15).at));
        track.take(read(107, 107, 20));
        assert_eq!(track.stuck_since, None);
    }
}
