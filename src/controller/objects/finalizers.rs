//! KEDA's finalizers: from which objects they are taken off, each by one task at a time.

use std::{collections::BTreeSet, sync::Arc};

use kube::ResourceExt;

use super::{tasks::Task, world::World};
use crate::resources::{ScaledObject, names::FINALIZER};

/// The finalizers that this replica takes off.
#[derive(Default)]
pub(super) struct Finalizers {
    /// Objects whose finalizer is being taken off, by uid.
    releasing: BTreeSet<String>,
    /// UIDs of authentications whose KEDA finalizer was taken off once; if a KEDA puts it on again, it stays.
    released_once: BTreeSet<String>,
}

impl Finalizers {
    /// The task that is due for a ScaledObject that is being deleted.
    pub(super) fn end(&mut self, object: &Arc<ScaledObject>, world: World<'_>) -> Option<Task> {
        let due = self.is_due(&**object, world);
        due.then(|| Task::End(object.clone()))
    }

    /// The task that is due for a TriggerAuthentication.
    pub(super) fn release(
        &mut self,
        (namespace, name): (&str, &str),
        world: World<'_>,
    ) -> Option<Task> {
        let held = world.stores.authentication(namespace, name)?;
        let due = self.is_due(&*held, world);
        due.then_some(Task::Release(held))
    }

    /// The task that is due for a ClusterTriggerAuthentication.
    pub(super) fn release_cluster(&mut self, name: &str, world: World<'_>) -> Option<Task> {
        let held = world.stores.cluster_authentication(name)?;
        let due = self.is_due(&*held, world);
        due.then_some(Task::ReleaseCluster(held))
    }

    /// The tasks that are due for any authentication.
    pub(super) fn release_all(&mut self, world: World<'_>) -> Vec<Task> {
        let stores = world.stores;
        let namespaced = stores.authentications.state().into_iter();
        let namespaced = namespaced.map(|a| (self.is_due(&*a, world), Task::Release(a)));
        let mut tasks: Vec<_> = namespaced.collect();
        let cluster = stores.cluster_authentications.state().into_iter();
        tasks.extend(cluster.map(|a| (self.is_due(&*a, world), Task::ReleaseCluster(a))));
        let due = tasks
            .into_iter()
            .filter_map(|(due, task)| due.then_some(task));
        due.collect()
    }

    /// The task for the object of this uid has ended.
    pub(super) fn released(&mut self, uid: &str) {
        self.releasing.remove(uid);
    }

    /// Begins to write: a finalizer that is there is taken off once more.
    pub(super) fn take_over(&mut self) {
        self.released_once.clear();
    }

    /// A finalizer of an authentication that a KEDA may use too is left to it, unless somebody waits for the deletion.
    fn is_due(&mut self, object: &impl ResourceExt, world: World<'_>) -> bool {
        let uid = || object.uid().unwrap_or_default();
        let ends = object.meta().deletion_timestamp.is_some();
        is_held(object)
            && world.leads
            && (ends || !world.shares && self.released_once.insert(uid()))
            && self.releasing.insert(uid())
    }
}

/// Whether KEDA's finalizer is on an object.
pub(in crate::controller) fn is_held(object: &impl ResourceExt) -> bool {
    object.finalizers().iter().any(|f| f == FINALIZER)
}
