//! A watch on the HPA and the workload of one object: every uid and every number of replicas that there was meanwhile.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::task::JoinSet;

use crate::town::Town;

type Seen = Arc<Mutex<(BTreeSet<String>, BTreeSet<i32>)>>;

pub struct Watched {
    seen: Seen,
    _tasks: JoinSet<()>,
}

impl Watched {
    /// Begins to watch, and returns once it has seen both.
    pub async fn begin(town: &Town, name: &str) -> Self {
        let seen = Seen::default();
        let mut tasks = JoinSet::new();
        let config =
            |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let hpas = watcher(town.api(), config(&format!("keda-hpa-{name}")));
        let workloads = watcher(town.api(), config(name));
        let to = seen.clone();
        tasks.spawn(hpas.default_backoff().touched_objects().for_each(
            move |hpa: watcher::Result<HorizontalPodAutoscaler>| {
                if let Ok(hpa) = hpa {
                    to.lock().unwrap().0.insert(hpa.uid().unwrap());
                }
                std::future::ready(())
            },
        ));
        let to = seen.clone();
        tasks.spawn(workloads.default_backoff().touched_objects().for_each(
            move |workload: watcher::Result<Deployment>| {
                if let Some(replicas) = workload.ok().and_then(|w| w.spec?.replicas) {
                    to.lock().unwrap().1.insert(replicas);
                }
                std::future::ready(())
            },
        ));
        let watched = Self {
            seen,
            _tasks: tasks,
        };
        bed::wait::until("the watches to begin", crate::town::PATIENCE, async || {
            let seen = watched.seen.lock().unwrap().clone();
            let begun = !seen.0.is_empty() && !seen.1.is_empty();
            begun.then_some(()).ok_or(seen)
        })
        .await;
        watched
    }

    /// The uids of HPAs and the numbers of replicas that were seen.
    pub fn end(self) -> (BTreeSet<String>, BTreeSet<i32>) {
        self.seen.lock().unwrap().clone()
    }
}
