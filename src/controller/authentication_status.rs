//! The users of an authentication, in its status, as KEDA keeps them: looked at now and then, written only where they changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
    time::Duration,
};

use kube::{Api, Client, Resource, ResourceExt, runtime::reflector::Store};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use super::{
    leadership::Lead,
    scope::Scope,
    stores::Stores,
    write::{StatusChange, Writers, patch_status},
};
use crate::{
    resources::{
        ClusterTriggerAuthentication, ScaledObject, TriggerAuthentication,
        TriggerAuthenticationStatus,
    },
    scaling::limits,
    telemetry::Counts,
    text::api_error,
};

/// Objects come and go in bursts.
const EVERY: Duration = Duration::from_secs(5);
/// Longest list, in bytes: it is for people.
const LONGEST: usize = 32 << 10;

/// Namespace, empty for the cluster's kind, and name.
type Key = (String, String);
type Users = BTreeMap<Key, BTreeSet<String>>;
/// Lists by uid: where a foreign CRD does not keep the field, it is written once.
type Written = BTreeMap<String, String>;

/// Keeps the lists for as long as what it returns lives, and only where all users are known: nobody else handles objects that may use an
/// authentication, and of the cluster's kind every namespace is watched.
pub(super) fn keep(writers: &Writers, stores: &Stores, scope: &Scope) -> JoinSet<()> {
    let mut task = JoinSet::new();
    if scope.is_by_label() {
        return task;
    }
    let every = scope.namespaces.is_empty();
    let keeper = Keeper {
        client: writers.client.clone(),
        lead: writers.lead.clone(),
        counts: writers.counts.clone(),
        objects: stores.scaled_objects.clone(),
        authentications: stores.authentications.clone(),
        cluster: every.then(|| stores.cluster_authentications.clone()),
    };
    task.spawn(keeper.run());
    task
}

struct Keeper {
    client: Client,
    lead: Lead,
    counts: Counts,
    objects: Store<ScaledObject>,
    authentications: Store<TriggerAuthentication>,
    cluster: Option<Store<ClusterTriggerAuthentication>>,
}

impl Keeper {
    async fn run(self) {
        let mut written = Written::new();
        loop {
            tokio::time::sleep(EVERY).await;
            if !self.lead.holds() || self.lead.shares() {
                written.clear();
                continue;
            }
            let users = users(&self.objects.state());
            let before = std::mem::take(&mut written);
            for found in self.authentications.state() {
                let namespace = found.namespace().unwrap_or_default();
                let api = Api::namespaced(self.client.clone(), &namespace);
                let news = news(&*found, found.status.as_ref(), &users, &before);
                written.extend(tell(api, &*found, news, (&self.lead, &self.counts)).await);
            }
            for found in self.cluster.iter().flat_map(Store::state) {
                let api = Api::all(self.client.clone());
                let news = news(&*found, found.status.as_ref(), &users, &before);
                written.extend(tell(api, &*found, news, (&self.lead, &self.counts)).await);
            }
        }
    }
}

fn users(objects: &[Arc<ScaledObject>]) -> Users {
    let mut users = Users::new();
    let live = objects
        .iter()
        .filter(|o| o.metadata.deletion_timestamp.is_none());
    for object in live {
        let triggers = limits::readable(object).iter();
        for reference in triggers.filter_map(|t| t.authentication_ref.as_ref()) {
            let namespace = object.namespace().filter(|_| !reference.is_cluster_wide());
            let key = (namespace.unwrap_or_default(), reference.name.clone());
            users.entry(key).or_default().insert(object.name_any());
        }
    }
    users
}

/// The list that an authentication is to have.
enum News {
    /// Its status says so already.
    None,
    /// It was written, but does not stand there yet, or never will.
    Written(String),
    Due(String),
}

fn news(
    authentication: &impl ResourceExt,
    status: Option<&TriggerAuthenticationStatus>,
    users: &Users,
    written: &Written,
) -> News {
    let namespace = authentication.namespace().unwrap_or_default();
    let key = (namespace, authentication.name_any());
    let mut list = String::new();
    for name in users.get(&key).into_iter().flatten() {
        if list.len() + name.len() >= LONGEST {
            break;
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(name);
    }
    let told = status.and_then(|s| s.scaledobjects.as_deref());
    let uid = authentication.meta().uid.as_ref();
    if told.unwrap_or_default() == list {
        News::None
    } else if uid.and_then(|uid| written.get(uid)) == Some(&list) {
        News::Written(list)
    } else {
        News::Due(list)
    }
}

/// Writes what is due, in a turn of its own: a leader that is none any more writes nothing further. Returns what stands as written.
async fn tell<K>(
    api: Api<K>,
    authentication: &K,
    news: News,
    (lead, counts): (&Lead, &Counts),
) -> Option<(String, String)>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let uid = authentication.uid().unwrap_or_default();
    let list = match news {
        News::None => return None,
        News::Written(list) => return Some((uid, list)),
        News::Due(list) => list,
    };
    let _turn = lead.turn().await?;
    let users = |list: Option<&String>| TriggerAuthenticationStatus {
        scaledobjects: list.cloned(),
        scaledjobs: None,
    };
    let change = StatusChange {
        // The live list may be another by now: it goes where there is to be none.
        before: Some(&users(Some(&list))),
        next: &users(Some(&list).filter(|list| !list.is_empty())),
        over: None,
    };
    let patched = patch_status(&api, authentication, change, counts).await;
    let Err(error) = patched else {
        return Some((uid, list));
    };
    let (error, name) = (api_error(&error), authentication.name_any());
    tracing::warn!(error, name, "telling who uses an authentication");
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_written_once_and_again_only_when_its_users_change() {
        let object = |name: &str, reference: serde_json::Value| -> Arc<ScaledObject> {
            let object = json!({
                "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"scaleTargetRef": {"name": "app"}, "triggers": [
                    {"type": "kafka", "metadata": {}, "authenticationRef": reference},
                ]},
            });
            Arc::new(serde_json::from_value(object).unwrap())
        };
        let own = json!({"name": "kafka"});
        let cluster = json!({"name": "kafka", "kind": "ClusterTriggerAuthentication"});
        let mut objects = vec![
            object("b", own.clone()),
            object("c", cluster),
            object("a", own),
        ];
        let mut found: TriggerAuthentication = serde_json::from_value(json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
            "metadata": {"name": "kafka", "namespace": "shop", "uid": "u"}, "spec": {},
        }))
        .unwrap();
        let mut written = Written::new();
        let mut due = |found: &TriggerAuthentication, objects: &[Arc<ScaledObject>]| match news(
            found,
            found.status.as_ref(),
            &users(objects),
            &written,
        ) {
            News::Due(list) => {
                written.insert("u".into(), list.clone());
                Some(list)
            }
            News::None | News::Written(_) => None,
        };
        assert_eq!(due(&found, &objects).as_deref(), Some("a,b"));
        assert_eq!(due(&found, &objects), None, "it was written a moment ago");
        found.status = Some(TriggerAuthenticationStatus {
            scaledobjects: Some("a,b".into()),
            scaledjobs: None,
        });
        assert_eq!(due(&found, &objects), None);
        objects.truncate(1);
        assert_eq!(due(&found, &objects).as_deref(), Some("b"));
        objects.clear();
        assert_eq!(due(&found, &objects).as_deref(), Some(""));
    }

    /// A finding of the audit (23): a round was one turn, whoever led at its end.
    #[tokio::test]
    async fn a_leader_that_is_none_any_more_writes_nothing_further() {
        let later = std::time::Instant::now() + Duration::from_secs(3_600);
        let (elected, until) = tokio::sync::watch::channel(Some(later));
        let patches = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = patches.clone();
        let answer = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // The Lease goes over while it is answered.
            elected.send_replace(None);
            let body = json!({"metadata": {"name": "a"}, "spec": {}}).to_string();
            let body = kube::client::Body::from(body.into_bytes());
            std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(body)))
        });
        let (client, lead) = (Client::new(answer, "shop"), Lead::until(until));
        let counts = Counts::new(&prometheus::Registry::new()).unwrap();
        let found: TriggerAuthentication =
            serde_json::from_value(json!({"metadata": {"name": "a", "uid": "u"}, "spec": {}}))
                .unwrap();
        let api = || Api::<TriggerAuthentication>::namespaced(client.clone(), "shop");
        let mut written = Vec::new();
        for list in ["x", "y"] {
            let due = News::Due(list.into());
            written.push(tell(api(), &found, due, (&lead, &counts)).await);
        }
        assert_eq!(written, [Some(("u".into(), "x".into())), None]);
        assert_eq!(patches.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
