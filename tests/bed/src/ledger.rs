//! The truth by acknowledgements: an offset is at least what was acknowledged and at most what was sent. Readings are
//! judged by it, so nothing depends on when anybody looked.

use std::time::{Duration, Instant};

use lagscale::{lag::Moment, snapshot::Slot};

/// The doings of one hand with one offset that only moves up: the log end of a partition, or a group's commit in it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Value, when it was sent, when that was acknowledged; one after the other.
    moves: Vec<(i64, Instant, Option<Instant>)>,
}

impl Ledger {
    pub(crate) fn sent(&mut self, value: i64, at: Instant) {
        self.moves.push((value, at, None));
    }

    /// The last one.
    pub(crate) fn acknowledged(&mut self, at: Instant) {
        if let Some(last) = self.moves.last_mut() {
            last.2 = Some(at);
        }
    }

    /// The least that the broker had at `t`.
    pub(crate) fn lowest(&self, t: Instant) -> i64 {
        self.last(|(_, _, acknowledged)| acknowledged.is_some_and(|a| a <= t))
    }

    /// The most that it had.
    pub(crate) fn highest(&self, t: Instant) -> i64 {
        self.last(|(_, sent, _)| *sent <= t)
    }

    fn last(&self, so: impl Fn(&(i64, Instant, Option<Instant>)) -> bool) -> i64 {
        self.moves.iter().rev().find(|m| so(m)).map_or(0, |m| m.0)
    }
}

/// Looks at every reading of one partition of one group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judge {
    last: Option<Moment>,
    /// A reading was not believed.
    left: bool,
    verdict: Verdict,
}

/// The judgement of readings. Counts, and records.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Readings judged: pairs of commit and end of one partition.
    pub readings: usize,
    /// Commit beyond end, or a pair left out because it looked so.
    pub negative: usize,
    /// Less than the lowest lag that can have been true when the commit was read.
    pub understated: usize,
    /// A commit or an end that was never true between the reading before and this one's publication.
    pub invented: usize,
    /// Sum of the lags read.
    pub lag: i64,
    /// Sums of the lowest and the highest lags that can have been true when the commits were read.
    pub truth: (i64, i64),
    /// By how much each is above the highest lag that can have been true when its commit was read.
    pub over: Vec<i64>,
    /// Records sent to the partition between the commit read and the publication: the most that `over` may be for the
    /// sake of the end; commits that were under way come on top.
    pub allowed: Vec<i64>,
    /// From the commit read to the publication.
    pub gaps: Vec<Duration>,
}

impl Judge {
    /// `received` is when the snapshot was there.
    pub(crate) fn look(
        &mut self,
        slot: &Slot,
        received: Instant,
        produced: &Ledger,
        committed: &Ledger,
    ) {
        let Some(track) = &slot.track else {
            return;
        };
        if self.last.is_some_and(|last| last.at == track.at.at) {
            // A commit beyond its end is not believed at once: the pair before stands.
            self.left |= track.is_doubted();
            return;
        }
        let verdict = &mut self.verdict;
        let before = self.last.replace(track.at);
        let (at, commit) = (track.at.at, track.committed.unwrap_or(-1));
        verdict.readings += 1;
        let doubted = std::mem::take(&mut self.left);
        verdict.negative += usize::from(commit > track.end || doubted);
        let lag = track.end - commit;
        let least = produced.lowest(at) - committed.highest(at);
        verdict.understated += usize::from(lag < least);
        let oldest = before.map_or(0, |b| committed.lowest(b.at));
        let commits = oldest..=committed.highest(at);
        let ends = produced.lowest(at)..=produced.highest(received);
        let so = commits.contains(&commit) && ends.contains(&track.end);
        verdict.invented += usize::from(!so);
        verdict.lag += lag;
        let most = produced.highest(at) - committed.lowest(at);
        verdict.truth.0 += least;
        verdict.truth.1 += most;
        verdict.over.push((lag - most).max(0));
        let sent = produced.highest(received) - produced.highest(at);
        let under_way = committed.lowest(at) - commit;
        verdict.allowed.push(sent + under_way.max(0));
        verdict.gaps.push(received.saturating_duration_since(at));
    }
}

impl Verdict {
    pub(crate) fn of(judges: Vec<Judge>) -> Self {
        let mut all = Self::default();
        for Judge { verdict, .. } in judges {
            all.readings += verdict.readings;
            all.negative += verdict.negative;
            all.understated += verdict.understated;
            all.invented += verdict.invented;
            all.lag += verdict.lag;
            all.truth.0 += verdict.truth.0;
            all.truth.1 += verdict.truth.1;
            all.over.extend(verdict.over);
            all.allowed.extend(verdict.allowed);
            all.gaps.extend(verdict.gaps);
        }
        all
    }

    /// Readings that are further above the truth than was sent while they were made.
    pub fn overstated(&self) -> usize {
        let both = self.over.iter().zip(&self.allowed);
        both.filter(|(over, allowed)| over > allowed).count()
    }
}

#[cfg(test)]
mod tests {
    use lagscale::lag::{Reading, Track};

    use super::*;

    /// Ten records a second and as many commits, each acknowledged half a second after it was sent.
    fn ledger(begin: Instant) -> Ledger {
        let mut ledger = Ledger::default();
        for second in 0..20 {
            let at = begin + Duration::from_secs(second);
            ledger.sent(10 * (i64::try_from(second).unwrap() + 1), at);
            ledger.acknowledged(at + Duration::from_millis(500));
        }
        ledger
    }

    fn judged(readings: &[(i64, i64, u64)]) -> Verdict {
        let now = Moment::now();
        let (produced, committed) = (ledger(now.at), ledger(now.at));
        let mut judge = Judge::default();
        for (commit, end, millis) in readings {
            let at = now.later(Duration::from_millis(*millis));
            let reading = Reading {
                committed: Some(*commit),
                end: *end,
                stable: None,
                start: Some(0),
                topic_id: None,
                leader_epoch: None,
                at,
            };
            let slot = Slot {
                track: Some(Track::begin(reading)),
                ..Slot::default()
            };
            let received = at.at + Duration::from_millis(100);
            judge.look(&slot, received, &produced, &committed);
        }
        Verdict::of(vec![judge])
    }

    #[test]
    fn what_can_have_been_true_is_no_fault() {
        // Between second 2 and 2.5 both may be at 20 or 30; shortly before second 5 a record may come while it is read.
        let good = judged(&[(20, 30, 2200), (30, 30, 2300), (50, 60, 4950)]);
        assert_eq!((good.readings, good.lag), (3, 20));
        assert_eq!((good.negative, good.understated, good.invented), (0, 0, 0));
        assert_eq!((good.over, good.allowed), (vec![0, 0, 10], vec![0, 0, 10]));
    }

    #[test]
    fn what_was_never_true_is_found() {
        // At second 2.7 both are at 30 for certain.
        let swapped = judged(&[(30, 20, 2700)]);
        let found = (swapped.negative, swapped.understated, swapped.invented);
        assert_eq!(found, (1, 1, 1), "an end from before the commit");
        let late = judged(&[(20, 50, 2200)]);
        assert_eq!((late.overstated(), late.invented), (1, 1), "a later end");
        let old = judged(&[(20, 20, 2000), (10, 40, 3700)]);
        assert_eq!(old.invented, 1, "a commit from before the last reading");
    }
}
