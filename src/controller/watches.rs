//! What is watched and kept whole. What these objects name is watched in `credentials`.

use std::{fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::Notify, task::JoinSet};

use crate::resources::{ClusterTriggerAuthentication, ScaledObject, TriggerAuthentication};

/// All stores, filled by tasks that end with it.
pub(super) struct Watches {
    pub(super) objects: Store<ScaledObject>,
    pub(super) authentications: Store<TriggerAuthentication>,
    pub(super) cluster_authentications: Store<ClusterTriggerAuthentication>,
    pub(super) hpas: Store<HorizontalPodAutoscaler>,
    /// Rings after a change of what a plan is made from.
    pub(super) changed: Arc<Notify>,
    /// Rings after a change of an HPA, which no plan depends on.
    pub(super) hpas_changed: Arc<Notify>,
    tasks: JoinSet<()>,
}

impl Watches {
    /// Begins to watch, every namespace or one.
    pub(super) fn start(client: &Client, namespace: Option<&str>) -> Self {
        let (changed, hpas_changed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut tasks = JoinSet::new();
        let config = watcher::Config::default;
        let objects = watcher(scoped(client, namespace), config());
        let objects = reflect("ScaledObjects", objects, &changed, &mut tasks);
        let found = watcher(scoped(client, namespace), config());
        let authentications = reflect("TriggerAuthentications", found, &changed, &mut tasks);
        let hpas = watcher(scoped(client, namespace), config());
        let hpas = reflect("HorizontalPodAutoscalers", hpas, &hpas_changed, &mut tasks);
        let what = "ClusterTriggerAuthentications";
        let found = watcher(Api::all(client.clone()), config());
        let cluster_authentications = reflect(what, found, &changed, &mut tasks);
        Self {
            objects,
            authentications,
            cluster_authentications,
            hpas,
            changed,
            hpas_changed,
            tasks,
        }
    }

    /// Returns once every first list is in; `false` if a watch ended for good before.
    pub(super) async fn synced(&self) -> bool {
        let (a, b, c, d) = tokio::join!(
            self.objects.wait_until_ready(),
            self.authentications.wait_until_ready(),
            self.hpas.wait_until_ready(),
            self.cluster_authentications.wait_until_ready(),
        );
        a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok() && !self.tasks.is_empty()
    }
}

fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

fn reflect<K>(
    what: &'static str,
    stream: impl Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    changed: &Arc<Notify>,
    tasks: &mut JoinSet<()>,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + DeserializeOwned + 'static,
{
    let (store, writer) = reflector::store();
    let changed = changed.clone();
    tasks.spawn(
        stream
            .default_backoff()
            .reflect(writer)
            .for_each(move |event| {
                match event {
                    Ok(_) => changed.notify_one(),
                    Err(error) => tracing::warn!(%error, "watching {what}"),
                }
                futures::future::ready(())
            }),
    );
    store
}
