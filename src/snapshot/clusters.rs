//! The snapshots of all clusters that objects ask.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    cluster::{GroupSnapshot, Snapshot},
    demand::ClusterKey,
};

/// The last snapshot of each cluster, as each credential sees it.
#[derive(Clone, Debug, Default)]
pub struct Snapshots(BTreeMap<ClusterKey, Arc<Snapshot>>);

impl Snapshots {
    /// The snapshot of a cluster; `None` until it was read.
    #[must_use]
    pub fn get(&self, cluster: &ClusterKey) -> Option<&Snapshot> {
        self.0.get(cluster).map(AsRef::as_ref)
    }

    /// A group as a credential sees it.
    #[must_use]
    pub fn group(&self, cluster: &ClusterKey, group: &str) -> Option<&Arc<GroupSnapshot>> {
        self.0.get(cluster)?.groups.get(group)
    }

    /// Replaces the snapshot of a cluster.
    pub fn insert(&mut self, cluster: ClusterKey, snapshot: Arc<Snapshot>) {
        self.0.insert(cluster, snapshot);
    }

    /// Keeps the snapshots of these clusters only.
    pub fn retain(&mut self, is_kept: impl Fn(&ClusterKey) -> bool) {
        self.0.retain(|cluster, _| is_kept(cluster));
    }
}
