//! Keeps one poll task per cluster and credential that somebody asks for, and gathers their pictures.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{
    cluster::{Cluster, Timing},
    demand::{ClusterDemand, ClusterKey, GroupDemand},
    picture::Picture,
};
use crate::kafka::Security;

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

    /// What is asked of one group from now on. A new cluster is dialled at once.
    pub fn ask(
        &mut self,
        cluster: &ClusterKey,
        group: &Arc<str>,
        demand: Option<GroupDemand>,
        security: &Security,
    ) {
        if self.tasks.contains_key(cluster) || demand.is_none() {
            return self.change(cluster, group, demand);
        }
        let groups = demand.map(|d| (group.clone(), d)).into_iter().collect();
        let (sender, receiver) = watch::channel(ClusterDemand {
            security: Arc::new(security.clone()),
            groups,
        });
        let polling = Cluster::new(
            cluster.clone(),
            receiver,
            self.pictures.clone(),
            self.timing,
        );
        let poller = Poller {
            demand: sender,
            task: tokio::spawn(polling.run()),
        };
        self.tasks.insert(cluster.clone(), poller);
    }

    /// The same of a cluster that is asked already; `None`: nothing any more. A cluster nobody asks for is left.
    pub fn change(&mut self, cluster: &ClusterKey, group: &Arc<str>, demand: Option<GroupDemand>) {
        let Some(poller) = self.tasks.get(cluster) else {
            return;
        };
        poller.demand.send_if_modified(|now| match demand {
            Some(demand) if now.groups.get(group) == Some(&demand) => false,
            Some(demand) => {
                now.groups.insert(group.clone(), demand);
                true
            }
            None => now.groups.remove(group).is_some(),
        });
        if poller.demand.borrow().groups.is_empty() {
            self.tasks.remove(cluster);
        }
    }
}
