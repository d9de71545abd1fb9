//! Watches on one HPA and one Deployment from start to end: "never more" is observed, not sampled.

use std::sync::{Arc, Mutex};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    Api, Client,
    api::{ListParams, WatchEvent, WatchParams},
};
use tokio::task::JoinHandle;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// `spec.replicas` of the Deployment.
    Replicas(i32),
    /// `status.desiredReplicas` of the HPA.
    Desired(i32),
    /// `spec.maxReplicas` of the HPA.
    Max(i32),
    /// The HPA is gone.
    HpaDeleted,
}

/// Watches until it is dropped.
pub struct Observer {
    seen: Arc<Mutex<Vec<Seen>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Observer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Observer {
    /// Watches from now on; what exists already is the first event. From its return on no change is missed.
    pub async fn start(client: &Client, namespace: &str, hpa: &str, deployment: &str) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), namespace);
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let of_hpa = |event| match event {
            WatchEvent::Added(hpa) | WatchEvent::Modified(hpa) => {
                let hpa: HorizontalPodAutoscaler = hpa;
                let max = hpa.spec.map(|s| Seen::Max(s.max_replicas));
                let desired = hpa.status.map(|s| Seen::Desired(s.desired_replicas));
                max.into_iter().chain(desired).collect()
            }
            WatchEvent::Deleted(_) => vec![Seen::HpaDeleted],
            _ => vec![],
        };
        let of_deployment = |event| match event {
            WatchEvent::Added(d) | WatchEvent::Modified(d) => {
                let d: Deployment = d;
                let replicas = d.spec.and_then(|s| s.replicas).unwrap_or(1);
                vec![Seen::Replicas(replicas)]
            }
            _ => vec![],
        };
        let hpas = Record::begin(hpas, hpa, of_hpa, seen.clone()).await;
        let deployments = Record::begin(deployments, deployment, of_deployment, seen.clone()).await;
        let tasks = vec![
            tokio::spawn(hpas.follow()),
            tokio::spawn(deployments.follow()),
        ];
        Self { seen, tasks }
    }

    /// Everything seen so far, in order, repetitions left out.
    pub fn history(&self) -> Vec<Seen> {
        assert!(
            self.tasks.iter().all(|t| !t.is_finished()),
            "a watch ended and may have missed something"
        );
        self.seen.lock().expect("not poisoned").clone()
    }

    /// The highest number of replicas that was ever asked for or set.
    pub fn highest(&self) -> i32 {
        let of = |seen: &Seen| match seen {
            Seen::Replicas(n) | Seen::Desired(n) => *n,
            Seen::Max(_) | Seen::HpaDeleted => 0,
        };
        self.history().iter().map(of).max().unwrap_or(0)
    }

    /// The last `spec.replicas` seen.
    pub fn replicas(&self) -> Option<i32> {
        let replicas = |seen: &Seen| match seen {
            Seen::Replicas(n) => Some(*n),
            _ => None,
        };
        self.history().iter().rev().find_map(replicas)
    }

    /// The last `spec.maxReplicas` seen.
    pub fn max(&self) -> Option<i32> {
        let max = |seen: &Seen| match seen {
            Seen::Max(n) => Some(*n),
            _ => None,
        };
        self.history().iter().rev().find_map(max)
    }
}

/// Follows one object by resource version: every change is an event, and a gap in the events ends it.
struct Record<K, F> {
    api: Api<K>,
    params: WatchParams,
    version: String,
    read: F,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl<K, F> Record<K, F>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned + kube::Resource + Send + 'static,
    F: Fn(WatchEvent<K>) -> Vec<Seen>,
{
    async fn begin(api: Api<K>, name: &str, read: F, seen: Arc<Mutex<Vec<Seen>>>) -> Self {
        let fields = format!("metadata.name={name}");
        let listed = api.list(&ListParams::default().fields(&fields)).await;
        let listed = listed.expect("a list");
        let record = Self {
            api,
            params: WatchParams::default().fields(&fields),
            version: listed.metadata.resource_version.unwrap_or_default(),
            read,
            seen,
        };
        for object in listed.items {
            record.push(WatchEvent::Added(object));
        }
        record
    }

    async fn follow(mut self) {
        loop {
            let Ok(events) = self.api.watch(&self.params, &self.version).await else {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let mut events = events.boxed();
            while let Ok(Some(event)) = events.try_next().await {
                match &event {
                    WatchEvent::Added(k) | WatchEvent::Modified(k) | WatchEvent::Deleted(k) => {
                        self.version = k.meta().resource_version.clone().unwrap_or_default();
                    }
                    WatchEvent::Bookmark(b) => {
                        self.version.clone_from(&b.metadata.resource_version);
                    }
                    // 410: events are lost for ever.
                    WatchEvent::Error(_) => return,
                }
                self.push(event);
            }
        }
    }

    fn push(&self, event: WatchEvent<K>) {
        let mut all = self.seen.lock().expect("not poisoned");
        for one in (self.read)(event) {
            let kind = std::mem::discriminant(&one);
            let last = all
                .iter()
                .rev()
                .find(|s| std::mem::discriminant(*s) == kind);
            if last != Some(&one) {
                all.push(one);
            }
        }
    }
}
