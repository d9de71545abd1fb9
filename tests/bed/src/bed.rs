//! The whole bed: one control plane, one Kafka, and the stand-ins that make them usable, in one temporary folder.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    discovery::ApiResource,
};
use serde_json::{Value, json};

use crate::{
    balancer::Balancer,
    control_plane::{ControlPlane, ControlPlaneOptions},
    http,
    kafka::{Kafka, KafkaOptions},
    kubelet::{Image, Kubelet},
    pod_metrics::PodMetrics,
    process::{Child, free_port},
    wait,
};

/// How a bed differs from the usual one.
#[derive(Clone, Debug, Default)]
pub struct BedOptions {
    /// Options of the control plane.
    pub control_plane: ControlPlaneOptions,
    /// Options of Kafka.
    pub kafka: KafkaOptions,
}

/// Everything, running. Fields end in the order they are written.
pub struct Bed {
    kubelet: Kubelet,
    /// cpu for tests.
    pub pod_metrics: PodMetrics,
    /// In front of lagscale's replicas.
    pub balancer: Balancer,
    /// Kubernetes.
    pub control_plane: ControlPlane,
    /// Kafka.
    pub kafka: Kafka,
    folder: Folder,
}

/// Removed at the end, unless something failed.
struct Folder(Option<tempfile::TempDir>);

impl Folder {
    fn path(&self) -> &Path {
        self.0
            .as_ref()
            .map(tempfile::TempDir::path)
            .expect("a folder until the end")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.0.take()
        {
            eprintln!("bed: logs are kept in {}", folder.keep().display());
        }
    }
}

/// One process of lagscale.
pub struct Lagscale {
    /// The process.
    pub child: Child,
    /// HTTPS.
    pub address: SocketAddr,
    /// Plain `/metrics` and health.
    pub plain: SocketAddr,
}

impl Bed {
    /// Starts all parts side by side.
    pub async fn start(options: &BedOptions) -> Self {
        let folder = Folder(Some(
            tempfile::Builder::new()
                .prefix("lagscale-bed-")
                .tempdir()
                .expect("a folder"),
        ));
        let dir = folder.path();
        let (control_plane, kafka) = tokio::join!(
            ControlPlane::start(dir, &options.control_plane),
            Kafka::start(dir, "kafka", &options.kafka)
        );
        let kubelet = Kubelet::start(control_plane.client(), &dir.join("pods"));
        let pod_metrics = PodMetrics::start(&control_plane).await;
        let balancer = Balancer::start().await;
        let bed = Self {
            kubelet,
            pod_metrics,
            balancer,
            control_plane,
            kafka,
            folder,
        };
        bed.create_namespace("lagscale").await;
        let port = bed.pod_metrics.port();
        // An uninstall takes the namespace.
        bed.create_namespace("parts").await;
        bed.register("v1beta1.metrics.k8s.io", ("parts", "metrics"), port)
            .await;
        bed
    }

    /// The folder with everybody's logs.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// Where the pods of the stand-in kubelet write: `<namespace>_<name>.log`.
    pub fn pod_logs(&self) -> PathBuf {
        self.dir().join("pods")
    }

    /// Keeps the folder when the bed ends, and says where it is.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.0.take().expect("a folder until the end").keep()
    }

    /// An administrator's client.
    pub fn client(&self) -> Client {
        self.control_plane.client()
    }

    /// A namespace of its own for one scenario, ready for pods.
    pub async fn namespace(&self, prefix: &str) -> String {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.create_namespace(&name).await;
        name
    }

    /// Makes a namespace and waits for its service account, without which no pod is made.
    pub async fn create_namespace(&self, name: &str) {
        let namespaces: Api<Namespace> = Api::all(self.client());
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"name": name}})).expect("a namespace");
        wait::until(
            "a namespace to be made",
            Duration::from_secs(60),
            async || match namespaces.create(&PostParams::default(), &namespace).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                result => result.map(drop).map_err(|e| e.to_string()),
            },
        )
        .await;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), name);
        wait::until(
            "the default service account",
            Duration::from_secs(60),
            async || accounts.get("default").await,
        )
        .await;
    }

    /// Applies objects as an administrator would with `kubectl apply --server-side`.
    pub async fn apply(&self, objects: &[Value]) {
        for object in objects {
            let object: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
            let types = object.types.clone().expect("kind and apiVersion");
            let (group, version) = types
                .api_version
                .rsplit_once('/')
                .unwrap_or(("", &types.api_version));
            let gvk = kube::core::GroupVersionKind::gvk(group, version, &types.kind);
            let resource = ApiResource::from_gvk(&gvk);
            let name = object.metadata.name.clone().expect("a name");
            let api: Api<DynamicObject> = match &object.metadata.namespace {
                Some(namespace) => Api::namespaced_with(self.client(), namespace, &resource),
                None => Api::all_with(self.client(), &resource),
            };
            let params = PatchParams::apply("bed").force();
            wait::until(
                &format!("{} {name} to be taken", types.kind),
                Duration::from_secs(30),
                async || {
                    api.patch(&name, &params, &Patch::Apply(&object))
                        .await
                        .map_err(|e| e.to_string())
                },
            )
            .await;
        }
    }

    /// A Service, by namespace and name, that leads to this machine, and an APIService that reaches `port` through it.
    pub async fn register(&self, api_service: &str, (namespace, service): (&str, &str), port: u16) {
        let (version, group) = api_service.split_once('.').expect("version.group");
        let ca = base64(&self.control_plane.serving_ca.pem);
        self.service(namespace, service).await;
        self.apply(&[
            json!({
                "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": api_service},
                "spec": {
                    "group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 100,
                    "service": {"name": service, "namespace": namespace, "port": port}, "caBundle": ca,
                },
            }),
        ])
        .await;
    }

    /// A Service that leads to this machine.
    pub async fn service(&self, namespace: &str, name: &str) {
        self.apply(&[json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        })])
        .await;
    }

    /// A kubeconfig with a token of lagscale's ServiceAccount in `namespace` and nothing else.
    pub async fn token_kubeconfig(&self, namespace: &str, path: &Path) {
        let create = [
            "create",
            "token",
            "lagscale",
            "-n",
            namespace,
            "--duration=1h",
        ];
        let token = wait::until("a token", Duration::from_secs(30), async || {
            self.control_plane.kubectl(&create).await
        })
        .await;
        self.control_plane
            .write_token_kubeconfig(path, token.trim());
    }

    /// From now on the stand-in kubelet runs `program` for lagscale's image, with this kubeconfig, behind the balancer.
    pub fn load_image(&self, program: &Path, kubeconfig: &Path, args: &[&str]) {
        let port = self.balancer.address().port();
        let mut args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        args.push(format!("--service-port={port}"));
        self.kubelet.load(Image {
            program: program.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            backends: self.balancer.backends(),
            args,
        });
    }

    /// Starts one process of lagscale behind the balancer, with a certificate of the bed's; `args` come after the bed's own.
    pub fn lagscale(
        &self,
        binary: &Path,
        args: &[&str],
        env: &BTreeMap<String, String>,
    ) -> Lagscale {
        let lagscale = self.another_lagscale(binary, args, env);
        self.balancer.add(lagscale.address, lagscale.plain);
        lagscale
    }

    /// Starts one process of lagscale that nobody but who knows its address asks, as `another.lagscale.svc`.
    pub fn another_lagscale(
        &self,
        binary: &Path,
        args: &[&str],
        env: &BTreeMap<String, String>,
    ) -> Lagscale {
        let dir = self.dir();
        let names = [
            "lagscale",
            "lagscale.lagscale",
            "lagscale.lagscale.svc",
            "lagscale.lagscale.svc.cluster.local",
            "localhost",
            "another.lagscale.svc",
        ];
        if !dir.join("serving.crt").exists() {
            self.control_plane
                .serving_ca
                .sign("lagscale", None, &names)
                .write(dir, "serving");
        }
        let file = |name: &str| dir.join(name).display().to_string();
        let files = [
            format!("--tls-cert-file={}", file("serving.crt")),
            format!("--tls-private-key-file={}", file("serving.key")),
        ];
        let args: Vec<&str> = files
            .iter()
            .map(String::as_str)
            .chain(args.iter().copied())
            .collect();
        self.process(binary, &args, env)
    }

    /// Starts one process of lagscale behind the balancer that makes its own certificate, and leads the APIService there.
    pub fn registering_lagscale(&self, binary: &Path, args: &[&str]) -> Lagscale {
        let port = format!("--service-port={}", self.balancer.address().port());
        let args = [args, &[port.as_str(), "--pod-namespace=lagscale"]].concat();
        let lagscale = self.process(binary, &args, &BTreeMap::new());
        self.balancer.add(lagscale.address, lagscale.plain);
        lagscale
    }

    fn process(&self, binary: &Path, args: &[&str], env: &BTreeMap<String, String>) -> Lagscale {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("lagscale-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = self.dir();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let plain = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(binary);
        command
            .arg(format!("--listen={address}"))
            .arg(format!("--metrics-listen={plain}"))
            .args(args)
            .env("KUBECONFIG", self.control_plane.lagscale_kubeconfig())
            .envs(env);
        if !args.iter().any(|a| a.starts_with("--shutdown-delay=")) {
            // Nobody but the balancer leads here, and it knows at once.
            command.arg("--shutdown-delay=0s");
        }
        let child = Child::spawn(&name, &mut command, &dir.join(format!("{name}.log")));
        Lagscale {
            child,
            address,
            plain,
        }
    }

    /// Waits until the APIService is available, as the API server sees it.
    pub async fn available(&self, api_service: &str) {
        wait::until(
            "the APIService to be available",
            Duration::from_secs(120),
            async || self.availability(api_service).await,
        )
        .await;
    }

    /// `Ok` if the APIService is available, else the condition's message.
    pub async fn availability(&self, api_service: &str) -> Result<(), String> {
        let gvk = kube::core::GroupVersionKind::gvk("apiregistration.k8s.io", "v1", "APIService");
        let api: Api<DynamicObject> = Api::all_with(self.client(), &ApiResource::from_gvk(&gvk));
        let found = api.get(api_service).await.map_err(|e| e.to_string())?;
        let condition = &found.data["status"]["conditions"][0];
        if condition["status"] == "True" {
            Ok(())
        } else {
            Err(condition.to_string())
        }
    }
}

impl Lagscale {
    /// Waits until its plain `/readyz` answers 200.
    pub async fn ready(&mut self) {
        let (plain, child) = (self.plain, &mut self.child);
        wait::until(
            "lagscale to be ready",
            Duration::from_secs(60),
            async || {
                child.must_live();
                match http::get(&plain.to_string(), "/readyz").await {
                    (200, _) => Ok(()),
                    other => Err(other),
                }
            },
        )
        .await;
    }
}

pub(crate) fn base64(text: &str) -> String {
    let value = k8s_openapi::ByteString(text.as_bytes().to_vec());
    serde_json::to_value(value)
        .ok()
        .and_then(|v| v.as_str().map(Into::into))
        .unwrap_or_default()
}
