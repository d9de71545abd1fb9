//! The bundle for the Operator Lifecycle Manager, made of `manifests/base`: the same objects, as a ClusterServiceVersion and the
//! kinds that a bundle may hold beside it. lagscale makes the others itself (its APIServices and webhooks), or does without (FlowSchemas).

use std::{collections::BTreeMap, fs, path::Path};

use lagscale::resources;
use serde_json::{Value, json};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The account that lagscale runs as.
const ACCOUNT: &str = "lagscale";
/// The purpose of each kind, as a console shows it.
const KINDS: [(&str, &str, &str); 5] = [
    (
        "KedaController",
        "Installation",
        "Which namespaces are watched, and how lagscale logs: the object keda of its own namespace.",
    ),
    (
        "ScaledObject",
        "ScaledObject",
        "A workload that is scaled by the lag of its consumer group.",
    ),
    (
        "TriggerAuthentication",
        "TriggerAuthentication",
        "Where the credentials of triggers come from.",
    ),
    (
        "ClusterTriggerAuthentication",
        "ClusterTriggerAuthentication",
        "Where the credentials of triggers in all namespaces come from.",
    ),
    (
        "LagMetric",
        "LagMetric",
        "The lag of a consumer group as a metric for an HPA that somebody writes.",
    ),
];

/// Every file of the bundle, by its path in it.
pub fn bundle(root: &Path) -> BTreeMap<String, String> {
    let base = |file: &str| {
        let text = fs::read_to_string(root.join("manifests/base").join(file));
        text.expect("a manifest")
    };
    let mut crds = definitions(&base("crds.yaml"));
    crds.extend(definitions(
        &resources::keda_controller_crd().expect("YAML"),
    ));
    let rbac = Rbac(objects(&base("rbac.yaml")));
    let deployment = objects(&base("deployment.yaml"));
    let mut files = BTreeMap::new();
    let mut add = |name: String, text: String| files.insert(format!("manifests/{name}.yaml"), text);
    for (crd, text) in &crds {
        add(name(crd).to_owned(), text.clone());
    }
    let service = objects(&base("service.yaml"));
    let priority = objects(&base("priority.yaml"));
    let others = deployment.iter().skip(1).chain(&service);
    let others = others.chain(priority.iter().filter(|p| p["kind"] == "PriorityClass"));
    for object in others.chain(rbac.of_others()) {
        let kind = object["kind"].as_str().unwrap_or_default().to_lowercase();
        add(format!("{}.{kind}", name(object)), yaml(&anywhere(object)));
    }
    let csv = csv(&crds, &rbac, &deployment[0]);
    add("lagscale.clusterserviceversion".to_owned(), yaml(&csv));
    files.insert("metadata/annotations.yaml".to_owned(), yaml(&annotations()));
    files
}

/// Each definition of a stream, with its text.
fn definitions(stream: &str) -> Vec<(Value, String)> {
    let texts = stream.split("---\n").filter(|text| !text.trim().is_empty());
    let parsed = texts.map(|text| (serde_saphyr::from_str(text).expect("YAML"), text.to_owned()));
    parsed.collect()
}

fn objects(stream: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(stream).expect("YAML")
}

fn yaml(value: &Value) -> String {
    serde_saphyr::to_string(value).expect("YAML")
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// An object without a namespace: it goes where the bundle is installed.
fn anywhere(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("namespace");
    }
    object
}

/// The roles of the base, and who has them.
struct Rbac(Vec<Value>);

impl Rbac {
    /// The rules that bindings of this kind give to a ServiceAccount of ours in its own namespace, or in all.
    fn rules(&self, account: &str, binding: &str) -> Vec<Value> {
        let bindings = self.0.iter().filter(|o| o["kind"] == binding);
        let ours =
            bindings.filter(|b| b["metadata"]["namespace"] != "kube-system" && has(b, account));
        let rules = ours.flat_map(|b| {
            let role = &b["roleRef"]["name"];
            let found = self
                .0
                .iter()
                .find(|o| o["kind"] == b["roleRef"]["kind"] && o["metadata"]["name"] == *role);
            found.map_or_else(reviews, |found| {
                found["rules"].as_array().cloned().unwrap_or_default()
            })
        });
        rules.collect()
    }

    /// Roles that no account of ours has, and the bindings of others.
    fn of_others(&self) -> Vec<&Value> {
        let ours = |binding: &Value| binding["subjects"][0]["namespace"] == ACCOUNT;
        let (bindings, roles): (Vec<_>, Vec<_>) = self
            .0
            .iter()
            .filter(|o| o["kind"].as_str().is_some_and(|k| k.starts_with("Cluster")))
            .partition(|o| o["kind"] == "ClusterRoleBinding");
        let kept: Vec<_> = bindings.iter().copied().filter(|b| !ours(b)).collect();
        let named = |role: &Value, by: &[&Value]| {
            by.iter()
                .any(|b| b["roleRef"]["name"] == role["metadata"]["name"])
        };
        let roles = roles
            .into_iter()
            .filter(|role| named(role, &kept) || !named(role, &bindings));
        roles.chain(kept.iter().copied()).collect()
    }
}

fn has(binding: &Value, account: &str) -> bool {
    binding["subjects"][0]["kind"] == "ServiceAccount" && binding["subjects"][0]["name"] == account
}

/// The rules of `system:auth-delegator`, which every cluster has and a bundle can't bind.
fn reviews() -> Vec<Value> {
    let review = |group: &str, resource: &str| json!({"apiGroups": [group], "resources": [resource], "verbs": ["create"]});
    vec![
        review("authentication.k8s.io", "tokenreviews"),
        review("authorization.k8s.io", "subjectaccessreviews"),
    ]
}

/// Rules beyond the base: for the settings, and to make what a bundle can't hold.
fn further() -> Vec<Value> {
    let rule = |group: &str, resource: &str, verbs: &[&str]| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    vec![
        rule("keda.sh", "kedacontrollers", &["list"]),
        rule("keda.sh", "kedacontrollers/status", &["patch"]),
        rule("apiregistration.k8s.io", "apiservices", &["create"]),
        rule(
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations",
            &["create"],
        ),
    ]
}

fn csv(crds: &[(Value, String)], rbac: &Rbac, deployment: &Value) -> Value {
    let owned = KINDS.map(|(kind, shown, what)| {
        let crd = crds
            .iter()
            .map(|(crd, _)| crd)
            .find(|crd| crd["spec"]["names"]["kind"] == kind);
        let crd = crd.expect("a CRD");
        json!({
            "kind": kind, "name": name(crd), "version": crd["spec"]["versions"][0]["name"],
            "displayName": shown, "description": what,
        })
    });
    let mut spec = deployment["spec"].clone();
    let container = &mut spec["template"]["spec"]["containers"][0];
    let args = container["args"].as_array_mut().expect("arguments");
    args.push("--keda-controller".into());
    let image = container["image"].clone();
    let own = [rbac.rules(ACCOUNT, "ClusterRoleBinding"), further()].concat();
    let asking = "lagscale-delegate";
    json!({
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": format!("lagscale.v{VERSION}"),
            "namespace": "placeholder",
            "annotations": {
                "alm-examples": serde_json::to_string_pretty(&examples()).expect("JSON"),
                "capabilities": "Deep Insights",
                "categories": "Cloud Provider, Streaming & Messaging",
                "containerImage": image,
                "createdAt": "2026-11-30T00:00:00Z",
                "description": "Scales Kafka consumers by consumer-group lag, and serves external.metrics.k8s.io",
                "operatorframework.io/suggested-namespace": "keda",
            },
        },
        "spec": {
            "displayName": "lagscale",
            "description": "Reads KEDA's ScaledObjects with Kafka triggers as they are, scales their workloads by consumer-group lag, and answers HPAs as the API server of external.metrics.k8s.io. Make a KedaController called keda in the namespace it is installed in to say what it watches.",
            "version": VERSION,
            "maturity": "alpha",
            "minKubeVersion": "1.30.0",
            "keywords": ["autoscaling", "kafka", "keda", "hpa", "consumer lag"],
            "icon": [{"base64data": ICON, "mediatype": "image/svg+xml"}],
            "provider": {"name": "lagscale"},
            "installModes": [
                {"type": "OwnNamespace", "supported": false},
                {"type": "SingleNamespace", "supported": false},
                {"type": "MultiNamespace", "supported": false},
                {"type": "AllNamespaces", "supported": true},
            ],
            "customresourcedefinitions": {"owned": owned},
            "install": {
                "strategy": "deployment",
                "spec": {
                    "clusterPermissions": [
                        {"serviceAccountName": ACCOUNT, "rules": own},
                        {"serviceAccountName": asking, "rules": rbac.rules(asking, "ClusterRoleBinding")},
                    ],
                    "permissions": [{"serviceAccountName": ACCOUNT, "rules": rbac.rules(ACCOUNT, "RoleBinding")}],
                    "deployments": [{"name": name(deployment), "label": deployment["metadata"]["labels"], "spec": spec}],
                },
            },
            "relatedImages": [{"name": "lagscale", "image": image}],
        },
    })
}

/// Three bars, each as long as the lag before it is not.
const ICON: &str = "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA0OCA0OCI+PGcgZmlsbD0iIzJiNmNiMCI+PHJlY3QgeD0iNiIgeT0iOCIgd2lkdGg9IjM2IiBoZWlnaHQ9IjgiIHJ4PSIyIi8+PHJlY3QgeD0iNiIgeT0iMjAiIHdpZHRoPSIyNCIgaGVpZ2h0PSI4IiByeD0iMiIvPjxyZWN0IHg9IjYiIHk9IjMyIiB3aWR0aD0iMTIiIGhlaWdodD0iOCIgcng9IjIiLz48L2c+PC9zdmc+";

/// One object of each kind, as a console offers it.
fn examples() -> Value {
    let keda = |kind: &str, name: &str, spec: Value| json!({"apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    let secret = json!({"secretTargetRef": [
        {"parameter": "username", "name": "kafka", "key": "username"},
        {"parameter": "password", "name": "kafka", "key": "password"},
    ]});
    let trigger = json!({"type": "kafka", "metadata": {
        "bootstrapServers": "kafka:9092", "consumerGroup": "orders", "topic": "orders", "lagThreshold": "5",
    }});
    json!([
        {
            "apiVersion": "keda.sh/v1alpha1", "kind": "KedaController", "metadata": {"name": "keda", "namespace": "keda"},
            "spec": {"watchNamespace": "", "operator": {"logLevel": "info", "logEncoder": "console"}, "metricsServer": {"logLevel": "0"}},
        },
        keda("ScaledObject", "orders", json!({"scaleTargetRef": {"name": "orders"}, "triggers": [trigger]})),
        keda("TriggerAuthentication", "kafka", secret.clone()),
        keda("ClusterTriggerAuthentication", "kafka", secret),
        {
            "apiVersion": "lagscale.io/v1alpha1", "kind": "LagMetric", "metadata": {"name": "orders-lag"},
            "spec": {"bootstrapServers": "kafka:9092", "consumerGroup": "orders", "topics": ["orders"]},
        },
    ])
}

fn annotations() -> Value {
    let key = |name: &str| format!("operators.operatorframework.io.bundle.{name}.v1");
    json!({"annotations": {
        key("mediatype"): "registry+v1",
        key("manifests"): "manifests/",
        key("metadata"): "metadata/",
        key("package"): "lagscale",
        key("channels"): "alpha",
        key("channel.default"): "alpha",
    }})
}
