//! The pictures of all clusters that objects ask.

use std::{collections::BTreeMap, sync::Arc};

use crate::poll::{ClusterKey, GroupPicture, Picture};

/// The last picture of each cluster, as each credential sees it.
#[derive(Clone, Debug, Default)]
pub struct Pictures(BTreeMap<ClusterKey, Arc<Picture>>);

impl Pictures {
    /// The picture of a cluster; `None` until it was read.
    #[must_use]
    pub fn get(&self, cluster: &ClusterKey) -> Option<&Picture> {
        self.0.get(cluster).map(AsRef::as_ref)
    }

    /// What a credential knows of a group.
    #[must_use]
    pub fn group(&self, cluster: &ClusterKey, group: &str) -> Option<&Arc<GroupPicture>> {
        self.0.get(cluster)?.groups.get(group)
    }

    /// Replaces the picture of a cluster.
    pub fn insert(&mut self, cluster: ClusterKey, picture: Arc<Picture>) {
        self.0.insert(cluster, picture);
    }

    /// Keeps the pictures of these clusters only.
    pub fn retain(&mut self, is_kept: impl Fn(&ClusterKey) -> bool) {
        self.0.retain(|cluster, _| is_kept(cluster));
    }
}
