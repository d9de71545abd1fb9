//! A stand-in for a kubelet: every Pod's first container runs as a real process, is reported Running and Ready, and is
//! stopped with SIGTERM when the Pod is deleted. A container without a command is idle.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
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

use crate::{
    balancer::Backends,
    process::{Child, free_port},
};

/// Runs until it is dropped, and its processes with it.
pub struct Kubelet {
    task: JoinHandle<()>,
    image: Arc<Mutex<Option<Image>>>,
}

/// A stand-in for lagscale's image: its program, with what a container's network and mounts would give it.
#[derive(Clone)]
pub(crate) struct Image {
    pub program: PathBuf,
    pub kubeconfig: PathBuf,
    pub backends: Backends,
    /// Further arguments, in place of those of the same name.
    pub args: Vec<String>,
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
        let node = Node {
            client,
            logs: logs.to_owned(),
            image: Arc::default(),
        };
        Self {
            image: node.image.clone(),
            task: tokio::spawn(run(node)),
        }
    }

    /// From now on containers of lagscale's image run this.
    pub(crate) fn load(&self, image: Image) {
        *self.image.lock().expect("not poisoned") = Some(image);
    }
}

#[derive(Clone)]
struct Node {
    client: Client,
    logs: PathBuf,
    image: Arc<Mutex<Option<Image>>>,
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

async fn run(node: Node) {
    let pods: Api<Pod> = Api::all(node.client.clone());
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
                        remove(&node.client, &pod).await;
                    }
                } else if let Entry::Vacant(place) = running.entry(uid) {
                    let (stop, stopped) = watch::channel(false);
                    let log = node.logs.join(format!(
                        "{}_{}.log",
                        pod.namespace().unwrap_or_default(),
                        pod.name_any()
                    ));
                    let task = tokio::spawn(live(node.clone(), pod, log, stopped));
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
async fn live(node: Node, pod: Pod, log: PathBuf, mut stop: watch::Receiver<bool>) {
    let client = node.client.clone();
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
    let mut served = None;
    let mut command = match node.of_lagscale(&pod).await {
        Some((command, image, address)) => {
            served = Some((image, address));
            Some(command)
        }
        None => command(&client, &pod).await,
    };
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
    if let Some((image, address)) = served {
        image.backends.remove(address);
    }
    remove(&client, &pod).await;
}

impl Node {
    /// A container of lagscale's image, on ports of its own behind the balancer.
    async fn of_lagscale(&self, pod: &Pod) -> Option<(Command, Image, SocketAddr)> {
        let container = pod.spec.as_ref()?.containers.first()?;
        let name = container.image.as_deref().unwrap_or_default();
        let image = self.image.lock().expect("not poisoned").clone();
        let image = image.filter(|_| name.starts_with("lagscale:"))?;
        let [address, plain] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let mut own = image.args.clone();
        own.push(format!("--listen={address}"));
        own.push(format!("--metrics-listen={plain}"));
        let flag = |arg: &str| arg.split('=').next().unwrap_or_default().to_owned();
        let replaced: Vec<String> = own.iter().map(|arg| flag(arg)).collect();
        let theirs = container.args.iter().flatten();
        let theirs = theirs.filter(|arg| !replaced.contains(&flag(arg)));
        let mut command = Command::new(&image.program);
        command.args(theirs).args(&own).env_clear();
        for variable in container.env.iter().flatten() {
            if let Some(value) = value_of(&self.client, pod, variable).await {
                command.env(&variable.name, value);
            }
        }
        command.env("KUBECONFIG", &image.kubeconfig);
        image.backends.add(address, plain);
        Some((command, image, address))
    }
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
    if let Some(field) = &from.field_ref {
        return match field.field_path.as_str() {
            "metadata.name" => pod.metadata.name.clone(),
            "metadata.namespace" => pod.namespace(),
            _ => None,
        };
    }
    let reference = from.secret_key_ref.as_ref()?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &pod.namespace()?);
    let secret = secrets.get(&reference.name).await.ok()?;
    let value = secret.data?.remove(&reference.key)?;
    String::from_utf8(value.0).ok()
}
