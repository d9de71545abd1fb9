//! A watch on every HPA and workload of a namespace: each uid and each number of replicas that there was meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use bed::Bed;
use futures::StreamExt;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::task::JoinSet;

/// The uids of HPAs and the numbers of replicas of workloads, by name.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub hpas: BTreeMap<String, BTreeSet<String>>,
    pub replicas: BTreeMap<String, BTreeSet<i32>>,
}

pub struct Watched {
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

impl Watched {
    /// Begins to watch, and returns once it has seen both.
    pub async fn begin(bed: &Bed, namespace: &str) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let mut tasks = JoinSet::new();
        let config = watcher::Config::default;
        let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(bed.client(), namespace);
        let workloads: Api<Deployment> = Api::namespaced(bed.client(), namespace);
        let (to, hpas) = (seen.clone(), watcher(hpas, config()));
        tasks.spawn(hpas.default_backoff().touched_objects().for_each(
            move |hpa: watcher::Result<HorizontalPodAutoscaler>| {
                if let Ok(hpa) = hpa {
                    let mut seen = to.lock().unwrap();
                    let uids = seen.hpas.entry(hpa.name_any()).or_default();
                    uids.insert(hpa.uid().unwrap());
                }
                std::future::ready(())
            },
        ));
        let (to, workloads) = (seen.clone(), watcher(workloads, config()));
        tasks.spawn(workloads.default_backoff().touched_objects().for_each(
            move |workload: watcher::Result<Deployment>| {
                let replicas = workload.ok().and_then(|w| {
                    let replicas = w.spec.as_ref()?.replicas?;
                    Some((w.name_any(), replicas))
                });
                if let Some((name, replicas)) = replicas {
                    let mut seen = to.lock().unwrap();
                    seen.replicas.entry(name).or_default().insert(replicas);
                }
                std::future::ready(())
            },
        ));
        let watched = Self {
            seen,
            _tasks: tasks,
        };
        bed::wait::until(
            "the watches to begin",
            crate::ground::PATIENCE,
            async || {
                let seen = watched.seen();
                let begun = !seen.hpas.is_empty() && !seen.replicas.is_empty();
                begun.then_some(()).ok_or(seen)
            },
        )
        .await;
        watched
    }

    /// Everything that was seen so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}
