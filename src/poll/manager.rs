//! Keeps one poll task per cluster and credential that somebody asks for, and gathers their pictures.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{
    cluster::{Cluster, Timing},
    demand::{ClusterDemand, ClusterKey, Demand},
    picture::Picture,
};

/// Starts and ends poll tasks as the demand changes; dropping it ends them all.
pub struct Manager {
    tasks: BTreeMap<ClusterKey, Poller>,
    pictures: mpsc::UnboundedSender<(ClusterKey, Arc<Picture>)>,
    timing: Timing,
}

struct Poller {
    demand: watch::Sender<ClusterDemand>,
    task: JoinHandle<()>,
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Manager {
    /// A manager without any demand; every new picture of a cluster is sent to `pictures`.
    #[must_use]
    pub fn new(
        timing: Timing,
        pictures: mpsc::UnboundedSender<(ClusterKey, Arc<Picture>)>,
    ) -> Self {
        Self {
            tasks: BTreeMap::new(),
            pictures,
            timing,
        }
    }

    /// Replaces the demand: clusters nobody asks for any more are left, new ones are dialled at once.
    pub fn demand(&mut self, demand: Demand) {
        self.tasks.retain(|key, _| demand.contains_key(key));
        for (key, wanted) in demand {
            if let Some(poller) = self.tasks.get(&key) {
                poller.demand.send_if_modified(|now| {
                    let changed = now.groups != wanted.groups;
                    if changed {
                        *now = wanted;
                    }
                    changed
                });
                continue;
            }
            let (sender, receiver) = watch::channel(wanted);
            let cluster = Cluster::new(key.clone(), receiver, self.pictures.clone(), self.timing);
            let poller = Poller {
                demand: sender,
                task: tokio::spawn(cluster.run()),
            };
            self.tasks.insert(key, poller);
        }
    }
}
