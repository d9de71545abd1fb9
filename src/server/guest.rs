//! One connection as the house sees it: how much whoever is on it has shown, whether they were let in, and whether they have
//! something to ask.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
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
    pub connections: usize,
    /// Connections of one address at once, those of verified front proxies aside.
    pub of_one_address: usize,
    /// Requests of verified front proxies at once.
    pub requests: usize,
    /// Requests at once over connections on which a token or a certificate was allowed something.
    pub known: usize,
    /// Requests of everybody else at once.
    pub strangers: usize,
}

impl Limits {
    /// With at most so many connections.
    #[must_use]
    pub fn within(self, connections: usize) -> Self {
        Self {
            connections: self.connections.min(connections),
            ..self
        }
    }
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
            of_one_address: 64,
            requests: 2048,
            known: 256,
            strangers: 256,
        }
    }
}

/// The identity that was shown on a connection. In a full house the one that showed least makes room first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Standing {
    /// Nothing that was allowed anything: webhooks and what anybody may ask for count as little.
    #[default]
    Stranger,
    /// A token, for something that was allowed.
    Token,
    /// A client certificate of the cluster's.
    Certificate,
    /// A front proxy's certificate: kube-apiserver.
    FrontProxy,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Guest {
    address: IpAddr,
    standing: AtomicU8,
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
    /// Nobody yet, from this address.
    pub fn new(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            standing: AtomicU8::new(Standing::Stranger as u8),
            reviewed: AtomicBool::default(),
            busy: AtomicUsize::default(),
            asked: AtomicBool::default(),
            sent_away: Notify::default(),
        }
    }

    /// Where it comes from.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Remembers the most that was shown on it.
    pub fn showed(&self, standing: Standing) {
        self.standing.fetch_max(standing as u8, Ordering::Relaxed);
    }

    /// The most that was shown on it.
    pub fn standing(&self) -> Standing {
        let all = [Standing::Token, Standing::Certificate, Standing::FrontProxy];
        let standing = self.standing.load(Ordering::Relaxed);
        let found = all.into_iter().find(|s| *s as u8 == standing);
        found.unwrap_or_default()
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

    fn is_stranger(&self) -> bool {
        self.standing() == Standing::Stranger
    }

    /// Returns once it is to end as soon as what is under way has ended.
    pub async fn lives(&self, limits: &Limits, ending: &mut watch::Receiver<bool>) {
        let born = Instant::now();
        let oldest = born + limits.age.mul_f64(1.0 + fastrand::f64());
        let mut proof_due = born + limits.unproven;
        let mut quiet_since = born;
        loop {
            let mut next = oldest.min(quiet_since + limits.idle);
            if self.is_stranger() {
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
            if self.is_stranger() && now >= proof_due {
                // Reviews, which anybody may ask for, give it the same time again.
                if !self.reviewed.swap(false, Ordering::Relaxed) {
                    return;
                }
                proof_due = now + limits.unproven;
            }
        }
    }

    /// Its place is needed by another.
    pub fn send_away(&self) {
        self.sent_away.notify_one();
    }

    /// Returns once its place is needed by another.
    pub async fn sent_away(&self) {
        self.sent_away.notified().await;
    }
}
