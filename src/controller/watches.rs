//! What is watched and kept whole. What these objects name is watched in `credentials`.

use std::fmt::Debug;

use futures::StreamExt;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, task::JoinSet};

use super::apply::ObjectKey;
use crate::resources::{ClusterTriggerAuthentication, ScaledObject, TriggerAuthentication};

/// What a watch brought.
#[derive(Debug)]
pub(super) enum Change {
    /// A ScaledObject, by namespace and name.
    Object(ObjectKey),
    /// A TriggerAuthentication.
    Authentication(ObjectKey),
    /// A ClusterTriggerAuthentication.
    ClusterAuthentication(String),
    /// An HPA.
    Hpa(ObjectKey),
    /// A list anew: anything may have changed or gone.
    Everything,
}

/// All stores, filled by tasks that end with it.
pub(super) struct Watches {
    pub(super) objects: Store<ScaledObject>,
    pub(super) authentications: Store<TriggerAuthentication>,
    pub(super) cluster_authentications: Store<ClusterTriggerAuthentication>,
    pub(super) hpas: Store<HorizontalPodAutoscaler>,
    tasks: JoinSet<()>,
}

impl Watches {
    /// Begins to watch, every namespace or one.
    pub(super) fn start(
        client: &Client,
        namespace: Option<&str>,
        changes: &mpsc::UnboundedSender<Change>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let all = Api::all(client.clone());
        Self {
            objects: reflect(
                scoped(client, namespace),
                Change::Object,
                changes,
                &mut tasks,
            ),
            authentications: reflect(
                scoped(client, namespace),
                Change::Authentication,
                changes,
                &mut tasks,
            ),
            cluster_authentications: reflect(
                all,
                |(_, name)| Change::ClusterAuthentication(name),
                changes,
                &mut tasks,
            ),
            hpas: reflect(scoped(client, namespace), Change::Hpa, changes, &mut tasks),
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
    api: Api<K>,
    change: fn(ObjectKey) -> Change,
    changes: &mpsc::UnboundedSender<Change>,
    tasks: &mut JoinSet<()>,
) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + DeserializeOwned + 'static,
{
    let (store, writer) = reflector::store();
    let changes = changes.clone();
    let events = watcher(api, watcher::Config::default()).default_backoff();
    // Half of an object's size, and nobody reads it.
    let events = events.modify(|object| object.managed_fields_mut().clear());
    tasks.spawn(events.reflect(writer).for_each(move |event| {
        let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
        let change = match &event {
            Ok(Event::Apply(object) | Event::Delete(object)) => Some(change(key(object))),
            // What was listed is in the store from here on.
            Ok(Event::InitDone) => Some(Change::Everything),
            Ok(Event::Init | Event::InitApply(_)) => None,
            Err(error) => {
                tracing::warn!(%error, "watching {}", K::plural(&()));
                None
            }
        };
        if let Some(change) = change {
            // The engine is gone when nobody listens.
            let _ = changes.send(change);
        }
        futures::future::ready(())
    }));
    store
}
