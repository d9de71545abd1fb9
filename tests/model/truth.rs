//! The oracle: what is true of a life, kept by itself from what happens and from docs/lag.md. It shares nothing with the code
//! under test but the names of policies and isolations.

use std::collections::{BTreeMap, BTreeSet};

use lagscale::lag::{Isolation, Policy};

use super::life::{Act, Life, Mode};

/// The content of an offset that no consumer is given, or only some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    Marker,
    Aborted,
}

/// A log with what the group and we know of it.
#[derive(Clone, Debug)]
pub struct Log {
    pub start: i64,
    pub end: i64,
    /// Where the open transaction began.
    pub open: Option<i64>,
    special: BTreeMap<i64, Special>,
    pub committed: Option<i64>,
    /// The last commit, whether or not the coordinator has it still.
    last: Option<i64>,
    /// Ends of both isolations when it was seen first, or when a commit was found to lie beyond the end.
    first: Option<(i64, i64)>,
    /// The leader, its epoch, and what a deposed one goes on telling.
    pub leader: Option<i32>,
    pub epoch: i32,
    pub former: Option<(i32, i64, i32)>,
    pub late: bool,
    /// A cut below the commit has been found.
    beyond: bool,
}

#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is true by itself")]
pub struct Topic {
    pub id: u8,
    pub logs: Vec<Log>,
    pub denied: bool,
    /// The group has committed in it, or it is named.
    own: bool,
    /// It has been read as one of the trigger's.
    known: bool,
    /// A member says that it reads it.
    subscribed: bool,
    /// It was made anew, and the group has not committed in it since.
    anew: bool,
}

/// Everything that is true of one life.
#[derive(Clone, Debug)]
pub struct Truth {
    mode: Mode,
    policy: Policy,
    isolation: Isolation,
    pub topics: [Topic; 2],
    brokers: i32,
}

impl Log {
    fn new(leader: i32, end: i64) -> Self {
        Self {
            start: 0,
            end,
            open: None,
            special: BTreeMap::new(),
            committed: None,
            last: None,
            first: None,
            leader: Some(leader),
            epoch: 1,
            former: None,
            late: false,
            beyond: false,
        }
    }

    pub fn stable(&self) -> i64 {
        self.open.unwrap_or(self.end)
    }

    fn end_for(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.end,
            Isolation::ReadCommitted => self.stable(),
        }
    }

    pub fn markers(&self) -> BTreeSet<i64> {
        let markers = self.special.iter().filter(|(_, s)| **s == Special::Marker);
        markers.map(|(offset, _)| *offset).collect()
    }

    fn elect(&mut self, brokers: i32) -> i32 {
        let before = self.leader.unwrap_or(0);
        self.leader = Some((before + 1) % brokers);
        self.epoch += 1;
        self.late = false;
        before
    }

    fn is_faulty(&self) -> bool {
        self.leader.is_none() || self.former.is_some() || self.late
    }

    /// The fewest and the most records that a reading may say: offsets that hold no record for this consumer are the most.
    fn lag(&self, policy: Policy, isolation: Isolation) -> (i64, i64) {
        let end = self.end_for(isolation);
        let whole = end - self.start.min(end);
        let since = |first: i64| (end - first.max(self.start)).max(1);
        let first = self.first.map_or(end, |(plain, stable)| match isolation {
            Isolation::ReadUncommitted => plain,
            Isolation::ReadCommitted => stable,
        });
        let from = match (self.committed.or(self.last), policy) {
            (Some(committed), _) if committed <= self.end => committed.max(self.start),
            (_, Policy::Earliest) => return (whole, whole),
            (_, Policy::Latest) => return (since(first), since(first)),
        };
        let given = |special: &Special| match special {
            Special::Marker => false,
            Special::Aborted => isolation == Isolation::ReadUncommitted,
        };
        let behind = self.special.range(from..end.max(from));
        let none = i64::try_from(behind.filter(|(_, s)| !given(s)).count()).unwrap();
        let most = (end - from).max(0);
        (most - none, most)
    }
}

impl Truth {
    pub fn new(life: &Life, brokers: i32) -> Self {
        let topic = |id: u8, begin: &[(u8, Option<u8>)]| {
            let logs = begin.iter().enumerate().map(|(n, (records, committed))| {
                let leader = i32::try_from(n).unwrap() % brokers;
                let mut log = Log::new(leader, i64::from(*records));
                log.committed = committed.map(|c| i64::from(c) * log.end / 255);
                log.last = log.committed;
                log
            });
            Topic {
                id,
                logs: logs.collect(),
                denied: false,
                own: true,
                known: false,
                subscribed: id == 2,
                anew: false,
            }
        };
        let mut truth = Self {
            mode: life.mode,
            policy: life.policy,
            isolation: life.isolation,
            topics: [topic(1, &life.begin[0]), topic(2, &life.begin[1])],
            brokers,
        };
        if truth.mode == Mode::All {
            // A group that has no commit at all is not there.
            let first = &mut truth.topics[0].logs[0];
            first.committed = first.committed.or(Some(0));
            first.last = first.committed;
            for topic in &mut truth.topics {
                topic.own = topic.logs.iter().any(|l| l.committed.is_some());
            }
        }
        truth
    }

    /// The topic and the partition that a number means.
    fn place(&self, p: u8) -> (usize, usize) {
        let of = |t: usize| (0..self.topics[t].logs.len()).map(move |n| (t, n));
        let places: Vec<_> = (0..self.topics.len()).flat_map(of).collect();
        places[usize::from(p) % places.len()]
    }

    fn log(&mut self, p: u8) -> &mut Log {
        let (topic, n) = self.place(p);
        &mut self.topics[topic].logs[n]
    }

    pub fn act(&mut self, act: Act) {
        let brokers = self.brokers;
        match act {
            Act::Produce { p, n } => self.log(p).end += i64::from(n),
            Act::Commit { p, part } => {
                let is_seen = !self.topics[self.place(p).0].denied;
                let log = self.log(p);
                // A consumer reads on from where it is, as far as it is given records.
                let from = log.committed.or(log.last).unwrap_or(log.start);
                let from = from.clamp(log.start, log.stable().max(log.start));
                let to = from + (log.stable() - from).max(0) * i64::from(part) / 255;
                (log.committed, log.beyond) = (Some(to), false);
                // One that expires before there is an end to it, or before the topic may be seen, is never known.
                let is_known = is_seen && log.leader.is_some();
                log.last = Some(to).filter(|_| is_known).or(log.last);
            }
            Act::Trim { p, part } => {
                let log = self.log(p);
                log.start += (log.stable() - log.start) * i64::from(part) / 255;
                log.special = log.special.split_off(&log.start);
            }
            Act::Expire => {
                for log in self.topics.iter_mut().flat_map(|t| &mut t.logs) {
                    log.committed = None;
                }
            }
            Act::Leave { b } => {
                for log in &mut self.topics[usize::from(b)].logs {
                    log.committed = None;
                }
            }
            Act::Open { p, n } => {
                let log = self.log(p);
                log.open.get_or_insert(log.end);
                log.end += i64::from(n);
            }
            Act::End { p, abort } => {
                let log = self.log(p);
                if let Some(begun) = log.open.take() {
                    if abort {
                        for offset in begun..log.end {
                            log.special.insert(offset, Special::Aborted);
                        }
                    }
                    log.special.insert(log.end, Special::Marker);
                    log.end += 1;
                }
            }
            Act::Move { .. }
            | Act::Late { .. }
            | Act::Depose { .. }
            | Act::Fence
            | Act::Leaderless { .. }
            | Act::Cut { .. } => self.lead(act),
            Act::Anew {
                b,
                partitions,
                filled,
            } => {
                let topic = &mut self.topics[usize::from(b)];
                topic.id = topic.id.wrapping_add(2);
                topic.anew = topic.own;
                let logs = (0..partitions).map(|n| {
                    let mut log = Log::new(i32::from(n) % brokers, i64::from(filled));
                    // All that is in it came since the group was seen.
                    log.first = Some((0, 0));
                    log
                });
                topic.logs = logs.collect();
            }
            Act::Add { b } => {
                let topic = &mut self.topics[usize::from(b)];
                let n = i32::try_from(topic.logs.len()).unwrap();
                if n < 5 {
                    topic.logs.push(Log::new(n % brokers, 0));
                }
            }
            Act::Deny { b } => self.topics[usize::from(b)].denied = true,
            Act::Allow => {
                for topic in &mut self.topics {
                    topic.denied = false;
                }
            }
        }
        for topic in &mut self.topics {
            let commits = topic.logs.iter().any(|l| l.committed.is_some());
            topic.own |= commits;
            topic.anew &= !commits;
        }
    }

    /// Events of leaders.
    fn lead(&mut self, act: Act) {
        let brokers = self.brokers;
        match act {
            Act::Move { p } => {
                let log = self.log(p);
                log.elect(brokers);
                log.former = None;
            }
            Act::Late { p } => {
                let log = self.log(p);
                log.elect(brokers);
                log.late = true;
            }
            Act::Depose { p } => {
                let log = self.log(p);
                let (end, epoch) = (log.end, log.epoch);
                let seen = log.first.is_some();
                if seen && log.leader.is_some() && log.former.is_none() && log.open.is_none() {
                    let former = log.elect(brokers);
                    log.former = Some((former, end, epoch));
                }
            }
            Act::Fence => {
                for log in self.topics.iter_mut().flat_map(|t| &mut t.logs) {
                    log.former = None;
                }
            }
            Act::Leaderless { p } => self.log(p).leader = None,
            Act::Cut { p, part } => {
                let log = self.log(p);
                log.open = None;
                log.end = log.start + (log.end - log.start) * i64::from(part) / 255;
                log.special.split_off(&log.end);
                log.elect(brokers);
                log.former = None;
            }
            _ => {}
        }
    }

    /// A new leader learns the high watermark.
    pub fn settle(&mut self) {
        for log in self.topics.iter_mut().flat_map(|t| &mut t.logs) {
            log.late = false;
        }
    }

    /// Whether something is in the way of a whole reading.
    pub fn is_faulty(&self) -> bool {
        let faulty = |t: &Topic| t.denied || t.logs.iter().any(Log::is_faulty);
        self.counted().any(faulty)
    }

    /// Whether something is in the way that can be known. What only members name is asked for less often.
    pub fn is_told(&self) -> bool {
        let missing = |t: &Topic| t.denied || t.logs.iter().any(|l| l.leader.is_none());
        self.counted().filter(|t| t.known).any(missing)
    }

    /// Without a topic of its own a trigger means those with commits.
    fn counted(&self) -> impl Iterator<Item = &Topic> {
        let commits = |t: &Topic| t.logs.iter().any(|l| l.committed.is_some());
        let any = self.topics.iter().any(|t| !t.denied && commits(t));
        self.topics.iter().filter(move |topic| match self.mode {
            Mode::Named | Mode::Pattern => true,
            // A topic whose commits are gone is left once others have some.
            Mode::All if topic.denied => topic.own || topic.subscribed,
            Mode::All => topic.own && (topic.anew || commits(topic) || !any),
        })
    }

    /// Everything that can be read has been: what is first seen, and what is left, is settled by it.
    pub fn was_read(&mut self) {
        let counted: Vec<u8> = self.counted().map(|t| t.id).collect();
        for topic in &mut self.topics {
            if !counted.contains(&topic.id) {
                (topic.own, topic.known) = (false, false);
                for log in &mut topic.logs {
                    (log.last, log.first) = (None, None);
                }
                continue;
            }
            topic.known |= !topic.denied;
            for log in topic
                .logs
                .iter_mut()
                .filter(|l| !topic.denied && !l.is_faulty())
            {
                log.last = log.committed.or(log.last);
                let ends = (log.end, log.stable());
                log.first.get_or_insert(ends);
                let beyond = log.committed.or(log.last).is_some_and(|c| c > log.end);
                if beyond && !log.beyond {
                    log.first = Some(ends);
                }
                log.beyond = beyond;
            }
        }
    }

    /// The truth after a reading: that settles what it is the first to see, such as a commit beyond a cut log's end.
    pub fn settled(&self) -> Self {
        let mut settled = self.clone();
        settled.was_read();
        settled
    }

    /// The fewest and the most records that a whole reading may tell now.
    pub fn lag(&self) -> (i64, i64) {
        let counted = self.counted().flat_map(|t| &t.logs);
        let lags = counted.map(|l| l.lag(self.policy, self.isolation));
        lags.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }
}
