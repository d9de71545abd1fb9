//! Keeps one poll task per cluster and credential that somebody asks for, and gathers their snapshots.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use super::{cluster::Cluster, timing::Timing};
use crate::{
    kafka::{Budgets, Security},
    snapshot::{ClusterDemand, ClusterKey, GroupDemand, GroupSnapshot, Snapshot},
};

/// Starts and ends poll tasks as the demand changes; dropping it ends them all.
pub struct Manager {
    tasks: BTreeMap<ClusterKey, Poller>,
    snapshots: mpsc::UnboundedSender<(ClusterKey, Arc<Snapshot>)>,
    timing: Timing,
    budgets: Budgets,
}

struct Poller {
    demand: watch::Sender<ClusterDemand>,
    credential: watch::Sender<Option<Arc<Security>>>,
    task: JoinHandle<()>,
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Manager {
    /// A manager without any demand; every new snapshot of a cluster is sent to `snapshots`.
    #[must_use]
    pub fn new(
        timing: Timing,
        snapshots: mpsc::UnboundedSender<(ClusterKey, Arc<Snapshot>)>,
    ) -> Self {
        Self {
            tasks: BTreeMap::new(),
            snapshots,
            timing,
            budgets: Budgets::default(),
        }
    }

    /// A manager whose clusters share these budgets.
    #[must_use]
    pub fn on(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// Sets what is asked of one group from now on. A new cluster is dialled at once, on the budget of the `namespace` that asks for
    /// it first. `history` is what a former value of the same credential knew of a group that is new here.
    pub fn ask(
        &mut self,
        namespace: &str,
        cluster: &ClusterKey,
        group: &Arc<str>,
        demand: GroupDemand,
        security: &Security,
        history: Option<Arc<GroupSnapshot>>,
    ) {
        let poller = self.tasks.entry(cluster.clone()).or_insert_with(|| {
            let (demand, asked) = watch::channel(ClusterDemand::default());
            let (credential, dialled) = watch::channel(Some(Arc::new(security.clone())));
            let snapshots = self.snapshots.clone();
            let budget = self.budgets.of(namespace);
            let polling = Cluster::new(
                cluster.clone(),
                asked,
                dialled,
                snapshots,
                self.timing,
                budget,
            );
            Poller {
                demand,
                credential,
                task: tokio::spawn(polling.run()),
            }
        });
        poller.demand.send_if_modified(|now| {
            let before = now.groups.insert(group.clone(), demand.clone());
            if let (None, Some(history)) = (&before, history) {
                now.histories.insert(group.clone(), history);
            }
            before != Some(demand)
        });
    }

    /// Changes what one group of a cluster that is asked already is asked for; `None`: nothing any more. A cluster that nobody asks
    /// for is left.
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
            None => {
                now.histories.remove(group);
                now.groups.remove(group).is_some()
            }
        });
        if poller.demand.borrow().groups.is_empty() {
            self.tasks.remove(cluster);
        }
    }

    /// Everything that a former credential knew of a group has been read anew.
    pub fn drop_history(&mut self, cluster: &ClusterKey, group: &Arc<str>) {
        if let Some(poller) = self.tasks.get(cluster) {
            let demand = &poller.demand;
            demand.send_if_modified(|now| now.histories.remove(group).is_some());
        }
    }

    /// Another value has taken the credential's place: its connections serve on until they end, and none is dialled.
    pub fn retire(&mut self, cluster: &ClusterKey) {
        if let Some(poller) = self.tasks.get(cluster) {
            poller.credential.send_if_modified(|c| c.take().is_some());
        }
    }

    /// The credential is in its place again, if it was retired: it is dialled at once where a connection has ended.
    pub fn restore(&mut self, cluster: &ClusterKey, security: &Security) {
        if let Some(poller) = self.tasks.get(cluster) {
            poller.credential.send_if_modified(|credential| {
                let retired = credential.is_none();
                credential.get_or_insert_with(|| Arc::new(security.clone()));
                retired
            });
        }
    }

    /// Whether it is dialled; `None`: nothing is asked of it.
    #[cfg(test)]
    pub(crate) fn credential_of(&self, cluster: &ClusterKey) -> Option<bool> {
        let poller = self.tasks.get(cluster)?;
        Some(poller.credential.borrow().is_some())
    }
}
