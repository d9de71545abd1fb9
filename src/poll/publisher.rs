//! The snapshots of a cluster: when one is due, and what is new in it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use crate::snapshot::{ClusterKey, Snapshot};

/// Where snapshots go.
pub(super) struct Publisher {
    key: ClusterKey,
    out: mpsc::UnboundedSender<(ClusterKey, Arc<Snapshot>)>,
    /// The last one that was sent.
    last: Option<Arc<Snapshot>>,
    /// Since when there is something to publish.
    since: Option<Instant>,
    /// Nothing is published before.
    rests_until: Option<Instant>,
}

/// A snapshot has all groups in it, so it costs as many as there are: it takes one part in so many of the time at most.
const SHARE: u32 = 10;

impl Publisher {
    pub(super) fn new(
        key: ClusterKey,
        out: mpsc::UnboundedSender<(ClusterKey, Arc<Snapshot>)>,
    ) -> Self {
        Self {
            key,
            out,
            last: None,
            since: None,
            rests_until: None,
        }
    }

    /// There is something to publish.
    pub(super) fn note(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// When something is published at the latest; `None`: there is nothing.
    pub(super) fn due(&self, patience: Duration) -> Option<Instant> {
        let due = self.since? + patience;
        Some(self.rests_until.map_or(due, |until| due.max(until)))
    }

    /// `true` where the last snapshot is long enough ago for another one.
    pub(super) fn has_rested(&self, now: Instant) -> bool {
        self.rests_until.is_none_or(|until| until <= now)
    }

    /// Sends a snapshot that was `begun` to be made then; an error once nobody listens.
    pub(super) fn publish(&mut self, mut snapshot: Snapshot, begun: Instant) -> Result<(), ()> {
        self.since = None;
        if let Some(last) = &self.last {
            snapshot.changed = snapshot.changed_since(last);
        }
        let snapshot = Arc::new(snapshot);
        self.last = Some(snapshot.clone());
        let now = Instant::now();
        self.rests_until = Some(now + (now - begun) * (SHARE - 1));
        self.out.send((self.key.clone(), snapshot)).map_err(drop)
    }
}
