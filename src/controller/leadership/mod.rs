//! The right to write: the holder of a Lease has it, as long as no KEDA operator is alive that would write too. Everybody reads and
//! serves.

mod election;
mod keda;
mod lease;
mod metrics;
mod operator;
mod places;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use tokio::{
    sync::{RwLock, RwLockReadGuard, watch},
    task::JoinHandle,
};

pub use keda::Keda;
pub use lease::Terms;
pub use metrics::Leading;
pub use operator::{KEDA_LEASE, flag, keda_operator, variable};
pub use places::{KedaRules, find as keda_places, unelected as unelected_keda};

use crate::pulse::Pulse;

/// Where and how is elected.
#[derive(Clone, Debug)]
pub struct ElectionRules {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The identity of this process; no other has the same.
    pub identity: String,
    /// Its times.
    pub terms: Terms,
    /// Write also while a KEDA operator is alive.
    pub beside_keda: bool,
    /// Which KEDA operator counts.
    pub keda: KedaRules,
    /// Nothing is written but what lagscale itself is reached by.
    pub shadow: bool,
}

/// Whether this process may write now.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Until when the Lease is ours for certain. By a clock that goes on while the process is frozen, so one that wakes up
    /// late does not write before it has looked.
    until: watch::Receiver<Option<Instant>>,
    pulse: Pulse,
    /// How old the engine's last turn may be.
    longest_turn: Duration,
    keda: watch::Receiver<Keda>,
    shadow: bool,
    /// Held to read by each writer, and to write by a handover.
    writers: Arc<RwLock<()>>,
}

impl Lead {
    /// A lead for tests, which say until when it is elected.
    #[cfg(test)]
    pub(super) fn until(until: watch::Receiver<Option<Instant>>) -> Self {
        Self {
            until,
            pulse: Pulse::default(),
            longest_turn: Duration::from_secs(10),
            keda: watch::channel(Keda::Ignored).1,
            shadow: false,
            writers: Arc::default(),
        }
    }

    /// Whether a write may begin.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.shadow && self.is_elected() && self.keda.borrow().lets_write()
    }

    /// Whether this process only looks: it never holds, and its values are held against those of another server.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// `true` while a KEDA operator handles other objects of this cluster.
    #[must_use]
    pub fn shares(&self) -> bool {
        matches!(*self.keda.borrow(), Keda::Apart { .. })
    }

    /// Whether the Lease is ours, whoever else is there.
    #[must_use]
    pub fn is_elected(&self) -> bool {
        let now = Instant::now();
        let held = self.until.borrow().is_some_and(|until| now < until);
        held && self.pulse.age(now) < self.longest_turn
    }

    /// The KEDA operator, as far as it is known.
    #[must_use]
    pub fn keda(&self) -> Keda {
        self.keda.borrow().clone()
    }

    /// A writer's turn, which a handover waits for; `None` where nothing may be written.
    pub async fn turn(&self) -> Option<RwLockReadGuard<'_, ()>> {
        let turn = self.writers.read().await;
        self.holds().then_some(turn)
    }

    /// Returns when something about it may have changed; never, once nobody decides it any more.
    pub async fn changed(&mut self) {
        let changed = tokio::select! {
            changed = self.until.changed() => changed,
            changed = self.keda.changed() => changed,
        };
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Begins to stand for election and to look for KEDA, for as long as the engine turns, until `stopping` turns true: then the Lease is given up as soon as the
/// writes under way have ended, and the task with it.
#[must_use]
pub fn stand(
    client: &Client,
    rules: ElectionRules,
    pulse: Pulse,
    stopping: watch::Receiver<bool>,
) -> (Lead, JoinHandle<()>) {
    let (elected, until) = watch::channel(None);
    let (seen, keda) = watch::channel(Keda::Unknown);
    let writers = Arc::<RwLock<()>>::default();
    let lead = Lead {
        until,
        pulse: pulse.clone(),
        longest_turn: rules.terms.renew,
        keda,
        shadow: rules.shadow,
        writers: writers.clone(),
    };
    if rules.beside_keda || rules.shadow {
        seen.send_replace(Keda::Ignored);
    } else {
        let (me, keda) = (rules.identity.clone(), rules.keda.clone());
        tokio::spawn(keda::look(client.clone(), me, keda, seen));
    }
    let election = election::Election::new(client, rules, pulse, elected, writers);
    (lead, tokio::spawn(election.run(stopping)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shadow_that_is_elected_writes_nothing() {
        let later = Instant::now() + Duration::from_secs(3_600);
        let (_elected, until) = watch::channel(Some(later));
        let mut lead = Lead::until(until);
        assert!(lead.holds());
        lead.shadow = true;
        assert!(lead.is_elected() && !lead.holds());
        assert!(lead.turn().await.is_none());
    }

    /// The other replica takes over meanwhile.
    #[tokio::test]
    async fn a_replica_whose_engine_stands_still_writes_nothing_whatever_its_lease_says() {
        let now = Instant::now();
        let pulse = Pulse::default();
        let (_elected, until) = watch::channel(Some(now + Duration::from_secs(3_600)));
        let mut lead = Lead::until(until);
        lead.pulse = pulse.clone();
        assert!(lead.holds(), "before the first turn nothing is late");
        for (seconds, holds) in [(0, true), (9, true), (10, false), (60, false), (1, true)] {
            pulse.beat(now.checked_sub(Duration::from_secs(seconds)).unwrap());
            assert_eq!(lead.holds(), holds, "{seconds} s");
            assert_eq!(lead.turn().await.is_some(), holds, "{seconds} s");
        }
    }
}
