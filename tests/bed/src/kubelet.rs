//! A stand-in for a kubelet: every Pod's first container runs as a real process, is reported Running and Ready, and is
//! stopped with SIGTERM when the Pod is deleted. A container without a command is idle.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{EnvVar, Pod, Secret};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;
use tokio::{sync::watch, task::JoinHandle};

use crate::process::Child;

/// Runs until it is dropped, and its processes with it.
pub struct Kubelet {
    task: JoinHandle<()>,
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Kubelet {
    /// Begins to watch all Pods; a Pod writes to `logs/<namespace>_<name>.log`.
    pub fn start(client: Client, logs: &Path) -> Self {
        std::fs::create_dir_all(logs).expect("a folder");
        let logs = logs.to_owned();
        Self {
            task: tokio::spawn(run(client, logs)),
        }
    }
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // A Pod that is gone without notice still gets its signal from the task.
        let _ = self.stop.send(true);
        if self.task.is_finished() {
            self.task.abort();
        }
    }
}

async fn run(client: Client, logs: PathBuf) {
    let pods: Api<Pod> = Api::all(client.clone());
    let mut running: HashMap<String, Running> = HashMap::new();
    let mut events = watcher(pods, watcher::Config::default())
        .default_backoff()
        .boxed();
    while let Ok(event) = events.try_next().await {
        match event {
            Some(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                let uid = pod.uid().unwrap_or_default();
                if pod.metadata.deletion_timestamp.is_some() {
                    if let Some(running) = running.get(&uid) {
                        let _ = running.stop.send(true);
                    } else {
                        remove(&client, &pod).await;
                    }
                } else if let Entry::Vacant(place) = running.entry(uid) {
                    let (stop, stopped) = watch::channel(false);
                    let log = logs.join(format!(
                        "{}_{}.log",
                        pod.namespace().unwrap_or_default(),
                        pod.name_any()
                    ));
                    let task = tokio::spawn(live(client.clone(), pod, log, stopped));
                    place.insert(Running { stop, task });
                }
            }
            Some(watcher::Event::Delete(pod)) => {
                running.remove(&pod.uid().unwrap_or_default());
            }
            Some(_) => {}
            None => return,
        }
    }
}

/// One Pod from its binding to its end.
async fn live(client: Client, pod: Pod, log: PathBuf, mut stop: watch::Receiver<bool>) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let name = pod.name_any();
    // A Pod on a node is deleted with grace; one without is gone at once.
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "bed"},
    });
    let _: Result<serde_json::Value, _> = pods
        .create_subresource("binding", &name, &PostParams::default(), &binding)
        .await;
    let mut command = command(&client, &pod).await;
    let mut child = command.as_mut().map(|c| Child::spawn(&name, c, &log));
    let now = jiff::Timestamp::now();
    let now = jiff::Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string();
    let container = pod
        .spec
        .as_ref()
        .and_then(|s| s.containers.first())
        .map_or("", |c| c.name.as_str());
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let status = json!({"status": {
        "phase": "Running", "startTime": now, "podIP": "127.0.0.1",
        "conditions": [condition("Initialized"), condition("Ready"), condition("ContainersReady"), condition("PodScheduled")],
        "containerStatuses": [{"name": container, "ready": true, "started": true, "restartCount": 0, "image": "bed", "imageID": "bed", "state": {"running": {"startedAt": now}}}],
    }});
    let _ = pods
        .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
        .await;
    loop {
        tokio::select! {
            _ = stop.wait_for(|s| *s) => break,
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                // restartPolicy: Always.
                if let (Some(child), Some(command)) = (&mut child, &mut command)
                    && child.ended().is_some()
                {
                    *child = Child::spawn(&name, command, &log);
                }
            }
        }
    }
    if let Some(mut child) = child {
        let grace = pod
            .spec
            .as_ref()
            .and_then(|s| s.termination_grace_period_seconds);
        let grace = Duration::from_secs(u64::try_from(grace.unwrap_or(30)).unwrap_or(30));
        let _ = tokio::task::spawn_blocking(move || child.terminate(grace)).await;
    }
    remove(&client, &pod).await;
}

async fn remove(client: &Client, pod: &Pod) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
    let params = DeleteParams::default().grace_period(0);
    let _ = pods.delete(&pod.name_any(), &params).await;
}

async fn command(client: &Client, pod: &Pod) -> Option<Command> {
    let container = pod.spec.as_ref()?.containers.first()?;
    let words: Vec<&String> = [&container.command, &container.args]
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments);
    for variable in container.env.iter().flatten() {
        if let Some(value) = value_of(client, pod, variable).await {
            command.env(&variable.name, value);
        }
    }
    Some(command)
}

async fn value_of(client: &Client, pod: &Pod, variable: &EnvVar) -> Option<String> {
    let Some(from) = &variable.value_from else {
        return variable.value.clone();
    };
    let reference = from.secret_key_ref.as_ref()?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &pod.namespace()?);
    let secret = secrets.get(&reference.name).await.ok()?;
    let value = secret.data?.remove(&reference.key)?;
    String::from_utf8(value.0).ok()
}
