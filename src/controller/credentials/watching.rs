//! Watches that tell when something named has changed: metadata only, of the kinds that are named, and of these nothing is
//! kept, so that a cluster full of ConfigMaps costs nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::StreamExt;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DynamicObject, PartialObjectMeta},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event},
    },
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    super::guarded::Guarded,
    kinds::{Kind, kind, version},
    news::News,
    reference::{CredentialRules, Reference},
};
use crate::text::watch_error;

type Named = Arc<BTreeSet<Reference>>;
/// A kind, and the one namespace; `None`: all.
type Scope = (Kind, Option<String>);

/// The watches that run.
pub(super) struct Watching {
    client: Client,
    rules: Arc<CredentialRules>,
    news: mpsc::UnboundedSender<News>,
    named: watch::Sender<Named>,
    /// Each with one task, which ends with it.
    running: BTreeMap<Scope, JoinSet<()>>,
}

impl Watching {
    pub(super) fn new(
        client: Client,
        rules: Arc<CredentialRules>,
        news: mpsc::UnboundedSender<News>,
    ) -> Self {
        Self {
            client,
            rules,
            news,
            named: watch::Sender::default(),
            running: BTreeMap::new(),
        }
    }

    /// Tells of changes of what is named, and of nothing else.
    pub(super) fn watch(&mut self, named: BTreeSet<Reference>) {
        let scopes: BTreeSet<Scope> = named.iter().filter_map(|r| self.scope(r)).collect();
        self.named.send_replace(Arc::new(named));
        self.running.retain(|scope, _| scopes.contains(scope));
        for scope in scopes {
            let (client, news, named) = (&self.client, &self.news, &self.named);
            self.running.entry(scope).or_insert_with_key(|scope| {
                let mut task = JoinSet::new();
                let named = named.subscribe();
                task.spawn(watching(client.clone(), scope.clone(), named, news.clone()));
                task
            });
        }
    }

    fn scope(&self, reference: &Reference) -> Option<Scope> {
        let kind = kind(reference)?;
        let secrets = kind == Kind::Secrets && self.rules.restricted;
        let one = self.rules.by_namespace || secrets;
        let namespace = reference.namespace().filter(|_| one);
        Some((kind, namespace.map(str::to_owned)))
    }
}

async fn watching(
    client: Client,
    (of, namespace): Scope,
    named: watch::Receiver<Named>,
    news: mpsc::UnboundedSender<News>,
) {
    let resource = of.resource();
    let api: Api<Guarded<PartialObjectMeta<DynamicObject>>> = match &namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let events = watcher::watcher(api, watcher::Config::default()).default_backoff();
    let mut events = std::pin::pin!(events);
    let about = |object: &Guarded<PartialObjectMeta<DynamicObject>>| {
        let reference = of.reference(object.namespace().unwrap_or_default(), object.name_any());
        let version = version(&reference, object.meta());
        (reference, version)
    };
    // The engine is gone when nobody listens.
    let tell = |reference, version| drop(news.send(News::Seen(reference, version)));
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        let named = named.borrow().clone();
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                let (reference, version) = about(&object);
                if named.contains(&reference) {
                    tell(reference.clone(), Some(version));
                    listed.insert(reference);
                }
            }
            Ok(Event::InitDone) => {
                // Deleted while nobody watched, or named too late to be listed: to be looked at.
                let here = |r: &Reference| {
                    let same = namespace.is_none() || namespace.as_deref() == r.namespace();
                    same && kind(r) == Some(of)
                };
                for reference in named.difference(&listed).filter(|r| here(r)) {
                    tell(reference.clone(), Some(String::new()));
                }
                listed.clear();
            }
            Ok(Event::Apply(object)) => {
                let (reference, version) = about(&object);
                if named.contains(&reference) {
                    tell(reference, Some(version));
                }
            }
            Ok(Event::Delete(object)) => {
                let (reference, _) = about(&object);
                if named.contains(&reference) {
                    tell(reference, None);
                }
            }
            Err(error) => {
                let error = watch_error(&error);
                tracing::warn!(error, "watching {}", resource.plural);
            }
        }
    }
}
