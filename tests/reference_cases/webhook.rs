//! Rows about what is refused at apply. They are prose: what each means as reviews stands here under its id, and every
//! review of a row has to come to what the row expects.

use std::sync::Arc;

use lagscale::server::webhooks::{Hook, Request, Subject, Surroundings, Template, Verdict};
use serde_json::{Value, json};

use crate::{Outcome, Row};

/// The review that is sent to a webhook, and its surroundings.
pub struct Review {
    hook: Hook,
    request: Value,
    around: Surroundings,
}

/// An object that rests at `idle` replicas, with times that only count there.
fn resting(idle: i32) -> Review {
    let times = json!({"cooldownPeriod": 30, "pollingInterval": 30, "minReplicaCount": 2, "idleReplicaCount": idle});
    plain(&times)
}

/// An idle count of 1 or more is refused, with the way to have it.
pub fn idle_count(row: &Row) -> Outcome {
    webhook(row)?;
    match resting(1).verdict() {
        Err(said) if said.contains("spec.idleReplicaCount: Invalid value: 1: must be 0") => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

impl Review {
    fn new(hook: Hook, object: &Value) -> Self {
        Self {
            hook,
            request: json!({"uid": "u", "operation": "CREATE", "namespace": "shop", "object": object}),
            around: Surroundings::default(),
        }
    }

    pub fn of(object: &Value) -> Self {
        Self::new(Hook::ScaledObject, object)
    }

    pub fn authentication(hook: Hook, spec: &Value) -> Self {
        Self::new(hook, &json!({"metadata": {"name": "auth"}, "spec": spec}))
    }

    pub fn beside(mut self, other: &Value) -> Self {
        self.around.others.push(read(other));
        self
    }

    fn under_hpa(mut self, annotations: &Value) -> Self {
        self.around.hpas.push(read(&json!({
            "metadata": {"name": "theirs", "namespace": "shop", "annotations": annotations},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}, "maxReplicas": 3},
        })));
        self
    }

    /// The containers of the workload's pods, and the LimitRange of the namespace.
    fn on(self, containers: &Value, limits: &Value) -> Self {
        self.on_pod(&json!({"containers": containers}), limits)
    }

    /// The spec of the workload's pods, and the LimitRange of the namespace.
    pub fn on_pod(mut self, pod: &Value, limits: &Value) -> Self {
        self.around.template = Some(Ok(Template {
            pod: serde_json::from_value(pod.clone()).unwrap(),
            limit_ranges: vec![
                serde_json::from_value(json!({"spec": {"limits": limits}})).unwrap(),
            ],
        }));
        self
    }

    pub fn verdict(&self) -> Verdict {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": self.request});
        let review = review.to_string();
        let request = Request::parse(review.as_bytes()).map_err(|e| e.to_string())?;
        let verdict = Subject::of(self.hook, &request).verdict(&self.around);
        let response = request.reply(&verdict)["response"].clone();
        assert_eq!(response["allowed"], verdict.is_ok(), "{response}");
        verdict
    }
}

fn read<T: serde::de::DeserializeOwned>(object: &Value) -> Arc<T> {
    Arc::new(serde_json::from_value(object.clone()).unwrap())
}

/// A ScaledObject of this name for `app`; `spec` is laid over the usual one.
pub fn object(name: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"scaleTargetRef": {"name": "app"}, "minReplicaCount": 1, "triggers": [kafka("")]},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    object
}

pub fn kafka(name: &str) -> Value {
    json!({"type": "kafka", "name": name, "metadata": {"bootstrapServers": "b:9092", "consumerGroup": "g"}})
}

pub fn resource(kind: &str, metric_type: &str) -> Value {
    json!({"type": kind, "metricType": metric_type, "metadata": {"value": "50"}})
}

fn plain(spec: &Value) -> Review {
    Review::of(&object("so", spec))
}

fn modified(formula: &Value, target: &Value) -> Value {
    json!({"scalingModifiers": {"formula": formula, "target": target}})
}

/// The meaning of a row; `None` for a row that is not known here.
fn reviews(id: &str) -> Option<Vec<Review>> {
    let usual = object("so", &json!({}));
    let fallback = json!({"failureThreshold": 3, "replicas": 1});
    let asking = json!([{"name": "c", "resources": {"requests": {"cpu": "1", "memory": "1Mi"}}}]);
    let cpu = resource("cpu", "Utilization");
    Some(match id {
        "w-0" => vec![Review::of(&usual).beside(&usual)],
        "w-1" => vec![Review::of(&usual).beside(&object("other", &json!({})))],
        "w-2" => {
            let set = json!({"scaleTargetRef": {"kind": "StatefulSet", "name": "app"}});
            vec![Review::of(&usual).beside(&object("other", &set))]
        }
        "w-3" => vec![Review::of(&usual).under_hpa(&json!({}))],
        "w-5" => {
            let mut transfer = usual;
            transfer["metadata"]["annotations"] =
                json!({"scaledobject.keda.sh/transfer-hpa-ownership": "true"});
            vec![Review::of(&transfer).under_hpa(&json!({}))]
        }
        "w-6" => {
            let beside = json!({"validations.keda.sh/hpa-ownership": "false"});
            vec![Review::of(&usual).under_hpa(&beside)]
        }
        "w-8" => vec![
            plain(&json!({"minReplicaCount": 3, "maxReplicaCount": 2})),
            plain(&json!({"idleReplicaCount": 1})),
            plain(&json!({"fallback": {"failureThreshold": -1, "replicas": 1}})),
        ],
        "w-9" => ["cpu", "memory"]
            .map(|kind| {
                let triggers = [resource(kind, "Utilization")];
                plain(&json!({"fallback": fallback, "triggers": triggers})).on(&asking, &json!([]))
            })
            .into(),
        "w-10" => vec![
            plain(&json!({"fallback": fallback, "triggers": [cpu, kafka("")]}))
                .on(&asking, &json!([])),
            plain(
                &json!({"fallback": fallback, "triggers": [cpu, kafka("lag")],
                "advanced": modified(&json!("lag"), &json!("2"))}),
            )
            .on(&asking, &json!([])),
        ],
        "w-11" => without_requests(),
        "w-12" => {
            let rollout =
                json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "app"});
            let spec = json!({"scaleTargetRef": rollout, "triggers": [cpu]});
            vec![plain(&spec).on(&json!([{"name": "c"}]), &json!([]))]
        }
        "w-13" => [json!(0), Value::Null]
            .map(|min| {
                plain(&json!({"minReplicaCount": min, "triggers": [cpu]})).on(&asking, &json!([]))
            })
            .into(),
        "w-15" => {
            let invalid = object("so", &json!({"triggers": []}));
            let mut held = invalid.clone();
            held["metadata"]["finalizers"] = json!(["finalizer.keda.sh"]);
            let mut review = Review::of(&invalid);
            review.request["operation"] = "UPDATE".into();
            review.request["oldObject"] = held;
            vec![review]
        }
        "w-16" => vec![
            Review::of(&object(&"n".repeat(64), &own_hpa())),
            Review::of(&object(&"n".repeat(55), &json!({}))),
        ],
        "w-17" => vec![Review::of(&object(&"n".repeat(63), &own_hpa()))],
        "w-18" => vec![plain(&window(3601))],
        "w-19" => vec![plain(&json!({"triggers": []}))],
        "w-20" => vec![
            plain(
                &json!({"triggers": [kafka("lag")], "advanced": modified(&json!("lag"), &Value::Null)}),
            ),
            plain(
                &json!({"triggers": [kafka("")], "advanced": modified(&json!("lag"), &json!("2"))}),
            ),
        ],
        "w-21" => {
            let mut whole = fallback;
            whole["behavior"] = "scalingModifiers".into();
            vec![plain(&json!({"fallback": whole}))]
        }
        "w-23" => vec![plain(&json!({"cooldownPeriod": 30}))],
        "w-24" => vec![resting(0)],
        _ => return authentications(id),
    })
}

fn authentications(id: &str) -> Option<Vec<Review>> {
    let file = json!({"filePath": "secrets.json"});
    let identity = |fields: Value| {
        let hooks = [
            Hook::TriggerAuthentication,
            Hook::ClusterTriggerAuthentication,
        ];
        hooks.map(|hook| Review::authentication(hook, &json!({"podIdentity": fields})))
    };
    Some(match id {
        "w-25" => vec![Review::authentication(Hook::TriggerAuthentication, &file)],
        "w-26" => vec![Review::authentication(
            Hook::ClusterTriggerAuthentication,
            &file,
        )],
        "w-27" => [
            json!({"provider": "azure-workload", "identityTenantId": ""}),
            json!({"provider": "azure-workload", "identityAuthorityHost": "https://login"}),
        ]
        .into_iter()
        .flat_map(identity)
        .collect(),
        "w-28" => [
            json!({"provider": "aws", "roleArn": "r", "identityOwner": "workload"}),
            json!({"provider": "aws", "externalID": "e"}),
        ]
        .into_iter()
        .flat_map(identity)
        .collect(),
        _ => return None,
    })
}

/// A LimitRange that limits and gives no default leaves a container without a request.
fn without_requests() -> Vec<Review> {
    let mut all = Vec::new();
    for kind in ["cpu", "memory"] {
        for metric_type in ["Utilization", "AverageValue"] {
            let spec = json!({"triggers": [resource(kind, metric_type)]});
            let other = if kind == "cpu" { "memory" } else { "cpu" };
            let containers = json!([
                {"name": "good", "resources": {"requests": {"cpu": "1", "memory": "1Mi"}}},
                {"name": "c", "resources": {"requests": {other: "1", kind: "0"}}},
            ]);
            let limits = json!([{"type": "Container", "max": {"cpu": "1", "memory": "1Gi"}}]);
            all.push(plain(&spec).on(&containers, &json!([])));
            all.push(plain(&spec).on(&containers, &limits));
        }
    }
    all
}

fn own_hpa() -> Value {
    json!({"advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}})
}

fn window(seconds: i32) -> Value {
    let behavior = json!({"scaleDown": {"stabilizationWindowSeconds": seconds}});
    json!({"advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}}})
}

/// Words that a refusal has to name.
fn reason(id: &str) -> &'static str {
    match id {
        "w-1" => "is already managed by the ScaledObject 'other'",
        "w-3" => "is already managed by the hpa 'theirs'",
        "w-5" => "must be specified by name in advanced settings",
        "w-8" => "must",
        "w-9" => "for the fallback to be enabled",
        "w-11" => "but the container c doesn't have the",
        "w-13" => "scale to zero doesn't work in this case",
        "w-16" => "no more than 63 characters",
        "w-18" => "stabilizationWindowSeconds: Invalid value: 3601",
        "w-19" => "no triggers defined",
        "w-20" => "error validating formula in ScalingModifiers",
        "w-21" => "needs advanced.scalingModifiers.formula",
        "w-25" => "filePath",
        "w-27" => "identityTenant",
        "w-28" => "roleArn",
        _ => "",
    }
}

pub fn is_bound(row: &Row) -> bool {
    row["id"].as_str().and_then(reviews).is_some()
}

pub fn webhook(row: &Row) -> Outcome {
    let id = row["id"].as_str().unwrap_or_default();
    let expected = row["expect"].as_str().unwrap_or_default();
    for review in reviews(id).unwrap_or_default() {
        let verdict = review.verdict();
        let good = match (&verdict, expected) {
            (Ok(warnings), "accept" | "accept, no warning") => warnings.is_empty(),
            (Ok(warnings), "accept with warning") => !warnings.is_empty(),
            (Err(text), "reject") => text.contains(reason(id)),
            _ => false,
        };
        if !good {
            let request = &review.request;
            return Err(format!(
                "expected {expected}, found {verdict:?} for {request}"
            ));
        }
    }
    Ok(())
}
