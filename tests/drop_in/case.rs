//! The forty objects as data.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::difference::Differences;

/// The text that stands for Kafka's address in objects and in what is told of them.
pub const KAFKA: &str = "$KAFKA";

#[derive(Deserialize)]
pub struct Cases {
    /// Departures that any object may show: at least one does.
    everywhere: Vec<Departure>,
    pub objects: Vec<Case>,
}

/// An object, and where KEDA and lagscale differ over it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Case {
    pub name: String,
    /// Kind of the workload it scales; `none` for none.
    #[serde(default = "deployment")]
    pub workload: String,
    #[serde(default = "one")]
    pub replicas: i32,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Laid over a minimum of 1 and a polling interval of 2.
    #[serde(default)]
    spec: Value,
    /// Each laid over a trigger on `orders`, threshold 10; one of them if absent.
    triggers: Option<Vec<Value>>,
    #[serde(default)]
    differs: Vec<Departure>,
}

/// A field that differs: what KEDA has there, what lagscale has, and the words of the row that says why. A path that ends with
/// `*` stands for all that begin so.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Departure {
    path: String,
    keda: Option<String>,
    lagscale: Option<String>,
    /// Only now and then: KEDA's own writes of a status race.
    #[serde(default)]
    sometimes: bool,
    row: String,
}

fn deployment() -> String {
    "Deployment".into()
}

fn one() -> i32 {
    1
}

impl Cases {
    pub fn load() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(root.join("tests/cases/drop-in.yaml")).unwrap();
        let cases: Self = serde_saphyr::from_str(&text).unwrap();
        let rows = fs::read_to_string(root.join("docs/departures.md")).unwrap();
        let all = cases.objects.iter().flat_map(|o| &o.differs);
        for departure in all.chain(&cases.everywhere) {
            let row = &departure.row;
            assert!(rows.contains(row), "no row of departures.md says: {row}");
        }
        cases
    }

    /// Every listed difference.
    pub fn departures(&self) -> Differences {
        let mut listed = Differences::default();
        for departure in &self.everywhere {
            let sides = (departure.keda.clone(), departure.lagscale.clone());
            listed.may(&departure.path, sides, departure.sometimes);
        }
        for object in &self.objects {
            for departure in &object.differs {
                let path = format!("{} {}", object.name, departure.path);
                if let Some(start) = path.strip_suffix('*') {
                    listed.whole(start.to_owned());
                    continue;
                }
                listed.insert(path, departure.keda.clone(), departure.lagscale.clone());
            }
        }
        listed
    }
}

impl Case {
    /// The ScaledObject, with `bootstrap` for its Kafka.
    pub fn object(&self, namespace: &str, bootstrap: &str) -> Value {
        let usual = [json!({})];
        let triggers = self.triggers.as_deref().unwrap_or(&usual);
        let triggers: Vec<Value> = triggers.iter().map(trigger).collect();
        let mut spec = json!({
            "scaleTargetRef": {"name": self.name}, "minReplicaCount": 1, "pollingInterval": 2, "triggers": triggers,
        });
        if self.workload != "Deployment" && self.workload != "none" {
            spec["scaleTargetRef"]["kind"] = self.workload.as_str().into();
        }
        lay_over(&mut spec, &self.spec);
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {
                "name": self.name, "namespace": namespace, "annotations": self.annotations, "labels": self.labels,
            },
            "spec": spec,
        });
        let text = object.to_string().replace(KAFKA, bootstrap);
        serde_json::from_str(&text).unwrap()
    }
}

/// A trigger laid over the usual one, if it is one of Kafka's.
fn trigger(own: &Value) -> Value {
    let kind = own["type"].as_str().unwrap_or("kafka");
    let mut trigger = if kind.ends_with("kafka") {
        json!({"type": kind, "metadata": {
            "bootstrapServers": KAFKA, "consumerGroup": "behind", "topic": "orders", "lagThreshold": "10",
        }})
    } else {
        json!({})
    };
    lay_over(&mut trigger, own);
    trigger
}

/// Lays fields over others; null takes one away.
fn lay_over(under: &mut Value, over: &Value) {
    for (key, value) in over.as_object().into_iter().flatten() {
        if value.is_null() {
            under.as_object_mut().unwrap().remove(key);
        } else if value.is_object() && under[key].is_object() {
            lay_over(&mut under[key], value);
        } else {
            under[key] = value.clone();
        }
    }
}
