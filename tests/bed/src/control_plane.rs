//! etcd, kube-apiserver and kube-controller-manager: a real control plane without nodes.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use kube::{Client, Config, config::Kubeconfig};
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use crate::{
    parts,
    pki::Ca,
    process::{Child, free_port},
    wait,
};

/// How a control plane differs from the usual one.
#[derive(Clone, Debug)]
pub struct ControlPlaneOptions {
    /// The HPA controller looks this often; the real default is 15 s.
    pub hpa_sync: Duration,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`; the real default is 5 minutes.
    pub stabilization: Duration,
    /// `--horizontal-pod-autoscaler-tolerance`.
    pub tolerance: Option<f64>,
    /// `Gate=true,Other=false`, for API server and controller manager.
    pub feature_gates: Option<String>,
}

impl Default for ControlPlaneOptions {
    fn default() -> Self {
        Self {
            hpa_sync: Duration::from_secs(2),
            stabilization: Duration::from_secs(10),
            tolerance: None,
            feature_gates: None,
        }
    }
}

/// A running control plane.
pub struct ControlPlane {
    client: Client,
    kubeconfig: PathBuf,
    kubectl: PathBuf,
    /// Where kube-apiserver listens.
    pub port: u16,
    /// Signs serving certificates of aggregated API servers.
    pub serving_ca: Ca,
    cluster_ca: Ca,
    // In the order they are to end: controllers first, the store last.
    _controller_manager: Child,
    apiserver: Child,
    _etcd: Child,
}

impl ControlPlane {
    /// Starts one in `dir` and returns when it answers.
    pub async fn start(dir: &Path, options: &ControlPlaneOptions) -> Self {
        let dir = dir.join("control-plane");
        fs::create_dir_all(&dir).expect("a folder");
        let found = parts::control_plane();
        let (etcd_port, peer_port, port, kcm_port) =
            (free_port(), free_port(), free_port(), free_port());
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let etcd = Child::spawn(
            "etcd",
            Command::new(&found.etcd).args([
                "--unsafe-no-fsync".into(),
                format!("--data-dir={}", dir.join("etcd").display()),
                format!("--listen-client-urls={etcd_url}"),
                format!("--advertise-client-urls={etcd_url}"),
                format!("--listen-peer-urls=http://127.0.0.1:{peer_port}"),
                format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer_port}"),
                format!("--initial-cluster=default=http://127.0.0.1:{peer_port}"),
            ]),
            &dir.join("etcd.log"),
        );
        let cluster_ca = write_pki(&dir);
        let server = format!("https://127.0.0.1:{port}");
        let kubeconfig = dir.join("admin.kubeconfig");
        for name in ["admin", "kcm", "lagscale"] {
            let path = dir.join(format!("{name}.kubeconfig"));
            write_kubeconfig(&path, &server, &cluster_ca, &dir, name);
        }
        let mut apiserver = Child::spawn(
            "kube-apiserver",
            &mut apiserver_command(&found.apiserver, &dir, &etcd_url, port, options),
            &dir.join("apiserver.log"),
        );
        let client = client(&kubeconfig).await;
        wait::until(
            "the API server to be ready",
            Duration::from_secs(90),
            async || {
                apiserver.must_live();
                let request = axum::http::Request::get("/readyz")
                    .body(Vec::new())
                    .expect("a request");
                client.request_text(request).await
            },
        )
        .await;
        let controller_manager = Child::spawn(
            "kube-controller-manager",
            &mut kcm_command(&found.controller_manager, &dir, kcm_port, options),
            &dir.join("controller-manager.log"),
        );
        Self {
            client,
            kubeconfig,
            port,
            kubectl: found.kubectl,
            serving_ca: Ca::new("serving"),
            cluster_ca,
            _controller_manager: controller_manager,
            apiserver,
            _etcd: etcd,
        }
    }

    /// An administrator's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// An administrator's client of an aggregated API server itself, past kube-apiserver.
    pub async fn client_of(&self, address: SocketAddr) -> Client {
        let mut config = config(&self.kubeconfig).await;
        let url = format!("https://localhost:{}", address.port());
        config.cluster_url = url.parse().expect("a URL");
        let pem = rustls::pki_types::CertificateDer::from_pem_slice(self.serving_ca.pem.as_bytes());
        config.root_cert = Some(vec![pem.expect("our CA").to_vec()]);
        Client::try_from(config).expect("a client")
    }

    /// An administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The kubeconfig of lagscale's ServiceAccount.
    pub fn lagscale_kubeconfig(&self) -> PathBuf {
        self.kubeconfig.with_file_name("lagscale.kubeconfig")
    }

    /// A certificate that the cluster's CA signs for a user, as PEM: certificate, then key.
    pub fn user(&self, name: &str) -> String {
        let identity = self.cluster_ca.sign(name, None, &[]);
        format!("{}{}", identity.cert, identity.key)
    }

    /// A kubeconfig with nothing but a token.
    pub(crate) fn write_token_kubeconfig(&self, path: &Path, token: &str) {
        let text = fs::read_to_string(&self.kubeconfig).expect("our kubeconfig");
        let mut config: serde_json::Value = serde_json::from_str(&text).expect("our kubeconfig");
        config["users"][0]["user"] = json!({ "token": token });
        fs::write(path, config.to_string()).expect("a kubeconfig");
    }

    /// The kubectl of the same version.
    pub fn kubectl_path(&self) -> &Path {
        &self.kubectl
    }

    /// The API server's log so far.
    pub fn apiserver_log(&self) -> String {
        self.apiserver.output()
    }

    /// Runs kubectl as administrator: standard output, or standard error if it failed.
    pub async fn kubectl(&self, args: &[&str]) -> Result<String, String> {
        let output = tokio::process::Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args)
            .output()
            .await
            .expect("kubectl runs");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}

fn write_pki(dir: &Path) -> Ca {
    let cluster = Ca::new("cluster");
    // Never the same authority: any client of the cluster could pass for the front proxy otherwise.
    let front_proxy = Ca::new("front-proxy");
    fs::write(dir.join("ca.crt"), &cluster.pem).expect("a file");
    fs::write(dir.join("front-proxy-ca.crt"), &front_proxy.pem).expect("a file");
    let names = ["localhost", "127.0.0.1", "kubernetes.default.svc"];
    cluster
        .sign("kube-apiserver", None, &names)
        .write(dir, "apiserver");
    cluster
        .sign("admin", Some("system:masters"), &[])
        .write(dir, "admin");
    cluster
        .sign("system:kube-controller-manager", None, &[])
        .write(dir, "kcm");
    // As its ServiceAccount, so that it runs with the rights that manifests/ gives it and no others.
    cluster
        .sign(
            "system:serviceaccount:lagscale:lagscale",
            Some("system:serviceaccounts"),
            &[],
        )
        .write(dir, "lagscale");
    front_proxy
        .sign("front-proxy-client", None, &[])
        .write(dir, "front-proxy");
    Ca::new("service-accounts")
        .sign("service-accounts", None, &[])
        .write(dir, "sa");
    cluster
}

fn write_kubeconfig(path: &Path, server: &str, ca: &Ca, dir: &Path, name: &str) {
    let file = |ending: &str| dir.join(format!("{name}.{ending}")).display().to_string();
    let ca_file = dir.join("ca.crt");
    fs::write(&ca_file, &ca.pem).expect("a file");
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bed",
        "clusters": [{"name": "bed", "cluster": {"server": server, "certificate-authority": ca_file}}],
        "users": [{"name": name, "user": {"client-certificate": file("crt"), "client-key": file("key")}}],
        "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": name}}],
    });
    fs::write(path, config.to_string()).expect("a kubeconfig");
}

/// A client that is told of every failure.
pub(crate) async fn client(kubeconfig: &Path) -> Client {
    Client::try_from(config(kubeconfig).await).expect("a client")
}

async fn config(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("our kubeconfig");
    let options = kube::config::KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options);
    let mut config = config.await.expect("our kubeconfig");
    // A test has to see a 503, not to wait through it.
    config.default_retry = false;
    config
}

fn apiserver_command(
    program: &Path,
    dir: &Path,
    etcd: &str,
    port: u16,
    options: &ControlPlaneOptions,
) -> Command {
    let file = |name: &str| dir.join(name).display().to_string();
    let mut command = Command::new(program);
    command.args([
        format!("--etcd-servers={etcd}"),
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        "--advertise-address=127.0.0.1".into(),
        "--endpoint-reconciler-type=none".into(),
        format!("--cert-dir={}", file("generated")),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        "--authorization-mode=RBAC".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        format!("--service-account-key-file={}", file("sa.crt")),
        "--service-cluster-ip-range=10.0.0.0/24".into(),
        format!(
            "--requestheader-client-ca-file={}",
            file("front-proxy-ca.crt")
        ),
        "--requestheader-allowed-names=front-proxy-client".into(),
        "--requestheader-username-headers=X-Remote-User".into(),
        "--requestheader-group-headers=X-Remote-Group".into(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".into(),
        "--requestheader-uid-headers=X-Remote-Uid".into(),
        format!("--proxy-client-cert-file={}", file("front-proxy.crt")),
        format!("--proxy-client-key-file={}", file("front-proxy.key")),
        // Many scenarios share it and wait for one another otherwise.
        "--max-requests-inflight=1600".into(),
        "--max-mutating-requests-inflight=800".into(),
    ]);
    if let Some(gates) = &options.feature_gates {
        command.arg(format!("--feature-gates={gates}"));
    }
    command
}

fn kcm_command(program: &Path, dir: &Path, port: u16, options: &ControlPlaneOptions) -> Command {
    let file = |name: &str| dir.join(name).display().to_string();
    let kubeconfig = file("kcm.kubeconfig");
    let mut command = Command::new(program);
    command.args([
        format!("--kubeconfig={kubeconfig}"),
        format!("--authentication-kubeconfig={kubeconfig}"),
        format!("--authorization-kubeconfig={kubeconfig}"),
        "--use-service-account-credentials=true".into(),
        format!("--service-account-private-key-file={}", file("sa.key")),
        format!("--root-ca-file={}", file("ca.crt")),
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", file("generated-kcm")),
        "--leader-elect=false".into(),
        "--controllers=horizontal-pod-autoscaler-controller,deployment-controller,replicaset-controller,serviceaccount-controller,namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller".into(),
        format!("--horizontal-pod-autoscaler-sync-period={}ms", options.hpa_sync.as_millis()),
        format!("--horizontal-pod-autoscaler-downscale-stabilization={}ms", options.stabilization.as_millis()),
        "--concurrent-horizontal-pod-autoscaler-syncs=20".into(),
        "--kube-api-qps=500".into(),
        "--kube-api-burst=1000".into(),
    ]);
    if let Some(tolerance) = options.tolerance {
        command.arg(format!("--horizontal-pod-autoscaler-tolerance={tolerance}"));
    }
    if let Some(gates) = &options.feature_gates {
        command.arg(format!("--feature-gates={gates}"));
    }
    command
}
