//! A real KEDA on a bed, as its manifests install it: CRDs and roles, operator, metrics server, webhooks, APIService.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use lagscale::server::API_SERVICE;
use serde_json::{Value, json};

use crate::{
    bed::{Bed, base64},
    http,
    parts::{self, KedaParts, Release},
    process::{Child, free_port},
    wait,
};

const NAMESPACE: &str = "keda";
const METRICS_SERVER: &str = "keda-metrics-apiserver";
const WEBHOOKS: &str = "keda-admission-webhooks";
const PATIENCE: Duration = Duration::from_secs(120);

/// How a KEDA differs from the usual one.
#[derive(Clone, Copy, Debug)]
pub struct KedaOptions {
    /// The release.
    pub release: Release,
    /// `--kube-api-qps` of the operator, with half as much again as `--kube-api-burst`; its default is 20 and 30.
    pub kube_api_qps: Option<u32>,
    /// `WATCH_LABEL_SELECTOR` of the operator; everything where it is empty. KEDA before 2.21 does not know it.
    pub label_selector: &'static str,
    /// `WATCH_NAMESPACE` of all three, a list with commas; everything where it is empty.
    pub namespaces: &'static str,
    /// `--leader-elect` of the operator, as its manifests have it: it holds a Lease, for which a killed one's successor waits.
    pub leader_elect: bool,
}

impl Default for KedaOptions {
    fn default() -> Self {
        Self {
            release: parts::KEDA,
            kube_api_qps: None,
            label_selector: "",
            namespaces: "",
            leader_elect: false,
        }
    }
}

/// A running KEDA.
pub struct Keda {
    setup: Setup,
    /// Operator, metrics server and webhooks, in this order.
    pub processes: [Child; 3],
}

/// The command lines of KEDA's processes.
struct Setup {
    parts: KedaParts,
    options: KedaOptions,
    kubeconfig: PathBuf,
    /// Logs and certificates.
    dir: PathBuf,
    health: SocketAddr,
    metrics: SocketAddr,
    grpc: SocketAddr,
    metrics_server: SocketAddr,
    webhooks: SocketAddr,
}

impl Bed {
    /// Installs KEDA's CRDs, roles, Services, APIService and webhooks, starts its processes, and returns when it serves.
    pub async fn keda(&self, options: KedaOptions) -> Keda {
        let parts = parts::keda(options.release);
        self.create_namespace(NAMESPACE).await;
        let config = |path: &str| parts.config.join(path).display().to_string();
        for (flag, path) in [
            ("-k", "crd"),
            ("-f", "service_account/service_account.yaml"),
            ("-f", "rbac/role.yaml"),
            ("-f", "rbac/role_binding.yaml"),
            ("-f", "metrics-server/role.yaml"),
            ("-f", "metrics-server/role_binding.yaml"),
        ] {
            let path = config(path);
            self.must(&["apply", "--server-side", flag, &path]).await;
        }
        // New in 2.21.
        let aggregated = config("rbac/aggregate_cluster_roles.yaml");
        if Path::new(&aggregated).exists() {
            self.must(&["apply", "--server-side", "-f", &aggregated])
                .await;
        }
        self.must(&["wait", "--for=condition=Established", "crd", "--all"])
            .await;
        let dir = self.dir().join(NAMESPACE);
        fs::create_dir_all(dir.join("certs")).expect("a folder");
        self.keda_certificates(&dir.join("certs"));
        let [health, metrics, grpc, metrics_server, webhooks] =
            [(); 5].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let setup = Setup {
            parts,
            options,
            kubeconfig: self.control_plane.kubeconfig().to_owned(),
            dir,
            health,
            metrics,
            grpc,
            metrics_server,
            webhooks,
        };
        let service = (NAMESPACE, METRICS_SERVER);
        self.register(API_SERVICE, service, metrics_server.port())
            .await;
        self.keda_webhooks(&setup).await;
        self.keda_deployment(&options).await;
        let processes = setup.launch();
        let mut keda = Keda { setup, processes };
        keda.ready().await;
        self.available(API_SERVICE).await;
        keda
    }

    /// KEDA's processes know one another by one certificate, here of the bed's serving CA.
    fn keda_certificates(&self, dir: &Path) {
        let names = [METRICS_SERVER, WEBHOOKS].map(|name| format!("{name}.{NAMESPACE}.svc"));
        let names = [&names[0], &names[1], "localhost", "127.0.0.1"];
        let ca = &self.control_plane.serving_ca;
        ca.sign("keda", None, &names).write(dir, "tls");
        fs::write(dir.join("ca.crt"), &ca.pem).expect("a CA");
    }

    /// The Deployment of the operator, which runs nothing here: lagscale reads in it which objects are KEDA's.
    async fn keda_deployment(&self, options: &KedaOptions) {
        let labels = json!({"app": "keda-operator"});
        let selector = json!({"name": "WATCH_LABEL_SELECTOR", "value": options.label_selector});
        let namespaces = json!({"name": "WATCH_NAMESPACE", "value": options.namespaces});
        let container = json!({
            "name": "keda-operator", "image": format!("keda:{}", options.release.version), "env": [selector, namespaces],
            "args": options.leader_elect.then_some("--leader-elect").as_slice(),
        });
        self.apply(&[json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "keda-operator", "namespace": NAMESPACE},
            "spec": {
                "replicas": 0, "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        })])
        .await;
    }

    async fn keda_webhooks(&self, setup: &Setup) {
        let path = setup.parts.config.join("webhooks/validation_webhooks.yaml");
        let text = fs::read_to_string(path).expect("KEDA's webhooks");
        let mut object: Value = serde_saphyr::from_str(&text).expect("YAML");
        let ca = base64(&self.control_plane.serving_ca.pem);
        for webhook in object["webhooks"].as_array_mut().expect("webhooks") {
            webhook["clientConfig"]["caBundle"] = ca.as_str().into();
            webhook["clientConfig"]["service"]["port"] = setup.webhooks.port().into();
        }
        self.service(NAMESPACE, WEBHOOKS).await;
        self.apply(&[object]).await;
    }
}

impl Keda {
    /// HTTPS of the metrics server.
    pub fn address(&self) -> SocketAddr {
        self.setup.metrics_server
    }

    /// Where the operator is scraped.
    pub fn metrics(&self) -> SocketAddr {
        self.setup.metrics
    }

    /// Kills all three and starts them again.
    pub fn restart(&mut self) {
        for process in &mut self.processes {
            process.kill();
        }
        self.processes = self.setup.launch();
    }

    /// Starts the operator anew, with certificate rotation: it makes a CA, and writes it into the APIService and its webhooks again and again. Returns the
    /// CA.
    pub async fn rotate(&mut self, bed: &Bed) -> String {
        self.processes[0].terminate(PATIENCE);
        let rotating = ["--enable-cert-rotation=true".to_owned()];
        self.processes[0] = self.setup.operator(&rotating);
        // With its certificate made it ends, for the kubelet to start it again.
        let operator = &mut self.processes[0];
        wait::until("KEDA's certificate", PATIENCE, async || {
            operator.ended().ok_or("it runs")
        })
        .await;
        self.processes[0] = self.setup.operator(&rotating);
        self.ready().await;
        let secrets: Api<Secret> = Api::namespaced(bed.client(), NAMESPACE);
        let secret = secrets.get("kedaorg-certs").await.expect("KEDA's Secret");
        let ca = secret.data.and_then(|mut data| data.remove("ca.crt"));
        String::from_utf8(ca.expect("a CA").0).expect("PEM")
    }

    /// Starts the operator anew, without certificate rotation.
    pub async fn rotate_no_more(&mut self) {
        self.processes[0].terminate(PATIENCE);
        self.processes[0] = self.setup.operator(&[]);
        self.ready().await;
    }

    /// Ends it and takes away what the uninstall of its chart does, but for the CRDs, which the release was told to keep.
    pub async fn uninstall(&mut self, bed: &Bed) {
        for process in &mut self.processes {
            process.terminate(PATIENCE);
        }
        for object in [
            ["deployment", "keda-operator"],
            ["service", METRICS_SERVER],
            ["validatingwebhookconfiguration", "keda-admission"],
            ["apiservice", API_SERVICE],
        ] {
            let delete = [&["delete", "-n", NAMESPACE], &object[..]].concat();
            bed.must(&delete).await;
        }
    }

    /// Installs it anew where its CRDs stayed, and returns when it serves; it handles everything.
    pub async fn install_again(&mut self, bed: &Bed) {
        let setup = &mut self.setup;
        setup.options.label_selector = "";
        let port = setup.metrics_server.port();
        bed.register(API_SERVICE, (NAMESPACE, METRICS_SERVER), port)
            .await;
        bed.keda_webhooks(setup).await;
        bed.keda_deployment(&setup.options).await;
        self.processes = self.setup.launch();
        self.ready().await;
        bed.available(API_SERVICE).await;
    }

    /// Starts it anew with another `WATCH_NAMESPACE`, also in its Deployment.
    pub async fn watch(&mut self, bed: &Bed, namespaces: &'static str) {
        self.setup.options.namespaces = namespaces;
        bed.keda_deployment(&self.setup.options).await;
        for process in &mut self.processes {
            process.terminate(PATIENCE);
        }
        self.processes = self.setup.launch();
        self.ready().await;
        bed.available(API_SERVICE).await;
    }

    /// Waits until the operator says that it is ready.
    pub async fn ready(&mut self) {
        let health = self.setup.health.to_string();
        wait::until("KEDA to be ready", PATIENCE, async || {
            self.processes.iter_mut().for_each(Child::must_live);
            match http::get(&health, "/readyz").await {
                (200, _) => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
}

impl Setup {
    /// The operator, with these flags more.
    fn operator(&self, more: &[String]) -> Child {
        let mut operator = vec![
            format!("--cert-dir={}", self.dir.join("certs").display()),
            "--zap-log-level=info".into(),
            format!("--metrics-bind-address={}", self.metrics),
            format!("--health-probe-bind-address={}", self.health),
            format!("--metrics-service-bind-address={}", self.grpc),
        ];
        if let Some(qps) = self.options.kube_api_qps {
            operator.push(format!("--kube-api-qps={qps}"));
            operator.push(format!("--kube-api-burst={}", qps * 3 / 2));
        }
        if self.options.leader_elect {
            operator.push("--leader-elect".into());
        }
        operator.extend_from_slice(more);
        self.spawn("operator", &self.parts.operator, &operator)
    }

    fn launch(&self) -> [Child; 3] {
        let certs = self.dir.join("certs");
        let file = |name: &str| certs.join(name).display().to_string();
        let certs = format!("--cert-dir={}", certs.display());
        let kubeconfig = self.kubeconfig.display();
        let metrics_server = vec![
            certs.clone(),
            "--zap-log-level=error".into(),
            "--bind-address=127.0.0.1".into(),
            format!("--secure-port={}", self.metrics_server.port()),
            format!("--port={}", free_port()),
            format!("--metrics-service-address={}", self.grpc),
            format!("--lister-kubeconfig={kubeconfig}"),
            format!("--authentication-kubeconfig={kubeconfig}"),
            format!("--authorization-kubeconfig={kubeconfig}"),
            format!("--tls-cert-file={}", file("tls.crt")),
            format!("--tls-private-key-file={}", file("tls.key")),
        ];
        let webhooks = vec![
            certs,
            "--zap-log-level=error".into(),
            "--metrics-bind-address=0".into(),
            "--health-probe-bind-address=0".into(),
            format!("--port={}", self.webhooks.port()),
        ];
        let KedaParts {
            adapter,
            webhooks: webhooks_program,
            ..
        } = &self.parts;
        [
            self.operator(&[]),
            self.spawn("metrics-server", adapter, &metrics_server),
            self.spawn("webhooks", webhooks_program, &webhooks),
        ]
    }

    fn spawn(&self, name: &str, program: &Path, args: &[String]) -> Child {
        let mut command = Command::new(program);
        command
            .args(args)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("POD_NAMESPACE", NAMESPACE)
            .env("KEDA_CLUSTER_OBJECT_NAMESPACE", NAMESPACE)
            .env("WATCH_LABEL_SELECTOR", self.options.label_selector)
            .env("WATCH_NAMESPACE", self.options.namespaces);
        Child::spawn(name, &mut command, &self.dir.join(format!("{name}.log")))
    }
}
