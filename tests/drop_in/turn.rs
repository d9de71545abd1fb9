//! One side's turn: the objects are applied, and what became of them is read.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use bed::{Bed, Keda, KedaOptions, Lagscale, wait};
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{Api, api::ListParams};
use lagscale::resources::ScaledObject;
use serde_json::{Value, json};

use crate::{
    case::{Case, Cases, KAFKA},
    difference::{Fields, Told},
};

pub const NAMESPACE: &str = "forty";
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const PARTITIONS: i32 = 5;
const RECORDS: usize = 10;
/// How long nothing may change before it counts as settled: KEDA's loops go by 2 s, the bed's HPAs by 2 s, and a resync by 15 s.
const QUIET: Duration = Duration::from_secs(30);
pub const PATIENCE: Duration = Duration::from_secs(240);

pub enum Side {
    Keda(Box<Keda>),
    Lagscale(Lagscale),
}

impl Side {
    pub async fn keda(bed: &Bed) -> Self {
        Self::Keda(Box::new(bed.keda(KedaOptions::default()).await))
    }

    pub async fn lagscale(bed: &Bed) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let binary = Path::new(env!("CARGO_BIN_EXE_lagscale"));
        let start = |bed: &Bed| bed.lagscale(binary, &["--metrics-names=keda"], &BTreeMap::new());
        Self::Lagscale(bed.installed(&root.join("manifests"), start).await)
    }

    fn must_live(&mut self) {
        match self {
            Self::Keda(keda) => keda.processes.iter_mut().for_each(bed::Child::must_live),
            Self::Lagscale(lagscale) => lagscale.child.must_live(),
        }
    }
}

/// A turn that is being played.
pub struct Turn<'a> {
    bed: &'a Bed,
    side: Side,
    bootstrap: String,
    /// The words that kubectl said at each apply.
    applied: Fields,
}

impl<'a> Turn<'a> {
    /// Makes topic, groups and workloads, and applies the objects.
    pub async fn play(bed: &'a Bed, side: Side, cases: &Cases) -> Self {
        let bootstrap = bed.kafka.plaintext_bootstrap();
        bed.create_namespace(NAMESPACE).await;
        bed.kafka.create_topic("orders", PARTITIONS).await;
        for partition in 0..PARTITIONS {
            bed.kafka.produce("orders", partition, RECORDS).await;
        }
        for (group, committed) in [("behind", 2), ("idle", 10), ("little", 9)] {
            let offsets: Vec<(i32, i64)> = (0..PARTITIONS).map(|p| (p, committed)).collect();
            bed.kafka.commit(group, "orders", &offsets).await;
        }
        let first: Vec<(i32, i64)> = vec![(0, 10), (1, 0)];
        bed.kafka.commit("uneven", "orders", &first).await;
        let mut turn = Self {
            bed,
            side,
            bootstrap,
            applied: Fields::new(),
        };
        for case in &cases.objects {
            turn.apply(case).await;
        }
        turn
    }

    async fn apply(&mut self, case: &Case) {
        if case.workload != "none" {
            self.bed.apply(&[workload(case)]).await;
        }
        let object = case.object(NAMESPACE, &self.bootstrap);
        let file = self.bed.dir().join("applied.json");
        fs::write(&file, object.to_string()).unwrap();
        let file = file.display().to_string();
        let plane = &self.bed.control_plane;
        let said = plane.kubectl(&["apply", "--filename", &file]).await;
        let said = self.plain(
            &said
                .unwrap_or_else(|refused| refused)
                .replace(&file, "FILE"),
        );
        self.applied.insert(format!("{} apply", case.name), said);
    }

    /// The side's own scrape.
    pub async fn scrape(&self) -> String {
        let address = match &self.side {
            Side::Keda(keda) => keda.metrics(),
            Side::Lagscale(lagscale) => lagscale.plain,
        };
        bed::get(&address.to_string(), "/metrics").await.1
    }

    /// Waits until nothing has changed for a while.
    pub async fn settled(&mut self) -> Fields {
        let mut last = self.fields().await;
        let mut since = Instant::now();
        wait::until("nothing to change any more", PATIENCE, async || {
            let now = self.fields().await;
            if now != last {
                since = Instant::now();
                last = now;
            }
            if since.elapsed() >= QUIET {
                Ok(())
            } else {
                Err("changes")
            }
        })
        .await;
        last
    }

    /// Waits until `wanted` has nothing to say against the fields.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Fields) -> Result<(), Told>) {
        wait::until(what, PATIENCE, async || wanted(&self.fields().await)).await;
    }

    /// Everything that is told now of all objects.
    async fn fields(&mut self) -> Fields {
        self.side.must_live();
        let mut fields = self.applied.clone();
        let all = ListParams::default();
        let objects: Api<ScaledObject> = self.api();
        for object in objects.list(&all).await.unwrap().items {
            let name = object.metadata.name.clone().unwrap();
            let object = serde_json::to_value(object).unwrap();
            self.object(&name, &object, &mut fields);
        }
        let hpas: Api<HorizontalPodAutoscaler> = self.api();
        for hpa in hpas.list(&all).await.unwrap().items {
            self.hpa(&serde_json::to_value(hpa).unwrap(), &mut fields);
        }
        let workloads: Api<Deployment> = self.api();
        for workload in workloads.list(&all).await.unwrap().items {
            let replicas = workload.spec.unwrap().replicas.unwrap_or_default();
            let name = workload.metadata.name.unwrap();
            fields.insert(format!("{name} replicas"), replicas.to_string());
        }
        fields
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.bed.client(), NAMESPACE)
    }

    fn object(&self, name: &str, object: &Value, fields: &mut Fields) {
        let mut status = object["status"].clone();
        for condition in status["conditions"].take().as_array().into_iter().flatten() {
            let kind = condition["type"].as_str().unwrap();
            for key in ["status", "reason", "message"] {
                let path = format!("{name} {kind}.{key}");
                self.leaf(path, &condition[key], fields);
            }
        }
        if !status["lastActiveTime"].is_null() {
            status["lastActiveTime"] = "a time".into();
        }
        for (_, health) in status["health"].as_object_mut().into_iter().flatten() {
            if health["numberOfFailures"] != 0 {
                health["numberOfFailures"] = "more".into();
            }
        }
        if !status["remembered"].is_null() {
            // With the topic's id, which is another in each bed.
            status["remembered"] = "where the group stands".into();
        }
        self.flatten(format!("{name} status"), &status, fields);
        let metadata = &object["metadata"];
        self.flatten(
            format!("{name} finalizers"),
            &metadata["finalizers"],
            fields,
        );
        self.flatten(format!("{name} labels"), &metadata["labels"], fields);
    }

    fn hpa(&self, hpa: &Value, fields: &mut Fields) {
        let name = hpa["spec"]["scaleTargetRef"]["name"].as_str().unwrap();
        let metadata = &hpa["metadata"];
        let mut owner = metadata["ownerReferences"].clone();
        for owner in owner.as_array_mut().into_iter().flatten() {
            owner.as_object_mut().unwrap().remove("uid");
        }
        let active = hpa["status"]["conditions"].as_array();
        let active = active.and_then(|c| c.iter().find(|c| c["type"] == "ScalingActive"));
        let mut annotations = metadata["annotations"].clone();
        if !annotations[APPLIED].is_null() {
            annotations[APPLIED] = "what was applied".into();
        }
        let told = json!({
            "name": metadata["name"], "labels": metadata["labels"], "annotations": annotations,
            "owner": owner, "spec": hpa["spec"], "desiredReplicas": hpa["status"]["desiredReplicas"],
            "scalingActive": active.map(|c| &c["status"]), "reason": active.map(|c| &c["reason"]),
        });
        self.flatten(format!("{name} hpa"), &told, fields);
    }

    fn flatten(&self, path: String, value: &Value, fields: &mut Fields) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    self.flatten(format!("{path}.{key}"), value, fields);
                }
            }
            Value::Array(list) => {
                for (n, value) in list.iter().enumerate() {
                    self.flatten(format!("{path}[{n}]"), value, fields);
                }
            }
            leaf => self.leaf(path, leaf, fields),
        }
    }

    fn leaf(&self, path: String, value: &Value, fields: &mut Fields) {
        let text = match value {
            Value::Null => return,
            Value::String(text) => self.plain(text),
            other => other.to_string(),
        };
        fields.insert(path, text);
    }

    /// A text without this bed's port.
    fn plain(&self, text: &str) -> String {
        text.trim().replace(&self.bootstrap, KAFKA)
    }
}

fn workload(case: &Case) -> Value {
    let labels = json!({"app": case.name});
    let request = json!({"cpu": "100m", "memory": "100Mi"});
    let mut workload = json!({
        "apiVersion": "apps/v1", "kind": case.workload,
        "metadata": {"name": case.name, "namespace": NAMESPACE},
        "spec": {
            "replicas": case.replicas, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{
                "name": "main", "image": "idle", "env": [{"name": "GROUP", "value": "behind"}],
                "resources": {"requests": request},
            }]}},
        },
    });
    if case.workload == "StatefulSet" {
        workload["spec"]["serviceName"] = "none".into();
    }
    workload
}
