//! A bed with a real KEDA that leaves objects with the label of lagscale's alone, a lagscale that handles those and has taken the
//! APIService, and three workloads.

use std::{collections::BTreeMap, path::Path};

use bed::{Adapter, Bed, BedOptions, Keda, KedaOptions, Lagscale, wait};
use http::Request;
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use lagscale::resources::ScaledObject;
use serde_json::{Value, json};

use crate::{
    external::keda_asks_it_as_its_external_scaler,
    ground::{
        NAMESPACE, PATIENCE, has_a_metric, orders, rights, says, scaled_object, value_is, value_of,
        workload,
    },
    shadow::a_shadow_looks,
};

/// The namespace of the other lagscale's object.
pub const MARKET: &str = "market";
const OWNER: &str = "lagscale.io/owner";

pub struct Town {
    pub bed: Bed,
    pub keda: Keda,
    pub lagscale: Lagscale,
    /// The lagscale of two other namespaces, which the first one asks.
    pub another: Lagscale,
    /// Another server of external metrics, for metrics whose names begin with `queue_`.
    pub adapter: Adapter,
}

impl Town {
    /// KEDA handles everything and is asked by every HPA before lagscale comes.
    pub async fn start() -> Self {
        let bed = Bed::start(&BedOptions::default()).await;
        let keda = bed
            .keda(KedaOptions {
                label_selector: "!lagscale.io/owner",
                ..KedaOptions::default()
            })
            .await;
        for namespace in [NAMESPACE, MARKET, "harbour"] {
            bed.create_namespace(namespace).await;
        }
        let kafka = orders(&bed).await;
        let cron = json!({"type": "cron", "metadata": {
            "timezone": "UTC", "start": "0 0 * * *", "end": "59 23 * * *", "desiredReplicas": "2",
        }});
        for (name, trigger) in [("theirs", &kafka), ("ours", &kafka), ("clock", &cron)] {
            let mut object = scaled_object(name, trigger);
            if name == "theirs" {
                // More than there are partitions.
                object["spec"]["maxReplicaCount"] = 8.into();
            }
            bed.apply(&[workload(name), object]).await;
        }
        let mut stall = scaled_object("stall", &kafka);
        stall["metadata"]["labels"] = json!({OWNER: "another"});
        let mut objects = [workload("stall"), stall];
        for object in &mut objects {
            object["metadata"]["namespace"] = MARKET.into();
        }
        bed.apply(&objects).await;
        rights(&bed).await;
        a_shadow_looks(&bed, &keda).await;
        keda_asks_it_as_its_external_scaler(&bed).await;
        bed.allow_lease("another").await;
        let binary = Path::new(env!("CARGO_BIN_EXE_lagscale"));
        let args = [
            "--namespace=market,harbour",
            "--watch-label-selector=lagscale.io/owner=another",
            "--leader-election-id=another",
            "--pod-namespace=lagscale",
            "--service-name=another",
        ];
        let another = bed.another_lagscale(binary, &args, &BTreeMap::new());
        let adapter = bed.adapter("letters").await;
        let backends = json!([
            {
                "name": "another", "match": {"namespaces": [MARKET, "harbour"]},
                "service": {"namespace": "lagscale", "name": "another", "port": another.address.port()},
                "caBundle": bed.control_plane.serving_ca.pem,
            },
            {
                "name": "letters", "match": {"namePrefix": "queue_"},
                "service": {"namespace": "letters", "name": "letters", "port": adapter.address.port()},
                "caBundle": bed.control_plane.serving_ca.pem,
            },
        ]);
        bed.apply(&[deployment(&backends)]).await;
        let args = [
            "--take-apiservice",
            "--watch-label-selector=lagscale.io/owner=lagscale",
            "--service-addresses=keda-metrics-apiserver.keda=127.0.0.1,another.lagscale=127.0.0.1,letters.letters=127.0.0.1",
            &format!("--backends={backends}"),
        ];
        let lagscale = bed.registering_lagscale(binary, &args);
        Self {
            bed,
            keda,
            lagscale,
            another,
            adapter,
        }
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.bed.client(), NAMESPACE)
    }

    pub async fn kubectl(&self, args: &[&str]) -> String {
        let args = [args, &["-n", NAMESPACE]].concat();
        self.bed.control_plane.kubectl(&args).await.unwrap()
    }

    /// The object gets the label of lagscale's, or loses it.
    pub async fn own(&self, name: &str, ours: bool) {
        let label = ours.then_some("lagscale");
        let patch = Patch::Merge(json!({"metadata": {"labels": {OWNER: label}}}));
        let api: Api<ScaledObject> = self.api();
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Waits until lagscale has the object in its table, or has it no more.
    pub async fn is_handled(&self, name: &str, ours: bool) {
        let row = format!("ScaledObject/{name}");
        wait::until(
            &format!("{name} to be handled by lagscale: {ours}"),
            PATIENCE,
            async || {
                let rows = self.kubectl(&["get", "externalmetrics"]).await;
                (rows.contains(&row) == ours).then_some(()).ok_or(rows)
            },
        )
        .await;
    }

    pub async fn try_value(&self, path: &str) -> Result<String, String> {
        value_of(&self.bed, path).await
    }

    /// Waits until the metric has this value.
    pub async fn value(&self, path: &str, wanted: &str) {
        value_is(&self.bed, path, wanted).await;
    }

    /// Waits until the HPA of the object says that it has its metric.
    pub async fn scales(&self, name: &str) {
        self.scales_in(NAMESPACE, name).await;
    }

    pub async fn scales_in(&self, namespace: &str, name: &str) {
        has_a_metric(&self.bed, namespace, &format!("keda-hpa-{name}")).await;
    }

    /// Type and body of an answer that came through kube-apiserver.
    pub async fn through_kube(&self, path: &str, accept: &str) -> (String, Vec<u8>) {
        answer(&self.bed.client(), path, accept).await
    }

    /// Type and body of an answer of KEDA's metrics server itself.
    pub async fn at_keda(&self, path: &str, accept: &str) -> (String, Vec<u8>) {
        let config = Kubeconfig::read_from(self.bed.control_plane.kubeconfig()).unwrap();
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(config, &options);
        let mut config = config.await.unwrap();
        config.cluster_url = format!("https://{}", self.keda.address()).parse().unwrap();
        config.accept_invalid_certs = true;
        answer(&Client::try_from(config).unwrap(), path, accept).await
    }

    /// Waits until `lagscale explain --hpa` says this of the HPA of an object.
    pub async fn is_explained(&self, namespace: &str, name: &str, told: &str) {
        let hpa = format!("keda-hpa-{name}");
        let args = ["explain", "--hpa", "--namespace", namespace, &hpa];
        wait::until(told, PATIENCE, async || {
            let said = self.says(&args).await;
            (said == told).then_some(()).ok_or(said)
        })
        .await;
    }

    /// Waits until a line of `lagscale check` begins so.
    pub async fn is_checked(&self, line: &str) {
        wait::until(line, PATIENCE, async || {
            let said = self.says(&["check"]).await;
            let found = said.lines().any(|l| l.starts_with(line));
            found.then_some(()).ok_or(said)
        })
        .await;
    }

    async fn says(&self, args: &[&str]) -> String {
        says(&self.bed, args).await
    }
}

/// An answer without the moment at which it was asked for, which is in each.
async fn answer(client: &Client, path: &str, accept: &str) -> (String, Vec<u8>) {
    use http_body_util::BodyExt as _;
    let request = Request::get(path).header("accept", accept);
    let request = request.body(kube::client::Body::empty()).unwrap();
    let reply = client.send(request).await.unwrap();
    let (head, body) = reply.into_parts();
    assert_eq!(head.status, 200, "{path}");
    let kind = head.headers["content-type"].to_str().unwrap().to_owned();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    if kind == "application/json" {
        let mut list: Value = serde_json::from_slice(&body).unwrap();
        list["items"][0]["timestamp"] = Value::Null;
        return (kind, list.to_string().into_bytes());
    }
    // The value comes before the timestamp's digits, which are the only ones that differ in length and content.
    (kind, body.into_iter().take(100).collect())
}

/// The Deployment of lagscale, which runs nothing here: `check` reads in it whom lagscale asks.
fn deployment(backends: &Value) -> Value {
    let labels = json!({"app.kubernetes.io/name": "lagscale"});
    let setting = json!({"name": "LAGSCALE_BACKENDS", "value": backends.to_string()});
    let container = json!({"name": "lagscale", "image": "lagscale", "env": [setting]});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "lagscale", "namespace": "lagscale"},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    })
}
