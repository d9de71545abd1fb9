//! Watches of several namespaces as one: the store that they fill is ready once all have listed, and a list that comes anew replaces
//! the objects of its own namespace only.

use std::{collections::BTreeSet, mem::take};

use futures::{Stream, StreamExt, stream::SelectAll};
use kube::{
    Resource, ResourceExt,
    runtime::{
        reflector::Store,
        watcher::{self, Event},
    },
};

type Told<K> = Result<Event<K>, watcher::Error>;

/// The state of one namespace's watch.
struct Part<K> {
    namespace: String,
    /// It has listed once.
    listed: bool,
    /// The objects of the first list, which may break off and come again.
    first: Vec<K>,
    /// The names in a list that comes anew.
    seen: BTreeSet<String>,
}

impl<K> Part<K> {
    const fn new(namespace: String) -> Self {
        Self {
            namespace,
            listed: false,
            first: Vec::new(),
            seen: BTreeSet::new(),
        }
    }
}

/// All parts together.
struct Merging<K: Resource<DynamicType = ()> + Clone + 'static> {
    parts: Vec<Part<K>>,
    known: Store<K>,
    begun: bool,
    /// Changes of namespaces that have listed, until all have.
    waiting: Vec<Event<K>>,
}

/// Merges the watches of `parts`, each with its namespace. `known` is the store that is filled by what comes out.
pub(super) fn merged<K>(
    parts: Vec<(String, impl Stream<Item = Told<K>> + Send + Unpin + 'static)>,
    known: Store<K>,
) -> impl Stream<Item = Told<K>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    let mut merging = Merging {
        parts: Vec::new(),
        known,
        begun: false,
        waiting: Vec::new(),
    };
    let mut all = SelectAll::new();
    for (nth, (namespace, events)) in parts.into_iter().enumerate() {
        merging.parts.push(Part::new(namespace));
        all.push(events.map(move |event| (nth, event)));
    }
    all.flat_map(move |(nth, event)| {
        let told = match event {
            Ok(event) => merging.take(nth, event).into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        futures::stream::iter(told)
    })
}

impl<K> Merging<K>
where
    K: Resource<DynamicType = ()> + Clone + Send + Sync + 'static,
{
    fn take(&mut self, nth: usize, event: Event<K>) -> Vec<Event<K>> {
        let all_listed = self.parts.iter().all(|part| part.listed);
        let Some(part) = self.parts.get_mut(nth) else {
            return Vec::new();
        };
        match event {
            Event::Init => {
                part.seen.clear();
                part.first.clear();
                let first = !std::mem::replace(&mut self.begun, true);
                first.then_some(Event::Init).into_iter().collect()
            }
            Event::InitApply(object) if !part.listed => {
                part.first.push(object);
                Vec::new()
            }
            Event::InitApply(object) => {
                part.seen.insert(object.name_any());
                self.later(Event::Apply(object), all_listed)
            }
            Event::InitDone if !part.listed => {
                part.listed = true;
                let listed = take(&mut part.first).into_iter().map(Event::InitApply);
                let mut told: Vec<_> = listed.collect();
                if self.parts.iter().all(|part| part.listed) {
                    told.push(Event::InitDone);
                    told.append(&mut self.waiting);
                }
                told
            }
            Event::InitDone => {
                let (namespace, seen) = (&part.namespace, take(&mut part.seen));
                let gone = self.known.state_filter(|object| {
                    object.namespace().as_ref() == Some(namespace)
                        && !seen.contains(&object.name_any())
                });
                let gone = gone
                    .into_iter()
                    .map(|object| Event::Delete(K::clone(&object)));
                gone.collect::<Vec<_>>()
                    .into_iter()
                    .flat_map(|event| self.later(event, all_listed))
                    .collect()
            }
            event => self.later(event, all_listed),
        }
    }

    /// A change as it is, or once all namespaces have listed: what comes between would be lost with the list that follows.
    fn later(&mut self, event: Event<K>, all_listed: bool) -> Vec<Event<K>> {
        if all_listed {
            return vec![event];
        }
        self.waiting.push(event);
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::{core::ObjectMeta, runtime::reflector};

    use super::*;

    fn object(namespace: &str, name: &str) -> ConfigMap {
        ConfigMap {
            metadata: ObjectMeta {
                namespace: Some(namespace.into()),
                name: Some(name.into()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        }
    }

    /// Plays events of namespaces `a` (0) and `b` (1); the names in the store after each, or `None` while it is not ready.
    fn played(events: Vec<(usize, Event<ConfigMap>)>) -> Vec<Option<Vec<String>>> {
        let (store, mut writer) = reflector::store::<ConfigMap>();
        let mut merging = Merging {
            parts: ["a", "b"]
                .map(|namespace| Part::new(namespace.into()))
                .into(),
            known: store.clone(),
            begun: false,
            waiting: Vec::new(),
        };
        let mut is_ready = false;
        let after = |(nth, event)| {
            for event in merging.take(nth, event) {
                is_ready |= matches!(event, Event::InitDone);
                writer.apply_watcher_event(&event);
            }
            let names = store.state();
            let mut names: Vec<_> = names.iter().map(|o| o.name_any()).collect();
            names.sort();
            is_ready.then_some(names)
        };
        events.into_iter().map(after).collect()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn the_store_is_ready_once_all_have_listed_and_nothing_between_is_lost() {
        let states = played(vec![
            (0, Event::Init),
            (0, Event::InitApply(object("a", "a1"))),
            (0, Event::InitDone),
            (0, Event::Apply(object("a", "a2"))),
            (1, Event::Init),
            (1, Event::InitApply(object("b", "b1"))),
            (0, Event::Delete(object("a", "a1"))),
            (1, Event::InitDone),
            (1, Event::Apply(object("b", "b2"))),
        ]);
        assert!(states[..7].iter().all(Option::is_none));
        assert_eq!(states[7], Some(names(&["a2", "b1"])));
        assert_eq!(states[8], Some(names(&["a2", "b1", "b2"])));
    }

    #[test]
    fn a_list_that_comes_anew_replaces_the_objects_of_its_namespace_only() {
        let states = played(vec![
            (0, Event::Init),
            (0, Event::InitApply(object("a", "a1"))),
            (0, Event::InitDone),
            (1, Event::Init),
            (1, Event::InitApply(object("b", "b1"))),
            (1, Event::InitDone),
            (0, Event::Init),
            (0, Event::InitApply(object("a", "a3"))),
            (0, Event::InitDone),
            (1, Event::Init),
            (1, Event::InitDone),
        ]);
        assert_eq!(states[5], Some(names(&["a1", "b1"])));
        assert_eq!(states[7], Some(names(&["a1", "a3", "b1"])));
        assert_eq!(states[8], Some(names(&["a3", "b1"])));
        assert_eq!(states[10], Some(names(&["a3"])));
    }

    #[test]
    fn a_list_that_breaks_off_before_all_have_listed_is_taken_again() {
        let states = played(vec![
            (0, Event::Init),
            (0, Event::InitApply(object("a", "a1"))),
            (1, Event::Init),
            (1, Event::InitDone),
            (0, Event::Init),
            (0, Event::InitApply(object("a", "a2"))),
            (0, Event::InitDone),
        ]);
        assert_eq!(states[6], Some(names(&["a2"])));
    }
}
