//! One connection as the house sees it: whether anybody on it was let in, and whether it has something to ask. There are
//! only so many places, and who proved nothing makes room first.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep_until},
};

/// How long and how many.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For the TLS handshake.
    pub handshake: Duration,
    /// For the headers of an HTTP/1.1 request.
    pub headers: Duration,
    /// Without a request that was allowed.
    pub unproven: Duration,
    /// Without a request; up to twice as long.
    pub idle: Duration,
    /// The youngest age at which a connection is ended, so that load spreads over replicas again; up to twice as old.
    pub age: Duration,
    /// For what is under way when a connection ends.
    pub drain: Duration,
    /// Connections at once.
    pub connections: u32,
    /// Requests at once.
    pub requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            headers: Duration::from_secs(30),
            unproven: Duration::from_secs(60),
            idle: Duration::from_secs(90),
            age: Duration::from_secs(300),
            drain: Duration::from_secs(10),
            connections: 1024,
            requests: 2048,
        }
    }
}

/// A connection.
#[derive(Debug, Default)]
pub(super) struct Guest {
    let_in: AtomicBool,
    reviewed: AtomicBool,
    busy: AtomicUsize,
    asked: AtomicBool,
    sent_away: Notify,
}

/// A request under way.
pub(super) struct Busy(Arc<Guest>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.asked.store(true, Ordering::Relaxed);
    }
}

impl Guest {
    /// Remembers that a request of it was allowed.
    pub fn let_in(&self) {
        self.let_in.store(true, Ordering::Relaxed);
    }

    /// Remembers that a review of it was answered.
    pub fn reviewed(&self) {
        self.reviewed.store(true, Ordering::Relaxed);
    }

    /// A request begins.
    pub fn asks(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Whether it asks or asked since this was looked at last.
    fn was_busy(&self) -> bool {
        let asked = self.asked.swap(false, Ordering::Relaxed);
        asked || self.busy.load(Ordering::Relaxed) > 0
    }

    fn was_let_in(&self) -> bool {
        self.let_in.load(Ordering::Relaxed)
    }

    /// Returns once it is to end as soon as what is under way has ended.
    pub async fn lives(&self, limits: &Limits, ending: &mut watch::Receiver<bool>) {
        let born = Instant::now();
        let oldest = born + limits.age.mul_f64(1.0 + fastrand::f64());
        let mut proof_due = born + limits.unproven;
        let mut quiet_since = born;
        loop {
            let mut next = oldest.min(quiet_since + limits.idle);
            if !self.was_let_in() {
                next = next.min(proof_due);
            }
            tokio::select! {
                // An end that nobody announces is none.
                Ok(_) = ending.wait_for(|ending| *ending) => return,
                () = sleep_until(next) => {}
            }
            let now = Instant::now();
            if self.was_busy() {
                quiet_since = now;
            }
            if now >= oldest || now >= quiet_since + limits.idle {
                return;
            }
            if !self.was_let_in() && now >= proof_due {
                // Reviews, which anybody may ask for, give it the same time again.
                if !self.reviewed.swap(false, Ordering::Relaxed) {
                    return;
                }
                proof_due = now + limits.unproven;
            }
        }
    }

    /// Returns once its place is needed by another.
    pub async fn sent_away(&self) {
        self.sent_away.notified().await;
    }
}

/// The places of a house.
pub(super) struct Places {
    free: Arc<Semaphore>,
    newcomers: Mutex<VecDeque<Weak<Guest>>>,
}

impl Places {
    pub fn new(limits: &Limits) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limits.connections as usize)),
            newcomers: Mutex::default(),
        }
    }

    /// A place for a newcomer. In a full house the one who has been there longest without being let in goes.
    pub async fn take(&self, guest: &Arc<Guest>) -> Option<OwnedSemaphorePermit> {
        let place = if let Ok(place) = self.free.clone().try_acquire_owned() {
            place
        } else {
            self.make_room();
            self.free.clone().acquire_owned().await.ok()?
        };
        let mut newcomers = self
            .newcomers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        newcomers.retain(|n| n.upgrade().is_some_and(|n| !n.was_let_in()));
        newcomers.push_back(Arc::downgrade(guest));
        Some(place)
    }

    fn make_room(&self) {
        let mut newcomers = self
            .newcomers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        while let Some(oldest) = newcomers.pop_front() {
            if let Some(guest) = oldest.upgrade().filter(|guest| !guest.was_let_in()) {
                guest.sent_away.notify_one();
                return;
            }
        }
    }

    /// Returns once everybody has gone.
    pub async fn empty(&self, limits: &Limits) {
        let _ = self.free.acquire_many(limits.connections).await;
    }
}
