//! What is remembered of one partition of one group, from reading to reading. Its unit is the pair of a committed offset
//! and a log end offset read after it; a pair is kept or replaced whole.

use super::{Isolation, Moment};

/// Readings in a row that contradict what is known before they are believed. The owner of a track has the topic described
/// between the first and the last of them.
const DOUBTS: u8 = 2;

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
    /// The last stable offset at that time: where such a consumer begins that reads with read_committed.
    pub stable_baseline: Option<i64>,
    /// Up to which offset it was seen that nothing is left to read behind the commit: transaction markers take offsets too.
    pub drained: Option<i64>,
    /// Whether the commit lies beyond the end: truncated, or from elsewhere.
    pub beyond: bool,
    /// What is not there any more.
    pub loss: Option<Loss>,
    pub(super) topic_id: Option<[u8; 16]>,
    /// Since when there has been a lag with this very commit, by isolation.
    stuck: [Option<Moment>; 2],
    /// The commit of the topic's former life, which the coordinator tells of the new one too, and how often it has.
    inherited: Option<(i64, u8)>,
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
            stable_baseline: reading.stable,
            drained: None,
            beyond: false,
            loss: None,
            topic_id: reading.topic_id,
            stuck: [None; 2],
            inherited: None,
            leader_epoch: reading.leader_epoch,
            doubts: 0,
        };
        // With no good pair to stand on, a commit beyond the end is believed at once.
        track.beyond = reading.committed.is_some_and(|c| c > reading.end);
        track.time_backlog(false);
        track
    }

    /// The first reading of a partition whose topic was deleted and made anew since its group was seen first.
    #[must_use]
    pub fn anew(reading: Reading) -> Self {
        Self {
            baseline: 0,
            stable_baseline: Some(0),
            loss: reading.committed.is_none().then_some(Loss::Recreated),
            ..Self::begin(reading)
        }
    }

    /// True where the topic with this id is another one: the log was deleted and made anew.
    #[must_use]
    pub fn is_of_another(&self, id: Option<[u8; 16]>) -> bool {
        self.topic_id.zip(id).is_some_and(|(own, id)| own != id)
    }

    /// Whether the last reading was not believed, so that the good one before it stands.
    #[must_use]
    pub const fn is_doubted(&self) -> bool {
        self.doubts > 0
    }

    /// Since when there has been a lag for a consumer of this isolation with this very commit.
    #[must_use]
    pub const fn stuck_since(&self, isolation: Isolation) -> Option<Moment> {
        self.stuck[isolation as usize]
    }

    /// Takes a further reading. One that contradicts what is known leaves the last good pair standing until it is confirmed.
    pub fn take(&mut self, mut reading: Reading) {
        let told = reading.topic_id.zip(self.topic_id);
        if told.is_some_and(|(new, known)| new != known) {
            *self = self.made_anew(reading);
            return;
        }
        let inherited = self.inherited;
        self.inherit(&mut reading);
        // Without topic ids a new topic can't be told from a lost commit, and then nothing is remembered.
        let gone = reading.committed.is_none() && self.committed.is_some();
        let expired = gone && told.is_some() && inherited.is_none();
        if expired {
            reading.committed = self.committed;
        }
        let beyond = reading.committed.is_some_and(|c| c > reading.end);
        let epochs = reading.leader_epoch.zip(self.leader_epoch);
        let elected = epochs.is_some_and(|(new, known)| new > known);
        // A leader that was deposed and does not know it yet. Brokers without topic ids begin epochs anew with a topic.
        let deposed = epochs.is_some_and(|(new, known)| new < known);
        // An end falls when a log is cut, and for a moment where a leader before Kafka 2.2 does not know the high watermark yet.
        let fell = reading.end < self.end;
        let doubtful = deposed || fell || beyond && !self.beyond;
        if deposed && told.is_some() {
            self.doubts = 1;
            return;
        }
        if doubtful && self.doubts + 1 < DOUBTS {
            self.doubts += 1;
            return;
        }
        let truncated = beyond && (self.loss == Some(Loss::Truncated) || elected || fell);
        if beyond && !self.beyond || gone && !expired && inherited.is_none() {
            self.baseline = reading.end;
            self.stable_baseline = reading.stable;
        }
        // A consumer that is asked about for the first time began at or before what is stable now.
        let first = || reading.stable.map(|stable| stable.min(self.baseline));
        self.stable_baseline = self.stable_baseline.or_else(first);
        let moved = reading.committed != self.committed;
        // Another leader may have cut the log, and what it has there now was not seen.
        self.drained = self.drained.filter(|_| !moved && !elected && !fell);
        self.committed = reading.committed;
        self.end = reading.end;
        self.start = reading.start.or(self.start);
        self.stable = reading.stable;
        self.at = reading.at;
        self.beyond = beyond;
        self.loss = match self.loss {
            _ if truncated => Some(Loss::Truncated),
            _ if expired => Some(Loss::Expired),
            _ if gone && inherited.is_some() => Some(Loss::Recreated),
            loss => loss.filter(|l| *l == Loss::Recreated && reading.committed.is_none()),
        };
        self.leader_epoch = reading.leader_epoch.or(self.leader_epoch);
        self.doubts = 0;
        self.topic_id = reading.topic_id.or(self.topic_id);
        self.time_backlog(moved);
    }

    /// The first reading of a topic that was deleted and made anew: all that is in it came since.
    fn made_anew(&self, mut reading: Reading) -> Self {
        // The commit may be the former topic's: read just before that went, or told until the coordinator has heard of it.
        let inherited = reading
            .committed
            .filter(|c| self.committed == Some(*c) || *c > reading.end);
        reading.committed = reading.committed.filter(|_| inherited.is_none());
        Self {
            inherited: inherited.map(|commit| (commit, 1)),
            ..Self::anew(reading)
        }
    }

    /// Takes a commit that the former topic had for none, until it has been told often enough to be the new topic's own.
    fn inherit(&mut self, reading: &mut Reading) {
        let same = |(commit, _): &(i64, u8)| reading.committed == Some(*commit);
        self.inherited = self.inherited.filter(same);
        if let Some((commit, told)) = &mut self.inherited
            && (*told < DOUBTS || *commit > reading.end)
        {
            *told += u8::from(*told < DOUBTS);
            reading.committed = None;
        }
    }

    /// Where the log ends for a consumer of this isolation.
    #[must_use]
    pub fn end_for(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.end,
            Isolation::ReadCommitted => self.stable.map_or(self.end, |s| s.min(self.end)),
        }
    }

    /// Where the log starts. A start behind the end is of another log: a topic that is being made anew.
    #[must_use]
    pub fn first(&self) -> i64 {
        self.start.filter(|s| *s <= self.end).unwrap_or(0)
    }

    /// Records behind the commit that are there to be read; without a commit none.
    #[must_use]
    pub fn backlog(&self, isolation: Isolation) -> i64 {
        let end = self.end_for(isolation);
        match self.committed {
            Some(_) if self.drained.is_some_and(|drained| drained >= end) => 0,
            Some(committed) => end.saturating_sub(committed.max(self.first())).max(0),
            None => 0,
        }
    }

    fn time_backlog(&mut self, moved: bool) {
        for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
            let backlog = self.backlog(isolation) > 0;
            let since = &mut self.stuck[isolation as usize];
            *since = since
                .filter(|_| !moved)
                .or(Some(self.at))
                .filter(|_| backlog);
        }
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
    fn a_log_that_lost_records_is_believed_once_that_is_confirmed() {
        let mut fallen = Track::begin(read(190, 200, 0));
        fallen.take(read(190, 100, 5));
        assert_eq!((fallen.committed, fallen.end), (Some(190), 200));
        assert!(fallen.is_doubted());
        fallen.take(read(190, 100, 10));
        assert_eq!((fallen.beyond, fallen.loss), (true, Some(Loss::Truncated)));
        assert_eq!((fallen.committed, fallen.end), (Some(190), 100));
        fallen.take(read(90, 100, 15));
        assert_eq!((fallen.beyond, fallen.loss), (false, None));

        let mut elected = Track::begin(read(90, 100, 0));
        let next = |at| Reading {
            leader_epoch: Some(2),
            ..read(110, 100, at)
        };
        elected.take(next(5));
        assert_eq!(elected.loss, None);
        elected.take(next(10));
        assert_eq!(elected.loss, Some(Loss::Truncated));
    }

    #[test]
    fn an_end_that_falls_for_a_moment_hides_no_lag() {
        // As a new leader before Kafka 2.2 tells it until it knows the high watermark.
        let mut track = Track::begin(read(90, 200, 0));
        let behind = Reading {
            leader_epoch: Some(2),
            ..read(90, 120, 5)
        };
        track.take(behind);
        assert_eq!((track.committed, track.end), (Some(90), 200));
        track.take(Reading { end: 230, ..behind });
        assert_eq!((track.end, track.is_doubted()), (230, false));
    }

    #[test]
    fn the_end_that_a_deposed_leader_tells_is_never_believed() {
        let mut track = Track::begin(read(90, 200, 0));
        for at in [5, 10, 15, 20] {
            track.take(Reading {
                leader_epoch: Some(0),
                ..read(95, 100, at)
            });
            assert_eq!((track.committed, track.end), (Some(90), 200));
        }
        track.take(read(96, 210, 25));
        assert_eq!(
            (track.committed, track.end, track.loss),
            (Some(96), 210, None)
        );
    }

    #[test]
    fn without_topic_ids_epochs_may_begin_anew() {
        let mut track = Track::begin(read(90, 200, 0));
        let anew = |at| Reading {
            leader_epoch: Some(0),
            topic_id: None,
            ..read(5, 10, at)
        };
        track.take(anew(5));
        track.take(anew(10));
        assert_eq!((track.committed, track.end), (Some(5), 10));
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
    fn a_commit_of_the_former_topic_is_none_of_the_new_one() {
        let anew = |committed, end, at| Reading {
            topic_id: Some([2; 16]),
            ..read(committed, end, at)
        };
        let mut track = Track::begin(read(90, 100, 0));
        for (end, at) in [(3, 5), (95, 10)] {
            track.take(anew(90, end, at));
            assert_eq!((track.committed, track.baseline), (None, 0), "{end}");
            assert_eq!(track.loss, Some(Loss::Recreated));
        }
        // Told once more it is believed; and when it goes, nothing of it is remembered.
        track.take(anew(90, 120, 15));
        assert_eq!((track.committed, track.loss), (Some(90), None));
        track.take(anew(-1, 120, 20));
        assert_eq!((track.committed, track.baseline), (None, 0));
        assert_eq!(track.loss, Some(Loss::Recreated));
        // A commit that was made in the new topic is remembered as any other.
        track.take(anew(10, 120, 25));
        track.take(anew(-1, 120, 30));
        assert_eq!(
            (track.committed, track.loss),
            (Some(10), Some(Loss::Expired))
        );
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
    fn a_lag_stands_from_its_first_record_with_the_same_commit() {
        let plain = Isolation::ReadUncommitted;
        let since = |track: &Track| track.stuck_since(plain);
        let at = |seconds| Some(read(0, 0, seconds).at);
        let mut track = Track::begin(read(100, 100, 0));
        assert_eq!(since(&track), None);
        track.take(read(100, 105, 5));
        assert_eq!(since(&track), at(5));
        track.take(read(100, 107, 10));
        assert_eq!(since(&track), at(5));
        track.take(read(101, 107, 15));
        assert_eq!(since(&track), at(15));
        track.take(read(107, 107, 20));
        assert_eq!(since(&track), None);
    }

    #[test]
    fn what_is_no_lag_does_not_age() {
        // Markers, deleted records, and what an open transaction holds back from this isolation.
        let mut markers = Track::begin(read(99, 100, 0));
        markers.drained = Some(100);
        markers.take(read(99, 100, 5));
        assert_eq!(markers.stuck_since(Isolation::ReadUncommitted), None);
        let mut deleted = read(50, 100, 0);
        deleted.start = Some(100);
        let deleted = Track::begin(deleted);
        assert_eq!(deleted.stuck_since(Isolation::ReadUncommitted), None);
        let mut open = read(90, 100, 0);
        open.stable = Some(90);
        let open = Track::begin(open);
        assert_eq!(open.stuck_since(Isolation::ReadCommitted), None);
        assert!(open.stuck_since(Isolation::ReadUncommitted).is_some());
    }
}
