//! The track of one partition of one group, from reading to reading. Its unit is the pair of a committed offset
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
    /// Epoch of the leader that told the end.
    pub leader_epoch: Option<i32>,
    /// When the commit was read: the older half of the pair.
    pub at: Moment,
}

/// A loss of a partition.
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
    /// The part that is not there any more.
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
mod tests;
