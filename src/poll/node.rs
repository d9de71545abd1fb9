//! One broker as the tick sees it: its lane, the question it has, what waits for the next one, and how it behaves.
//! Each broker rests, is late and is waited for on its own account.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::backoff::backoff;
use crate::{
    kafka::{
        Address,
        lane::Lane,
        question::{Ask, Done},
        requests::CommitsOf,
    },
    lag::{Isolation, Moment},
    snapshot::Trouble,
};

/// A commit that waits for the log end of its partition.
pub(super) struct Claim {
    pub(super) group: Arc<str>,
    pub(super) topic: Arc<str>,
    /// The topic's own id when the commit came in: with another one by the time of the end the two are no pair.
    pub(super) topic_id: Option<[u8; 16]>,
    pub(super) id: i32,
    pub(super) committed: Option<i64>,
    /// When the commit was read: the end is asked for after that.
    pub(super) read: Moment,
}

/// A pair whose small lag may be nothing but markers of transactions, to be looked at by a Fetch.
#[derive(Clone, Debug)]
pub(super) struct MarkerProbe {
    pub(super) group: Arc<str>,
    pub(super) topic: Arc<str>,
    pub(super) id: i32,
    pub(super) isolation: Isolation,
    pub(super) committed: i64,
    /// Where the first record may be: the commit, or the log start behind it.
    pub(super) from: i64,
    /// The end for this isolation.
    pub(super) end: i64,
}

/// A question that a lane has not answered.
pub(super) struct Question {
    pub(super) number: u64,
    pub(super) asked_at: Instant,
    pub(super) about_commits: bool,
    /// The claims that the log ends belong to.
    pub(super) claims: Vec<Claim>,
    /// Whether it has been said of the claims that they go unanswered.
    pub(super) told: bool,
}

/// A broker, or the way in through the bootstrap addresses.
pub(super) struct Node {
    pub(super) lane: Lane,
    pub(super) question: Option<Question>,
    /// Answered within patience the last time. Only such brokers are waited for: the others have their own pace.
    pub(super) prompt: bool,
    /// Groups to be asked about here, and before them those that have been split into requests already.
    pub(super) due: Vec<CommitsOf>,
    pub(super) batches: VecDeque<Vec<CommitsOf>>,
    /// How many of those that are due have their members asked too.
    pub(super) members: usize,
    /// Claims whose commits came in while others are waited for.
    pub(super) gathered: Vec<Claim>,
    /// Claims to be asked about next.
    pub(super) ready: Vec<Claim>,
    /// Pairs to be looked at when there is nothing else to ask, and those that are.
    pub(super) looks: Vec<MarkerProbe>,
    pub(super) looking: Vec<MarkerProbe>,
    /// The last question was about log ends: commits may go before the next ones.
    pub(super) ends_last: bool,
    /// Not asked before, and why.
    pub(super) rest: Option<(Instant, Trouble)>,
    failures: u32,
}

impl Node {
    pub(super) fn new(lane: Lane) -> Self {
        Self {
            lane,
            question: None,
            prompt: true,
            due: Vec::new(),
            batches: VecDeque::new(),
            members: 0,
            gathered: Vec::new(),
            ready: Vec::new(),
            looks: Vec::new(),
            looking: Vec::new(),
            ends_last: false,
            rest: None,
            failures: 0,
        }
    }

    /// Why it is not to be asked now.
    pub(super) fn rests(&self, now: Instant) -> Option<&Trouble> {
        let (until, trouble) = self.rest.as_ref()?;
        (*until > now).then_some(trouble)
    }

    /// Whether groups wait for their turn here.
    pub(super) fn has_commits(&self) -> bool {
        !self.due.is_empty() || !self.batches.is_empty()
    }

    /// Takes all groups that wait for their turn.
    pub(super) fn take_commits(&mut self) -> Vec<CommitsOf> {
        let batches = std::mem::take(&mut self.batches).into_iter().flatten();
        batches.chain(std::mem::take(&mut self.due)).collect()
    }

    /// Asks no more about a group that waits for its turn: whoever asks for it later is another.
    pub(super) fn forget(&mut self, group: &str) {
        for batch in self.batches.iter_mut().chain([&mut self.due]) {
            batch.retain(|of| *of.group != *group);
        }
        self.batches.retain(|batch| !batch.is_empty());
    }

    /// Whether others should wait for its commits.
    pub(super) fn owes_commits(&self) -> bool {
        let asked = self.question.as_ref().is_some_and(|q| q.about_commits);
        self.prompt && (asked || self.has_commits())
    }

    /// Whether others should wait for it at all.
    pub(super) fn owes(&self) -> bool {
        self.prompt && self.question.is_some()
    }

    /// Asks. `claims` come back with the answer.
    pub(super) fn put(
        &mut self,
        number: u64,
        candidates: Arc<[Address]>,
        ask: Ask,
        claims: Vec<Claim>,
    ) {
        let question = Question {
            number,
            asked_at: Instant::now(),
            about_commits: matches!(ask, Ask::Commits(_)),
            claims,
            told: false,
        };
        self.ends_last = matches!(ask, Ask::Ends { .. });
        if self.lane.ask(number, candidates, ask) {
            self.question = Some(question);
        }
    }

    /// The question that `done` answers; `None` for one that nobody waits for any more.
    pub(super) fn finish(&mut self, done: &Done, patience: Duration) -> Option<Question> {
        let question = self.question.take_if(|q| q.number == done.number)?;
        self.lane.finished();
        self.prompt = question.asked_at.elapsed() <= patience;
        Some(question)
    }

    /// A refused login is tried less and less often, since it costs the broker a delayed answer; whatever else goes wrong
    /// is tried again when it is next asked, or where there are `retries` after these and then at the usual interval.
    pub(super) fn settle(
        &mut self,
        trouble: Option<Trouble>,
        retries: &[Duration],
        every: impl FnOnce() -> Duration,
    ) {
        let Some(trouble) = trouble else {
            self.failures = 0;
            self.rest = None;
            return;
        };
        let (tries, every) = (self.failures, every());
        self.failures = self.failures.saturating_add(1);
        let rest = if trouble.configuration {
            Some(backoff(every, tries))
        } else {
            let retry = retries.get(tries as usize).copied();
            (!retries.is_empty()).then(|| retry.unwrap_or(every))
        };
        self.rest = rest.map(|rest| (Instant::now() + rest, trouble));
    }
}
