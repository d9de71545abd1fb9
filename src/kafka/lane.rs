//! A lane: the one task that owns the connection to one broker and takes one question at a time. Whoever asks does not
//! wait for it: answers come back over a channel, so a frozen broker holds up its own lane and nobody else.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_protocol::messages::{FindCoordinatorRequest, OffsetFetchRequest};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::sleep_until,
};

use super::{
    Address, Cause, Connection, Error, Security,
    budget::{Budget, Held},
    connection::Deadlines,
    dial::dial_on,
    question::{Answer, Ask, Done, LaneId},
    requests::{
        self, CommitsOf, Coordinators, Fetched, Isolation, Offsets, Position, Tail, Tails,
        Throttled, fetch::Positions,
    },
    traffic,
};
use crate::lag::Moment;

/// A broker asks for at most about a second of silence (the quota window); more is not obeyed, a hostile one could stop us.
const LONGEST_SILENCE: Duration = Duration::from_secs(2);
/// Addresses that refuse at once are passed over, as many as this for one question.
const MOST_DIALS: usize = 4;
/// Groups in one question to a broker that takes one at a time (before Kafka 3.0).
const SINGLES: usize = 20;

/// What a lane dials with, as its owner has it now; `None` once another value has taken its place: connections serve on
/// until they end, and nothing is dialled.
pub type Credential = watch::Receiver<Option<Arc<Security>>>;

struct Request {
    number: u64,
    candidates: Arc<[Address]>,
    ask: Ask,
}

/// The asking end of a lane; dropping it ends the lane and its connection.
pub struct Lane {
    requests: mpsc::Sender<Request>,
    task: JoinHandle<()>,
    busy: bool,
    _place: Held,
}

impl Lane {
    /// Starts the lane, which has a place in the budget; nothing is dialled before the first question.
    #[must_use]
    pub fn spawn(
        id: LaneId,
        credential: Credential,
        deadlines: Deadlines,
        (budget, place): (Budget, Held),
        done: mpsc::UnboundedSender<Done>,
    ) -> Self {
        let (requests, inbox) = mpsc::channel(1);
        let worker = Worker {
            id,
            credential,
            deadlines,
            budget,
            connection: None,
            next: 0,
            quiet_until: None,
        };
        Self {
            requests,
            task: tokio::spawn(worker.run(inbox, done)),
            busy: false,
            _place: place,
        }
    }

    /// Puts a question, unless the lane still has one: `false` then. `candidates` are tried in turn,
    /// beginning with the one that answered last.
    pub fn ask(&mut self, number: u64, candidates: Arc<[Address]>, ask: Ask) -> bool {
        if self.busy {
            return false;
        }
        let request = Request {
            number,
            candidates,
            ask,
        };
        self.busy = self.requests.try_send(request).is_ok();
        self.busy
    }

    /// To be called with each [`Done`] of this lane.
    pub fn finished(&mut self) {
        self.busy = false;
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Worker {
    id: LaneId,
    credential: Credential,
    deadlines: Deadlines,
    budget: Budget,
    connection: Option<Connection>,
    next: usize,
    quiet_until: Option<Instant>,
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>, done: mpsc::UnboundedSender<Done>) {
        while let Some(mut request) = inbox.recv().await {
            self.keep_quiet().await;
            let (result, left) = self.serve(&mut request).await;
            let finished = Done {
                lane: self.id,
                number: request.number,
                ask: request.ask,
                left,
                result,
                ended: Moment::now(),
            };
            if done.send(finished).is_err() {
                return;
            }
        }
    }

    /// The answer, and the groups of the question that are left to be asked about.
    async fn serve(&mut self, request: &mut Request) -> (Result<Answer, Error>, Vec<CommitsOf>) {
        let mut left = Vec::new();
        let reused = self.connection.is_some();
        let result = match self.attempt(request, &mut left).await {
            // A kept connection that the broker closed meanwhile says nothing about the broker: one fresh try.
            Err(e) if reused && e.cause == Cause::Closed => self.attempt(request, &mut left).await,
            result => result,
        };
        (result, left)
    }

    async fn attempt(
        &mut self,
        request: &mut Request,
        left: &mut Vec<CommitsOf>,
    ) -> Result<Answer, Error> {
        // One that can't be dialled anew serves until the broker ends it.
        let last = self.credential.borrow().is_none();
        let kept = self
            .connection
            .take()
            .filter(|c| (last || !c.is_worn()) && request.candidates.contains(c.address()));
        let mut connection = match kept {
            Some(connection) => connection,
            None => self.dial(&request.candidates).await?,
        };
        shorten(&mut request.ask, &connection, left)?;
        let answer = self.put(&mut connection, &request.ask).await?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// Passes over addresses that refuse at once; one that is silent costs the whole time of a dial.
    async fn dial(&mut self, candidates: &[Address]) -> Result<Connection, Error> {
        let mut failed = Error {
            address: Address::new("", 0),
            cause: Cause::Setting("no address to dial".into()),
        };
        let began = Instant::now();
        for _ in 0..candidates.len().min(MOST_DIALS) {
            let Some(address) = candidates.get(self.next % candidates.len()) else {
                break;
            };
            let Some(security) = self.credential.borrow().clone() else {
                let (address, cause) = (address.clone(), Cause::Replaced);
                return Err(Error { address, cause });
            };
            match dial_on(&self.budget, address, &security, self.deadlines).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failed = error,
            }
            self.next = self.next.wrapping_add(1);
            if failed.cause.is_configuration() || began.elapsed() >= self.deadlines.dial {
                break;
            }
        }
        Err(failed)
    }

    /// Asks in as many requests as it takes, and waits before each as long as the answer to the one before demanded.
    async fn put(&mut self, connection: &mut Connection, ask: &Ask) -> Result<Answer, Error> {
        Ok(match ask {
            Ask::Layout(topics) => {
                Answer::Layout(self.heed(requests::metadata::fetch(connection, topics).await?))
            }
            Ask::Listing(patterns) => {
                let taken = |name: &str| patterns.iter().any(|p| p.takes(name));
                let found = requests::metadata::fetch_all(connection, taken).await?;
                Answer::Layout(self.heed(found))
            }
            Ask::Coordinators(groups) => {
                let version = connection.version::<FindCoordinatorRequest>(i16::MAX)?;
                let mut all = Coordinators::new();
                for some in pieces(groups, version >= requests::find_coordinator::MANY) {
                    self.keep_quiet().await;
                    let found = requests::find_coordinator::fetch(connection, some).await?;
                    all.append(&mut self.heed(found));
                }
                Answer::Coordinators(all)
            }
            Ask::Commits(groups) => {
                let version = connection.version::<OffsetFetchRequest>(i16::MAX)?;
                let mut all = Fetched::default();
                for some in pieces(groups, version >= requests::offset_fetch::MANY) {
                    self.keep_quiet().await;
                    let found = requests::unseen::fetch(connection, some).await?;
                    let mut found = self.heed(found);
                    all.commits.append(&mut found.commits);
                    all.hidden.append(&mut found.hidden);
                }
                Answer::Commits(all)
            }
            Ask::Tails {
                isolation,
                positions,
            } => {
                match requests::fetch::fetch(connection, *isolation, positions).await {
                    Ok(found) => Answer::Tails(self.heed(found)),
                    // What such a broker does not tell counts as before.
                    Err(error) if matches!(error.cause, Cause::Version { .. }) => {
                        Answer::Tails(unknown(positions))
                    }
                    Err(error) => return Err(error),
                }
            }
            Ask::Ends {
                ends,
                starts,
                stable,
            } => {
                // Starts first: a log start read before the end can't lie behind it.
                let all = Isolation::ReadUncommitted;
                let mut begins = Offsets::new();
                if !starts.is_empty() {
                    let found =
                        requests::list_offsets::fetch(connection, Position::Start, all, starts);
                    begins = self.heed(found.await?);
                    self.keep_quiet().await;
                }
                let mut last_stable = Offsets::new();
                if !stable.is_empty() {
                    let committed = Isolation::ReadCommitted;
                    let asked =
                        requests::list_offsets::fetch(connection, Position::End, committed, stable);
                    match asked.await {
                        Ok(found) => last_stable = self.heed(found),
                        // It is too old; whoever does not ask for that has no part in it.
                        Err(error) if matches!(error.cause, Cause::Setting(_)) => {}
                        Err(error) => return Err(error),
                    }
                    self.keep_quiet().await;
                }
                let ends =
                    requests::list_offsets::fetch(connection, Position::End, all, ends).await?;
                Answer::Ends {
                    ends: self.heed(ends),
                    starts: begins,
                    stable: last_stable,
                }
            }
        })
    }

    /// Takes an answer, and notes for how long the broker wants to hear nothing more.
    fn heed<T>(&mut self, answer: Throttled<T>) -> T {
        let silence = Duration::from_millis(answer.throttle_ms.into()).min(LONGEST_SILENCE);
        traffic::throttled(silence.as_millis().try_into().unwrap_or(u64::MAX));
        self.quiet_until = (!silence.is_zero()).then(|| Instant::now() + silence);
        answer.answer
    }

    async fn keep_quiet(&mut self) {
        if let Some(until) = self.quiet_until.take() {
            sleep_until(until.into()).await;
        }
    }
}

fn unknown(positions: &Positions) -> Tails {
    let of = |ids: &BTreeMap<i32, i64>| ids.keys().map(|id| (*id, Ok(Tail::Unknown))).collect();
    positions
        .iter()
        .map(|(t, ids)| (t.clone(), of(ids)))
        .collect()
}

/// A broker that takes one group at a time is asked about some, so that a lane has its answer soon and others their turn.
fn shorten(ask: &mut Ask, connection: &Connection, left: &mut Vec<CommitsOf>) -> Result<(), Error> {
    match ask {
        Ask::Coordinators(groups)
            if connection.version::<FindCoordinatorRequest>(i16::MAX)?
                < requests::find_coordinator::MANY =>
        {
            groups.truncate(SINGLES);
        }
        Ask::Commits(groups)
            if groups.len() > SINGLES
                && connection.version::<OffsetFetchRequest>(i16::MAX)?
                    < requests::offset_fetch::MANY =>
        {
            left.extend(groups.drain(SINGLES..));
        }
        _ => {}
    }
    Ok(())
}

/// What one request may ask about: everything, or one by one.
fn pieces<T>(all: &[T], many: bool) -> impl Iterator<Item = &[T]> {
    all.chunks(if many { all.len().max(1) } else { 1 })
}
