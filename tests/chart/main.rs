//! The Helm chart: it makes what `kubectl apply -k manifests` makes, takes a values file of KEDA's chart, refuses wrong types, and
//! is installed, upgraded, rolled back and uninstalled on a real API server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code in functions without #[test]"
)]

mod bundle;
mod installed;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use bed::parts;
use serde_json::{Value, json};

/// Labels that the chart puts on everything it makes.
const LABELS: [&str; 5] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/version",
    "app.kubernetes.io/managed-by",
    "helm.sh/chart",
];

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn chart() -> String {
    root().join("charts/lagscale").display().to_string()
}

/// Standard output of a program, or standard error if it failed.
fn output(program: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

fn rendered(args: &[&str]) -> Result<Vec<Value>, String> {
    let chart = chart();
    let all = [
        &["template", "lagscale", &chart, "--namespace=lagscale"],
        args,
    ]
    .concat();
    output(&parts::helm(), &all).map(|yaml| objects(&yaml))
}

fn objects(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    let mut all: Vec<Value> = all.into_iter().filter(|object| !object.is_null()).collect();
    all.iter_mut().for_each(whole_numbers);
    all
}

/// `1.0` is 1: kubectl writes one for the other.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(whole_numbers),
        Value::Object(all) => all.values_mut().for_each(whole_numbers),
        Value::Number(number) if number.is_f64() => {
            if let Ok(whole) = number.to_string().trim_end_matches(".0").parse::<i64>() {
                *value = whole.into();
            }
        }
        _ => {}
    }
}

/// Objects by kind, namespace and name, without what Helm needs.
fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let named = objects.into_iter().map(|mut object| {
        let metadata = object["metadata"].as_object_mut().unwrap();
        let mut without = |field: &str, keys: &[&str]| {
            if let Some(map) = metadata.get_mut(field).and_then(Value::as_object_mut) {
                map.retain(|key, _| !keys.contains(&key.as_str()));
                if map.is_empty() {
                    metadata.remove(field);
                }
            }
        };
        without("labels", &LABELS);
        without("annotations", &["helm.sh/resource-policy"]);
        let metadata = &object["metadata"];
        let name = format!(
            "{} {} {}",
            object["kind"], metadata["namespace"], metadata["name"]
        );
        (name, object)
    });
    named.collect()
}

fn kustomized(folder: &str) -> BTreeMap<String, Value> {
    let folder = root().join("manifests").join(folder).display().to_string();
    let kubectl = parts::control_plane().kubectl;
    let mut objects = by_name(objects(&output(&kubectl, &["kustomize", &folder]).unwrap()));
    // A release's namespace is made by the one who installs it.
    objects.retain(|name, _| !name.starts_with("\"Namespace\""));
    objects
}

fn same(chart: &BTreeMap<String, Value>, manifests: &BTreeMap<String, Value>) {
    let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(chart), names(manifests));
    for (name, object) in manifests {
        assert_eq!(&chart[name], object, "{name}");
    }
}

#[test]
fn without_values_it_makes_what_the_manifests_make() {
    same(&by_name(rendered(&[]).unwrap()), &kustomized("base"));
}

#[test]
fn with_cert_manager_it_makes_what_that_overlay_makes() {
    let chart = by_name(rendered(&["--set=certificates.certManager.enabled=true"]).unwrap());
    same(&chart, &kustomized("overlays/cert-manager"));
}

#[test]
fn a_shadow_is_what_that_overlay_makes_and_may_write_nothing_of_others() {
    let chart = by_name(rendered(&["--set=shadow=true"]).unwrap());
    same(&chart, &kustomized("overlays/shadow"));
    let of_cluster = chart.iter().filter(|(_, o)| o["kind"] == "ClusterRole");
    let rules = of_cluster.flat_map(|(_, o)| o["rules"].as_array().unwrap());
    for rule in rules {
        let writes = |verb: &Value| !["get", "list", "watch"].contains(&verb.as_str().unwrap());
        let own = rule["resourceNames"] == json!(["v1beta1.external.metrics.lagscale.io"]);
        let verbs = rule["verbs"].as_array().unwrap();
        assert!(own || !verbs.iter().any(writes), "{rule}");
    }
}

#[test]
fn one_that_keda_asks_is_what_that_overlay_makes() {
    let chart = rendered(&["--set=shadow=true", "--set=externalScaler.enabled=true"]);
    same(
        &by_name(chart.unwrap()),
        &kustomized("overlays/external-scaler"),
    );
}

#[test]
fn beside_keda_it_makes_what_that_overlay_makes_and_takes_the_api_service() {
    let args = [
        "--set=apiService.enabled=false",
        "--set=apiService.take=true",
    ];
    let mut chart = by_name(rendered(&args).unwrap());
    let deployment = "\"Deployment\" \"lagscale\" \"lagscale\"";
    let container =
        &mut chart.get_mut(deployment).unwrap()["spec"]["template"]["spec"]["containers"][0];
    let take = json!({"name": "LAGSCALE_TAKE_APISERVICE", "value": "true"});
    let env = container["env"].as_array_mut().unwrap();
    assert_eq!(
        env.pop(),
        Some(take),
        "the overlay leaves that to whoever edits it"
    );
    same(&chart, &kustomized("overlays/beside-keda"));
}

#[test]
fn watched_namespaces_get_the_bindings_and_the_webhooks_look_at_no_other() {
    let shared = [
        "--set=watchNamespace=shop\\, till",
        "--set=watchLabelSelector=lagscale.io/owner",
    ];
    let chart = by_name(rendered(&shared).unwrap());
    for binding in ["lagscale", "lagscale-secrets", "lagscale-scale"] {
        for namespace in ["shop", "till"] {
            let name = format!("\"RoleBinding\" \"{namespace}\" \"{binding}\"");
            assert!(chart.contains_key(&name), "{name}");
        }
        assert!(!chart.contains_key(&format!("\"ClusterRoleBinding\" null \"{binding}\"")));
    }
    let webhooks =
        &chart["\"ValidatingWebhookConfiguration\" null \"lagscale-admission\""]["webhooks"];
    let selectors = webhooks
        .as_array()
        .unwrap()
        .iter()
        .map(|w| &w["namespaceSelector"]["matchExpressions"][0]["values"]);
    let watched = serde_json::json!(["shop", "till"]);
    assert_eq!(
        selectors.collect::<Vec<_>>(),
        [&watched, &watched, &Value::Null]
    );
    let env = &chart["\"Deployment\" \"lagscale\" \"lagscale\""]["spec"]["template"]["spec"]["containers"]
        [0]["env"];
    assert_eq!(
        env.as_array().unwrap()[2..4],
        [
            serde_json::json!({"name": "WATCH_NAMESPACE", "value": "shop, till"}),
            serde_json::json!({"name": "WATCH_LABEL_SELECTOR", "value": "lagscale.io/owner"}),
        ]
    );
}

#[test]
fn with_restricted_secrets_only_those_of_its_own_namespace_are_read() {
    let chart = by_name(rendered(&["--set=permissions.operator.restrict.secret=true"]).unwrap());
    assert!(!chart.contains_key("\"ClusterRole\" null \"lagscale-secrets\""));
    let role = &chart["\"Role\" \"lagscale\" \"lagscale-secrets\""];
    assert_eq!(
        role["rules"][0]["resources"],
        serde_json::json!(["secrets"])
    );
}

#[test]
fn a_values_file_of_keda_renders_and_runs_lagscale_s_image() {
    let values = root()
        .join("tests/chart/keda-values.yaml")
        .display()
        .to_string();
    let chart = by_name(rendered(&["--values", &values]).unwrap());
    let pod = &chart["\"Deployment\" \"lagscale\" \"lagscale\""]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(container["image"], "registry.example.com/lagscale:0.1.0");
    assert_eq!(container["resources"]["limits"]["memory"], "1000Mi");
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    assert_eq!(pod["serviceAccountName"], "keda-operator");
    for binding in chart.values().filter(|o| o["kind"] == "ClusterRoleBinding") {
        let subject = binding["subjects"][0]["name"].as_str().unwrap();
        let bound = [
            "keda-operator",
            "horizontal-pod-autoscaler",
            "lagscale-delegate",
        ];
        assert!(bound.contains(&subject), "{binding}");
    }
    for made in [
        "\"ClusterRole\" null \"lagscale-edit\"",
        "\"ConfigMap\" \"lagscale\" \"extra\"",
        "\"NetworkPolicy\" \"lagscale\" \"lagscale\"",
        "\"PrometheusRule\" \"lagscale\" \"lagscale\"",
        "\"Role\" \"shop\" \"lagscale-token-consumer\"",
        "\"ServiceMonitor\" \"lagscale\" \"lagscale\"",
    ] {
        assert!(chart.contains_key(made), "{made}");
    }
    let scale = &chart["\"ClusterRole\" null \"lagscale-scale\""]["rules"];
    let rollouts = serde_json::json!([{"apiGroups": ["argoproj.io"], "resources": ["rollouts/scale"], "verbs": ["get", "patch"]}]);
    assert_eq!(*scale, rollouts);
}

/// The PrometheusRule's groups and the dashboards of a release that has them.
fn monitoring() -> (Value, Vec<Value>) {
    let on = [
        "--set=prometheus.operator.prometheusRules.enabled=true",
        "--set=grafana.dashboards.enabled=true",
    ];
    let chart = by_name(rendered(&on).unwrap());
    let rules = chart["\"PrometheusRule\" \"lagscale\" \"lagscale\""]["spec"].clone();
    let maps = chart.values().filter(|o| o["kind"] == "ConfigMap");
    let texts = maps.flat_map(|map| map["data"].as_object().unwrap().values());
    let boards = texts.map(|text| serde_json::from_str(text.as_str().unwrap()).unwrap());
    (rules, boards.collect())
}

#[test]
fn every_alert_fires_when_it_should_and_not_before() {
    let (rules, _) = monitoring();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let rules_file = file("rules.json", &rules.to_string());
    let cases = std::fs::read_to_string(root().join("tests/chart/alerts.yaml")).unwrap();
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let name = rule["alert"].as_str().unwrap();
        assert!(
            cases.contains(&format!("alertname=\"{name}\"")),
            "{name} has no case"
        );
    }
    let cases = file("cases.yaml", &cases.replace("RULES", &rules_file));
    let promtool = parts::promtool();
    output(&promtool, &["check", "rules", &rules_file]).unwrap();
    output(&promtool, &["test", "rules", &cases]).unwrap();
}

/// Every expression of a dashboard becomes a rule, so that Prometheus' own parser reads it.
#[test]
fn every_expression_of_a_dashboard_is_one_that_prometheus_reads() {
    let (_, boards) = monitoring();
    assert_eq!(boards.len(), 2);
    let panels = boards.iter().flat_map(|b| b["panels"].as_array().unwrap());
    let targets = panels.flat_map(|p| p["targets"].as_array().unwrap());
    let expressions: Vec<&str> = targets.map(|t| t["expr"].as_str().unwrap()).collect();
    let rules = expressions.iter().enumerate();
    let rules = rules.map(|(n, e)| serde_json::json!({"record": format!("r{n}"), "expr": e}));
    let groups = serde_json::json!({"groups": [{"name": "g", "rules": rules.collect::<Vec<_>>()}]});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.json");
    std::fs::write(&file, groups.to_string()).unwrap();
    let file = file.display().to_string();
    output(&parts::promtool(), &["check", "rules", &file]).unwrap();
}

#[test]
fn a_value_of_the_wrong_type_or_one_that_can_t_be_done_is_refused_by_its_name() {
    for (value, said) in [
        ("operator.replicaCount=many", "/operator/replicaCount"),
        ("webhooks.failurePolicy=Never", "/webhooks/failurePolicy"),
        ("logging.operator.format=xml", "/logging/operator/format"),
        ("crds.install=perhaps", "/crds/install"),
        ("watchNamespace={a}", "/watchNamespace"),
    ] {
        let refused = rendered(&["--set", value]).unwrap_err();
        assert!(refused.contains(said), "{value}: {refused}");
    }
}
