//! A lane: the one task that owns the connection to one broker and takes one question at a time. Whoever asks does not
//! wait for it: answers come back over a channel, so a frozen broker holds up its own lane and nobody else.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use kafka_protocol::messages::{FindCoordinatorRequest, OffsetFetchRequest};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{
    Address, Cause, Connection, Error, Security,
    budget::{Budget, Held},
    connection::Deadlines,
    dial::dial_on,
    question::{Answer, Ask, Done, LaneId},
    requests::{self, CommitsOf, Isolation, Offsets, Position, Tail, Tails, fetch::Positions},
};
use crate::lag::Moment;

/// Addresses that refuse at once are passed over, as many as this for one question.
const MOST_DIALS: usize = 4;
/// Groups in one question to a broker that takes one at a time (before Kafka 3.0).
const SINGLES: usize = 20;

/// The credential that a lane dials with, as its owner has it now; `None` once another value has taken its place: connections serve on
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
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>, done: mpsc::UnboundedSender<Done>) {
        while let Some(mut request) = inbox.recv().await {
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
        let answer = put(&mut connection, &request.ask).await?;
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
}

/// Asks in as many requests as it takes.
async fn put(connection: &mut Connection, ask: &Ask) -> Result<Answer, Error> {
    Ok(match ask {
        Ask::Layout(topics) => Answer::Layout(requests::metadata::fetch(connection, topics).await?),
        Ask::Listing(patterns) => {
            let taken = |name: &str| patterns.iter().any(|p| p.takes(name));
            Answer::Layout(requests::metadata::fetch_all(connection, taken).await?)
        }
        Ask::Coordinators(groups) => {
            Answer::Coordinators(requests::find_coordinator::fetch(connection, groups).await?)
        }
        Ask::Commits(groups) => Answer::Commits(requests::unseen::fetch(connection, groups).await?),
        Ask::Tails {
            isolation,
            positions,
        } => match requests::fetch::fetch(connection, *isolation, positions).await {
            Ok(found) => Answer::Tails(found),
            // Brokers that such a broker does not tell count as before.
            Err(error) if matches!(error.cause, Cause::Version { .. }) => {
                Answer::Tails(unknown(positions))
            }
            Err(error) => return Err(error),
        },
        Ask::Ends {
            ends,
            starts,
            stable,
        } => {
            // Starts first: a log start read before the end can't lie behind it.
            let all = Isolation::ReadUncommitted;
            let mut begins = Offsets::new();
            if !starts.is_empty() {
                let start = Position::Start;
                begins = requests::list_offsets::fetch(connection, start, all, starts).await?;
            }
            let mut last_stable = Offsets::new();
            if !stable.is_empty() {
                let (end, committed) = (Position::End, Isolation::ReadCommitted);
                match requests::list_offsets::fetch(connection, end, committed, stable).await {
                    Ok(found) => last_stable = found,
                    // It is too old; whoever does not ask for that has no part in it.
                    Err(error) if matches!(error.cause, Cause::Setting(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            let end = Position::End;
            Answer::Ends {
                ends: requests::list_offsets::fetch(connection, end, all, ends).await?,
                starts: begins,
                stable: last_stable,
            }
        }
    })
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
