//! A server of ours in this process, on a free port, with certificates of its own and a fake cluster behind it.

mod backend;
mod caller;
mod cluster;
mod load;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use bed::{Ca, Identity};
use jiff::Timestamp;
use kube::runtime::{reflector, watcher::Event};
use lagscale::{
    controller::{Questions, Scope},
    delegation::{Delegation, Rules, backends},
    pulse::Pulse,
    resources::ScaledObject,
    scaling::table::{Entry, Outcome, Owner, Table},
    server::{Limits, Parts, Server, Source, webhooks::Neighbours},
    telemetry::Exposition,
};
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

pub use backend::{Backend, Given, given};
pub use caller::{Answer, Caller, MASTERS, config, from_another, tls, tls_over, user};
pub use cluster::{Cluster, Reply, published};
pub use load::Load;

/// The name that the serving certificate is for.
pub const NAME: &str = "lagscale.lagscale.svc";
/// When the values of [`Rig::value`] were read.
pub const READ: &str = "2025-06-15T15:06:40Z";
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Everything a test needs; ends with it.
pub struct Rig {
    pub address: SocketAddr,
    pub table: Arc<Table>,
    pub cluster: Cluster,
    pub registry: Registry,
    /// The backends.
    pub delegation: Arc<Delegation>,
    /// Fills the store of the ScaledObjects that are handled here.
    objects: Mutex<reflector::store::Writer<ScaledObject>>,
    /// Never beaten, unless by a test.
    pub pulse: Pulse,
    /// The secret part of the webhooks' paths, which kube-apiserver alone is told.
    pub path: watch::Sender<Option<Arc<str>>>,
    /// Whether the first polls are over.
    pub polled: watch::Sender<bool>,
    /// Whether the process was told to end.
    pub stop: watch::Sender<bool>,
    /// Whether serving ends.
    pub end: watch::Sender<bool>,
    /// Signs the serving certificate.
    pub serving: Ca,
    /// Signs the front proxy's.
    pub proxies: Ca,
    /// Signs those of users.
    pub clients: Ca,
    /// Where `tls.crt` and `tls.key` are.
    pub folder: tempfile::TempDir,
    pub served: JoinHandle<()>,
}

/// The difference of a rig from others.
#[derive(Default)]
struct Setting<'a> {
    limits: Limits,
    others: &'a [Value],
    shadow: bool,
}

impl Rig {
    /// A server that is ready, which trusts [`Rig::proxies`] with the common name `front-proxy-client`.
    pub async fn start() -> Self {
        let (proxies, clients) = (Ca::new("proxies"), Ca::new("clients"));
        let data = published(&proxies, &clients);
        let setting = Setting::default();
        Self::begun(proxies, clients, Some(data), setting).await
    }

    /// A server that answers no HPA.
    pub async fn shadow() -> Self {
        let (proxies, clients) = (Ca::new("proxies"), Ca::new("clients"));
        let data = published(&proxies, &clients);
        let setting = Setting {
            shadow: true,
            ..Setting::default()
        };
        Self::begun(proxies, clients, Some(data), setting).await
    }

    /// A server with these backends, all of them on this machine.
    pub async fn delegating(backends: &[Value]) -> Self {
        let (proxies, clients) = (Ca::new("proxies"), Ca::new("clients"));
        let data = published(&proxies, &clients);
        let setting = Setting {
            others: backends,
            ..Setting::default()
        };
        Self::begun(proxies, clients, Some(data), setting).await
    }

    /// A rig with other limits.
    pub async fn limited(limits: Limits) -> Self {
        let (proxies, clients) = (Ca::new("proxies"), Ca::new("clients"));
        let data = published(&proxies, &clients);
        let setting = Setting {
            limits,
            ..Setting::default()
        };
        Self::begun(proxies, clients, Some(data), setting).await
    }

    /// A server of a cluster that publishes this, ready or not.
    pub async fn start_with(data: Option<BTreeMap<String, String>>) -> Self {
        let setting = Setting::default();
        Self::begun(Ca::new("proxies"), Ca::new("clients"), data, setting).await
    }

    async fn begun(
        proxies: Ca,
        clients: Ca,
        data: Option<BTreeMap<String, String>>,
        setting: Setting<'_>,
    ) -> Self {
        let Setting {
            limits,
            others,
            shadow,
        } = setting;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let serving = Ca::new("serving");
        let is_published = data.is_some();
        let cluster = Cluster::start(data).await;
        let folder = tempfile::tempdir().unwrap();
        serving
            .sign(NAME, None, &[NAME])
            .write(folder.path(), "tls");
        let table = Arc::new(Table::default());
        let registry = Registry::new();
        let pulse = Pulse::default();
        let (path, secret_path) = watch::channel(None);
        let (polled, polled_seen) = watch::channel(true);
        let (stop, stopping) = watch::channel(false);
        let (end, ending) = watch::channel(false);
        let (store, mut objects) = reflector::store();
        objects.apply_watcher_event(&Event::Init);
        objects.apply_watcher_event(&Event::InitDone);
        let service = |b: &Value| format!("{}.others", b["service"]["name"].as_str().unwrap());
        let here = others
            .iter()
            .map(|b| (service(b), Ipv4Addr::LOCALHOST.into()));
        let rules = Rules {
            namespace: "lagscale".into(),
            service: "lagscale".into(),
            account: "lagscale-delegate".into(),
            backends: backends(&json!(others).to_string()).unwrap(),
            addresses: here.collect(),
        };
        let delegation = Delegation::new(cluster.client(), rules, &registry).unwrap();
        let parts = Parts {
            table: table.clone(),
            client: cluster.client(),
            neighbours: Neighbours {
                objects: store,
                hpas: reflector::store().0,
                scope: Scope::default(),
                warns_of_unmatched: true,
            },
            secret_path,
            shadow,
            questions: Questions::unanswered(),
            delegation: delegation.clone(),
            pulse: pulse.clone(),
            longest_turn: Duration::from_secs(10),
            polled: polled_seen,
            stopping,
            ending,
            limits,
        };
        let server = bind(folder.path(), parts, &registry).await;
        let address = server.local_addr().unwrap();
        let mut trust = server.readiness().trust;
        let task = tokio::spawn(server.serve());
        if is_published {
            let known = trust.wait_for(|known| *known);
            tokio::time::timeout(PATIENCE, known)
                .await
                .unwrap()
                .unwrap();
        }
        Self {
            address,
            table,
            cluster,
            registry,
            delegation,
            objects: Mutex::new(objects),
            pulse,
            path,
            polled,
            stop,
            end,
            serving,
            proxies,
            clients,
            folder,
            served: task,
        }
    }

    /// A connection with the front proxy's certificate.
    pub async fn front_proxy(&self) -> Caller {
        let identity = self.proxies.sign("front-proxy-client", None, &[]);
        self.caller(Some(&identity)).await
    }

    /// A connection with this certificate, or none.
    pub async fn caller(&self, identity: Option<&Identity>) -> Caller {
        Caller::connect(self.address, &self.serving.pem, identity).await
    }

    /// A ScaledObject's metric has this value, in thousandths, read at [`READ`].
    pub fn value(&self, namespace: &str, metric: &str, object: &str, milli: i64) {
        let at: Timestamp = READ.parse().unwrap();
        self.serve(
            namespace,
            metric,
            Owner::ScaledObject(object.into()),
            Outcome::Value { milli, at },
        );
    }

    /// A ScaledObject of this name is handled here.
    pub fn handles(&self, namespace: &str, name: &str) {
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"scaleTargetRef": {"name": name}, "triggers": []},
        });
        let event = Event::Apply(serde_json::from_value(object).unwrap());
        self.objects.lock().unwrap().apply_watcher_event(&event);
    }

    /// The table has this item.
    pub fn serve(&self, namespace: &str, metric: &str, owner: Owner, outcome: Outcome) {
        let entry = Entry {
            metric: metric.into(),
            owner,
            outcome,
        };
        let object = match &entry.owner {
            Owner::ScaledObject(name) => Some(&**name),
            Owner::Topic(_) => None,
        };
        let known = self.table.find(namespace, metric, object);
        // All that an object serves under a name is replaced.
        let before = known.entries();
        let others = before.iter().filter(|e| e.owner != entry.owner).cloned();
        let mut after: Vec<Entry> = others.collect();
        after.push(entry);
        self.table.replace(namespace, before, &after);
    }
}

async fn bind(folder: &Path, parts: Parts, registry: &Registry) -> Server {
    let source = Source::Files {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let exposition = Exposition::new(registry.clone());
    Server::bind(any, source, parts, exposition).await.unwrap()
}
