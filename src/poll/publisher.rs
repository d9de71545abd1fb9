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
}

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
        }
    }

    /// There is something to publish.
    pub(super) fn note(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// When something is published at the latest; `None`: there is nothing.
    pub(super) fn due(&self, patience: Duration) -> Option<Instant> {
        self.since.map(|since| since + patience)
    }

    /// Sends a snapshot; an error once nobody listens.
    pub(super) fn publish(&mut self, mut snapshot: Snapshot) -> Result<(), ()> {
        self.since = None;
        if let Some(last) = &self.last {
            snapshot.changed = snapshot.changed_since(last);
        }
        let snapshot = Arc::new(snapshot);
        self.last = Some(snapshot.clone());
        self.out.send((self.key.clone(), snapshot)).map_err(drop)
    }
}
