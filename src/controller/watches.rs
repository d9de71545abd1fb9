//! Watches of the kinds that are kept whole. What these objects name is watched in `credentials`.

use std::{fmt::Debug, future::ready};

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    external::ExternalTriggers,
    guarded::{Guarded, Unreadable},
    kept::Watched,
    merged::merged,
    objects::{Change, NamespacedName, ObjectKey},
    scope::Scope,
    stores::Stores,
};
use crate::{
    scaling::keep_managed,
    telemetry::Counts,
    text::{shown, watch_error},
};

/// All stores, filled by tasks that end with it.
pub(super) struct Watches {
    pub(super) stores: Stores,
    /// The API server does not know the kind: its CRD is not applied, and nobody waits for it.
    lag_metrics_unknown: watch::Receiver<bool>,
    tasks: JoinSet<()>,
}

impl Watches {
    /// Begins to watch what is in `scope`.
    pub(super) fn start(
        client: &Client,
        scope: &Scope,
        shadow: bool,
        (changes, counts): (&mpsc::UnboundedSender<Change>, &Counts),
    ) -> Self {
        let mut tasks = JoinSet::new();
        let all = || Wanted {
            apis: vec![(String::new(), Api::all(client.clone()))],
            labels: scope.authentications.asked(),
            shrink: Watched::shrink,
        };
        let (unknown, lag_metrics_unknown) = watch::channel(false);
        let (nowhere, _) = watch::channel(false);
        let stores = Stores {
            external: ExternalTriggers::new(&scope.namespaces, changes.clone()),
            scaled_objects: reflect(
                wanted(client, scope, scope.objects.asked()),
                |(namespace, name)| Change::Object(ObjectKey::scaled_object(&namespace, &name)),
                (changes, counts),
                &nowhere,
                &mut tasks,
            ),
            lag_metrics: reflect(
                wanted(client, scope, None),
                |(namespace, name)| Change::Object(ObjectKey::lag_metric(&namespace, &name)),
                (changes, counts),
                &unknown,
                &mut tasks,
            ),
            authentications: reflect(
                wanted(client, scope, scope.authentications.asked()),
                Change::Authentication,
                (changes, counts),
                &nowhere,
                &mut tasks,
            ),
            cluster_authentications: reflect(
                all(),
                |(_, name)| Change::ClusterAuthentication(name),
                (changes, counts),
                &nowhere,
                &mut tasks,
            ),
            hpas: reflect(
                Wanted {
                    // A shadow compares with what the HPA controller was told.
                    shrink: if shadow {
                        keep_managed
                    } else {
                        Watched::shrink
                    },
                    ..wanted(client, scope, None)
                },
                Change::Hpa,
                (changes, counts),
                &nowhere,
                &mut tasks,
            ),
        };
        Self {
            stores,
            lag_metrics_unknown,
            tasks,
        }
    }

    /// Returns once every first list is in; `false` if a watch ended for good before.
    pub(super) async fn synced(&self) -> bool {
        let stores = &self.stores;
        let (a, b, c, d) = tokio::join!(
            stores.scaled_objects.wait_until_ready(),
            stores.authentications.wait_until_ready(),
            stores.hpas.wait_until_ready(),
            stores.cluster_authentications.wait_until_ready(),
        );
        let mut unknown = self.lag_metrics_unknown.clone();
        tokio::select! {
            _ = stores.lag_metrics.wait_until_ready() => {}
            _ = unknown.wait_for(|unknown| *unknown) => {}
        }
        a.is_ok() && b.is_ok() && c.is_ok() && d.is_ok() && !self.tasks.is_empty()
    }
}

/// Objects of a page of a list, which is in memory whole with everything that [`Watched::shrink`] takes off.
const PAGE: u32 = 100;
/// The objects of a kind that are watched.
struct Wanted<'a, K> {
    /// By namespace; all of them under the empty name.
    apis: Vec<(String, Api<Guarded<K>>)>,
    /// A selector, if only some are wanted.
    labels: Option<&'a str>,
    /// Takes off what nobody reads.
    shrink: fn(&mut K),
}

fn wanted<'a, K>(client: &Client, scope: &Scope, labels: Option<&'a str>) -> Wanted<'a, K>
where
    K: Watched + Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    let one = |name: &String| (name.clone(), Api::namespaced(client.clone(), name));
    let mut apis: Vec<_> = scope.namespaces.iter().map(one).collect();
    if apis.is_empty() {
        apis.push((String::new(), Api::all(client.clone())));
    }
    Wanted {
        apis,
        labels,
        shrink: Watched::shrink,
    }
}

fn reflect<K>(
    wanted: Wanted<'_, K>,
    change: fn(NamespacedName) -> Change,
    (changes, counts): (&mpsc::UnboundedSender<Change>, &Counts),
    unknown: &watch::Sender<bool>,
    tasks: &mut JoinSet<()>,
) -> Store<K>
where
    K: Watched
        + Resource<DynamicType = ()>
        + Clone
        + Debug
        + Send
        + Sync
        + DeserializeOwned
        + 'static,
{
    let (store, writer) = reflector::store();
    let (changes, unknown) = (changes.clone(), unknown.clone());
    let mut config = watcher::Config::default().page_size(PAGE);
    config.label_selector = wanted.labels.map(str::to_owned);
    let parts = wanted.apis.into_iter().map(|(namespace, api)| {
        let events = watcher(api, config.clone()).default_backoff();
        let (known, counts) = (store.clone(), counts.clone());
        let readable = move |event| readable(event, &known, &counts);
        let events = events.filter_map(move |event| ready(event.map(&readable).transpose()));
        (namespace, events.modify(wanted.shrink).boxed())
    });
    let mut parts: Vec<_> = parts.collect();
    let events = match parts.len() {
        1 => parts.remove(0).1,
        _ => merged(parts, store.clone()).boxed(),
    };
    tasks.spawn(events.reflect(writer).for_each(move |event| {
        let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
        let change = match &event {
            Ok(Event::Apply(object) | Event::Delete(object)) => Some(change(key(object))),
            // Listed objects are in the store from here on.
            Ok(Event::InitDone) => Some(Change::Everything),
            Ok(Event::Init | Event::InitApply(_)) => None,
            Err(error) => {
                let first = is_unknown(error) && !unknown.send_replace(true);
                if first || !is_unknown(error) {
                    let error = watch_error(error);
                    tracing::warn!(error, "watching {}", K::plural(&()));
                }
                None
            }
        };
        if let Some(change) = change {
            // The engine is gone when nobody listens.
            let _ = changes.send(change);
        }
        ready(())
    }));
    store
}

/// Whether the API server has no such kind.
fn is_unknown(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) =
        error
    else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// An object that can't be read is left out, and told of: what it was before stands. When it goes, that goes.
fn readable<K>(event: Event<Guarded<K>>, known: &Store<K>, counts: &Counts) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let read = |Guarded(object): Guarded<K>| {
        let unreadable = |Unreadable { error, metadata }: &Unreadable| {
            counts.unreadable(&K::plural(&()));
            let namespace = metadata.namespace.as_deref().unwrap_or_default();
            let name = metadata.name.as_deref().unwrap_or_default();
            let error = shown(error, 300);
            tracing::error!(namespace, name, %error, "a {} that can't be read is left alone", K::kind(&()));
        };
        object.inspect_err(unreadable).ok()
    };
    match event {
        Event::Apply(object) => read(object).map(Event::Apply),
        Event::Delete(Guarded(Ok(object))) => Some(Event::Delete(object)),
        Event::Delete(object) => {
            let reference = ObjectRef::new(&object.name_any());
            let reference = match object.namespace() {
                Some(namespace) => reference.within(&namespace),
                None => reference,
            };
            known.get(&reference).map(|o| Event::Delete(K::clone(&o)))
        }
        Event::InitApply(object) => read(object).map(Event::InitApply),
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::ScaledObject;

    fn object(spec: &serde_json::Value) -> Guarded<ScaledObject> {
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "o", "namespace": "n"}, "spec": spec,
        });
        serde_json::from_str(&object.to_string()).unwrap()
    }

    #[test]
    fn an_object_that_can_t_be_read_any_more_stays_as_it_was_until_it_goes() {
        let counts = Counts::new(&prometheus::Registry::new()).unwrap();
        let (store, mut writer) = reflector::store();
        let good = || object(&json!({"scaleTargetRef": {"name": "w"}, "triggers": []}));
        let bad = || object(&json!({"scaleTargetRef": "w"}));
        let mut take = |event| {
            let event = readable(event, &store, &counts);
            event
                .inspect(|event| writer.apply_watcher_event(event))
                .is_some()
        };
        assert!(take(Event::Init) && take(Event::InitApply(good())) && take(Event::InitDone));
        assert!(!take(Event::Apply(bad())));
        assert_eq!(store.len(), 1);
        assert!(take(Event::Delete(bad())));
        assert_eq!(store.len(), 0);
        assert!(!take(Event::Delete(bad())), "nobody knew it");
    }
}
