//! The memory of a partition beyond the process that saw it: while nobody consumes, commits expire on the broker,
//! and whoever starts then would take a group with a backlog for one that never was.

use super::{Loss, Track};

/// Where a group stood in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Its committed offset.
    Committed(i64),
    /// Its committed offset, and the offset up to which there was nothing left to read.
    Drained(i64, i64),
    /// It had no commit; the log end offset then, and the last stable offset if that was asked.
    Uncommitted(i64, Option<i64>),
}

impl Track {
    /// Where the group stands; `None` without a topic id, as a topic made anew could not be told from this one.
    #[must_use]
    pub fn mark(&self) -> Option<([u8; 16], Mark)> {
        let mark = match self.committed {
            Some(committed) => match self.drained {
                Some(drained) => Mark::Drained(committed, drained),
                None => Mark::Committed(committed),
            },
            None => Mark::Uncommitted(self.baseline, self.stable_baseline),
        };
        self.topic_id.map(|id| (id, mark))
    }

    /// As if it had been watched since `mark`, which was made in the topic with `id`. A commit that is there now rules.
    #[must_use]
    pub fn since(mut self, id: [u8; 16], mark: Mark) -> Self {
        if let Mark::Drained(committed, end) = mark {
            let same = self.topic_id == Some(id) && self.committed == Some(committed);
            self.drained = self
                .drained
                .or_else(|| (same && self.end >= end).then_some(end));
        }
        if self.committed.is_some() || self.topic_id.is_none() {
            return self;
        }
        if self.topic_id != Some(id) {
            self.baseline = 0;
            self.stable_baseline = Some(0);
            self.loss = Some(Loss::Recreated);
            return self;
        }
        match mark {
            Mark::Committed(committed) | Mark::Drained(committed, _) => {
                self.committed = Some(committed);
                self.beyond = committed > self.end;
                self.loss = Some(if self.beyond {
                    Loss::Truncated
                } else {
                    Loss::Expired
                });
            }
            Mark::Uncommitted(end, stable) => {
                self.baseline = self.baseline.min(end);
                let now = self.stable_baseline;
                self.stable_baseline = now.map(|now| now.min(stable.unwrap_or(end)));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::{Counting, Isolation, Moment, Policy, Reading, sum};

    const ID: [u8; 16] = [7; 16];

    fn track(committed: Option<i64>, end: i64, topic_id: Option<[u8; 16]>) -> Track {
        Track::begin(Reading {
            committed,
            end,
            start: Some(0),
            topic_id,
            stable: None,
            leader_epoch: None,
            at: Moment::now(),
        })
    }

    fn latest(track: Track) -> i64 {
        let counting = Counting {
            policy: Policy::Latest,
            isolation: Isolation::ReadUncommitted,
            zero_without_commit: true,
            exclude_persistent_after: None,
        };
        sum([&track], counting, track.at).lag
    }

    #[test]
    fn a_commit_that_expired_while_nobody_looked_stands() {
        let marked = track(Some(90), 100, Some(ID)).mark().unwrap();
        assert_eq!(marked, (ID, Mark::Committed(90)));
        let now = track(None, 120, Some(ID)).since(marked.0, marked.1);
        assert_eq!(
            (now.committed, now.loss, latest(now)),
            (Some(90), Some(Loss::Expired), 30)
        );
    }

    #[test]
    fn what_came_since_a_partition_was_first_seen_counts_although_nobody_looked() {
        let marked = track(None, 100, Some(ID)).mark().unwrap();
        assert_eq!(marked, (ID, Mark::Uncommitted(100, None)));
        assert_eq!(latest(track(None, 104, Some(ID)).since(ID, marked.1)), 4);
        // A first look that lies before it is nearer to the truth.
        assert_eq!(
            latest(track(None, 104, Some(ID)).since(ID, Mark::Uncommitted(900, None))),
            0
        );
    }

    #[test]
    fn a_commit_that_is_there_now_rules_and_without_ids_nothing_is_remembered() {
        let mark = Mark::Committed(5);
        assert_eq!(
            track(Some(99), 100, Some(ID)).since(ID, mark).committed,
            Some(99)
        );
        assert_eq!(track(None, 100, None).since(ID, mark).committed, None);
        assert_eq!(track(Some(99), 100, None).mark(), None);
    }

    #[test]
    fn what_was_drained_stays_so_until_something_comes() {
        let mut drained = track(Some(99), 100, Some(ID));
        assert_eq!(latest(drained), 1);
        drained.drained = Some(100);
        let mark = drained.mark().unwrap().1;
        assert_eq!((latest(drained), mark), (0, Mark::Drained(99, 100)));
        assert_eq!(latest(track(Some(99), 100, Some(ID)).since(ID, mark)), 0);
        assert_eq!(latest(track(Some(99), 101, Some(ID)).since(ID, mark)), 2);
        assert_eq!(latest(track(Some(98), 100, Some(ID)).since(ID, mark)), 2);
        assert_eq!(track(Some(99), 99, Some(ID)).since(ID, mark).drained, None);
    }

    #[test]
    fn a_topic_made_anew_while_nobody_looked_is_all_new_to_the_group() {
        let now = track(None, 40, Some([8; 16])).since(ID, Mark::Committed(30));
        assert_eq!(
            (now.committed, now.loss, latest(now)),
            (None, Some(Loss::Recreated), 40)
        );
    }

    #[test]
    fn a_log_cut_below_a_remembered_commit_is_beyond_its_end() {
        let now = track(None, 40, Some(ID)).since(ID, Mark::Committed(90));
        assert_eq!((now.beyond, now.loss), (true, Some(Loss::Truncated)));
    }
}
