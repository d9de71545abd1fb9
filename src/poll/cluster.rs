//! The one owner of everything known of one cluster. It never waits for a broker: whatever comes in, an answer, a due
//! time, a new demand, is taken up, and then every lane that is free gets its next question (tick.rs).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

use super::{
    brokers::{Brokers, Dialling},
    groups::Groups,
    publisher::Publisher,
    timing::Timing,
    topics::Topics,
};
use crate::{
    kafka::{budget::Budget, lane::Credential, question::Done},
    snapshot::{ClusterDemand, ClusterKey, Snapshot, Trouble},
};

/// Askers that come in a burst are asked for together.
const BURST: Duration = Duration::from_millis(20);

/// An answer that is out for so many patiences is said to be missing.
pub(super) const LATE: u32 = 4;

/// The state behind one poll task: each part owns its own, and `tick` alone sees all of them.
pub(super) struct Cluster {
    pub(super) key: ClusterKey,
    pub(super) timing: Timing,
    demand: watch::Receiver<ClusterDemand>,
    pub(super) demand_due: Option<Instant>,
    credential: Credential,
    done: mpsc::UnboundedReceiver<Done>,
    pub(super) brokers: Brokers,
    pub(super) topics: Topics,
    pub(super) groups: Groups,
    pub(super) publisher: Publisher,
    /// The last question at the way in was about topics: coordinators have their turn before the next one.
    pub(super) described_last: bool,
    /// Why the cluster as a whole can't be asked, if so.
    pub(super) trouble: Option<Trouble>,
}

impl Cluster {
    pub(super) fn new(
        key: ClusterKey,
        demand: watch::Receiver<ClusterDemand>,
        credential: Credential,
        snapshots: mpsc::UnboundedSender<(ClusterKey, Arc<Snapshot>)>,
        timing: Timing,
        budget: Budget,
    ) -> Self {
        let now = Instant::now();
        let (reports, done) = mpsc::unbounded_channel();
        let pairs = budget.pairs();
        let dialling = Dialling {
            key: key.clone(),
            credential: credential.clone(),
            deadlines: timing.deadlines,
            budget,
            done: reports,
        };
        Self {
            publisher: Publisher::new(key.clone(), snapshots),
            key,
            demand,
            // The demand that was handed over with the task still has to be taken up.
            demand_due: Some(now + BURST),
            credential,
            done,
            brokers: Brokers::new(dialling),
            topics: Topics::new(&timing, pairs.most(), now),
            groups: Groups::new(pairs, timing.retries),
            described_last: false,
            trouble: None,
            timing,
        }
    }

    /// Ticks until the demand's owner is gone.
    pub(super) async fn run(mut self) {
        loop {
            let now = Instant::now();
            if self.demand_due.is_some_and(|due| due <= now) {
                self.demand_due = None;
                self.take_demand(now);
            }
            self.advance(now);
            self.note_changes(now);
            if self.is_to_be_published(now) && self.publish().is_err() {
                return;
            }
            let wake = self.wake(now);
            tokio::select! {
                Some(done) = self.done.recv() => {
                    self.absorb(done);
                    while let Ok(done) = self.done.try_recv() {
                        self.absorb(done);
                    }
                }
                () = sleep_until(wake.into()) => {}
                Ok(()) = self.credential.changed() => self.try_again(),
                changed = self.demand.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.demand_due.get_or_insert_with(|| Instant::now() + BURST);
                }
            }
        }
    }

    /// The credential may be dialled with again.
    fn try_again(&mut self) {
        if self.credential.borrow_and_update().is_some() {
            self.brokers.try_again();
            self.groups.all_are_due(Instant::now());
        }
    }

    fn note_changes(&mut self, now: Instant) {
        let changed = [&mut self.topics.changed, &mut self.groups.changed];
        if changed.map(std::mem::take).contains(&true) {
            self.publisher.note(now);
        }
    }

    /// Topics that somebody names and that no description was asked of are asked for at once.
    fn take_demand(&mut self, now: Instant) {
        let wanted = self.demand.borrow_and_update();
        let brokers = &mut self.brokers;
        let named = self
            .groups
            .follow(&wanted, |group| brokers.forget(group), now);
        let known = &self.topics.known;
        let unknown = named.into_iter().filter(|t| !known.contains_key(t));
        self.topics.describe.extend(unknown);
        let patterns = wanted.groups.values().flat_map(|d| &d.patterns);
        self.topics.listing.follow(&patterns.cloned().collect());
        let every = self.groups.every();
        self.topics.retry_every = every.unwrap_or(self.timing.layout_every);
    }
}
