//! Who writes: the holder of a Lease, as long as no KEDA operator is alive that would write too. Everybody reads and
//! serves.

mod election;
mod keda;
mod lease;

use std::{sync::Arc, time::Instant};

use kube::Client;
use tokio::{
    sync::{Semaphore, SemaphorePermit, watch},
    task::JoinHandle,
};

pub use keda::Keda;
pub use lease::Terms;

/// Writers at once; far more than there are.
const WRITERS: u32 = 1 << 20;

/// Where and how is elected.
#[derive(Clone, Debug)]
pub struct ElectionRules {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who this process is; no other has the same.
    pub identity: String,
    /// Its times.
    pub terms: Terms,
    /// Write also while a KEDA operator is alive.
    pub beside_keda: bool,
}

/// Whether this process may write now.
#[derive(Clone, Debug)]
pub struct Lead {
    /// Until when the Lease is ours for certain. By a clock that goes on while the process is frozen, so one that wakes up
    /// late does not write before it has looked.
    until: watch::Receiver<Option<Instant>>,
    keda: watch::Receiver<Keda>,
    writers: Arc<Semaphore>,
}

impl Lead {
    /// Whether a write may begin.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.is_elected() && self.keda.borrow().is_gone()
    }

    /// Whether the Lease is ours, whoever else is there.
    #[must_use]
    pub fn is_elected(&self) -> bool {
        self.until
            .borrow()
            .is_some_and(|until| Instant::now() < until)
    }

    /// What is known of a KEDA operator.
    #[must_use]
    pub fn keda(&self) -> Keda {
        self.keda.borrow().clone()
    }

    /// A writer's turn, which a handover waits for; `None` where nothing may be written.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        let turn = self.writers.acquire().await.ok()?;
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

/// Begins to stand for election and to look for KEDA, until `stopping` turns true: then the Lease is given up as soon as the
/// writes under way have ended, and the task with it.
#[must_use]
pub fn stand(
    client: &Client,
    rules: ElectionRules,
    stopping: watch::Receiver<bool>,
) -> (Lead, JoinHandle<()>) {
    let (elected, until) = watch::channel(None);
    let (seen, keda) = watch::channel(Keda::Unknown);
    let writers = Arc::new(Semaphore::new(WRITERS as usize));
    let lead = Lead {
        until,
        keda,
        writers: writers.clone(),
    };
    if rules.beside_keda {
        seen.send_replace(Keda::Ignored);
    } else {
        tokio::spawn(keda::look(client.clone(), rules.identity.clone(), seen));
    }
    let election = election::Election::new(client, rules, elected, writers);
    (lead, tokio::spawn(election.run(stopping)))
}
