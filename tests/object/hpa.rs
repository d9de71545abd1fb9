//! The difference between an HPA that is wanted and a live one: whatever was wanted before, and whatever others did to it,
//! writing the difference gives what is wanted, and then there is none.

use std::{collections::BTreeMap, sync::Arc};

use fixture::Bench;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler as Hpa;
use lagscale::{
    resources::ScaledObject,
    scaling::{FIELD_MANAGER, Plan, PlannedTrigger, Source, difference, keep_managed, wanted},
    triggers::{self, Parameters, Sources, Trigger},
};
use proptest::{collection::btree_map, option, prelude::*, sample::select};
use serde_json::{Value, json};

/// Fields of a ScaledObject that end in its HPA.
fn spec() -> impl Strategy<Value = Value> {
    let rules = (
        option::of(0..3600),
        option::of(select(vec!["Max", "Min", "Disabled"])),
        option::of(select(vec![
            json!([{"type": "Pods", "value": 4, "periodSeconds": 15}]),
            json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]),
            json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]),
        ])),
        option::of(select(vec!["0.1", "100m", "50m", "0"])),
    );
    let rules = rules.prop_map(|(window, select, policies, tolerance)| {
        without_null(json!({
            "stabilizationWindowSeconds": window, "selectPolicy": select, "policies": policies, "tolerance": tolerance,
        }))
    });
    let behavior = (option::of(rules.clone()), option::of(rules))
        .prop_map(|(up, down)| without_null(json!({"scaleUp": up, "scaleDown": down})));
    let behavior = option::of(behavior);
    (
        option::of(0..4),
        behavior,
        select(vec![vec![], vec!["cpu"], vec!["cpu", "memory"]]),
        select(vec!["5", "1000", "7"]),
        select(vec!["40", "80"]),
    )
        .prop_map(|(min, behavior, resources, threshold, percent)| {
            json!({"min": min, "behavior": behavior, "resources": resources, "threshold": threshold, "percent": percent})
        })
}

fn without_null(mut value: Value) -> Value {
    value.as_object_mut().unwrap().retain(|_, v| !v.is_null());
    value
}

/// Labels or annotations; some of them pause a direction or exclude labels.
fn keys() -> impl Strategy<Value = BTreeMap<String, String>> {
    let key = select(vec![
        "team",
        "example.com/part",
        "app.kubernetes.io/managed-by",
        "autoscaling.keda.sh/paused-scale-in",
        "autoscaling.keda.sh/paused-scale-out",
        "scaledobject.keda.sh/hpa-excluded-labels",
    ]);
    let value = select(vec!["true", "team", "Helm"]);
    btree_map(
        key.prop_map(str::to_owned),
        value.prop_map(str::to_owned),
        0..4,
    )
}

fn plan(
    spec: &Value,
    labels: &BTreeMap<String, String>,
    annotations: &BTreeMap<String, String>,
) -> Plan {
    let advanced = json!({"horizontalPodAutoscalerConfig": {"behavior": spec["behavior"]}});
    let whole = json!({"minReplicaCount": spec["min"], "advanced": advanced});
    let bench = Bench::with(&whole, &json!({"lagThreshold": spec["threshold"]}));
    let mut object: ScaledObject = (*bench.plan.object).clone();
    object.metadata.labels = Some(labels.clone());
    object.metadata.annotations = Some(annotations.clone());
    let mut planned = bench.plan.triggers;
    for kind in spec["resources"].as_array().unwrap() {
        let kind = kind.as_str().unwrap();
        let metadata = BTreeMap::from([(
            "value".to_owned(),
            spec["percent"].as_str().unwrap().to_owned(),
        )]);
        let none = Parameters::new();
        let sources = Sources {
            metadata: &metadata,
            environment: &none,
            parameters: &none,
        };
        let Ok(Trigger::Resource(resource)) = triggers::parse(kind, sources, "Utilization") else {
            panic!("a {kind} trigger");
        };
        let mut written = object.spec.triggers[0].clone();
        kind.clone_into(&mut written.kind);
        planned.push(PlannedTrigger::new(
            &written,
            Ok(Source::Resource(resource)),
        ));
    }
    Plan::new(Arc::new(object), planned)
}

/// The HPA that the API server stores when `writer` puts `hpa` over `before`.
fn stored(before: Option<&Value>, hpa: &Hpa, writer: &str) -> Value {
    let mut next = json!(hpa);
    if let Some(behavior) = next["spec"].get_mut("behavior") {
        let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        for (direction, window, policies) in [
            ("scaleUp", Some(0), json!([pods, percent])),
            ("scaleDown", None, json!([percent])),
        ] {
            if behavior.get(direction).is_none() {
                behavior[direction] = json!({});
            }
            let rules = behavior[direction].as_object_mut().unwrap();
            if let Some(window) = window {
                rules
                    .entry("stabilizationWindowSeconds")
                    .or_insert(json!(window));
            }
            rules.entry("selectPolicy").or_insert(json!("Max"));
            rules.entry("policies").or_insert(policies);
            if let Some(tolerance) = rules.get_mut("tolerance") {
                let canonical = match tolerance.as_str().unwrap() {
                    "0.1" => "100m",
                    other => other,
                };
                *tolerance = json!(canonical);
            }
        }
    }
    next["metadata"]["managedFields"] = managed(before, &next, writer);
    next
}

/// The record of who set which label and annotation: a writer owns what it changes.
fn managed(before: Option<&Value>, next: &Value, writer: &str) -> Value {
    let none = json!({});
    let before = before.unwrap_or(&none);
    let mut owners: BTreeMap<String, Value> = BTreeMap::new();
    for entry in before["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let manager = entry["manager"].as_str().unwrap().to_owned();
        owners.insert(manager, entry["fieldsV1"]["f:metadata"].clone());
    }
    for (place, map) in [("f:labels", "labels"), ("f:annotations", "annotations")] {
        let (old, new) = (&before["metadata"][map], &next["metadata"][map]);
        for owned in owners.values_mut() {
            if let Some(keys) = owned.get_mut(place).and_then(Value::as_object_mut) {
                let same = |key: &str| new.get(key).is_some() && new.get(key) == old.get(key);
                keys.retain(|key, _| same(key.strip_prefix("f:").unwrap()));
            }
        }
        for (key, value) in new.as_object().into_iter().flatten() {
            if old.get(key) != Some(value) {
                let own = owners.entry(writer.to_owned()).or_insert_with(|| json!({}));
                own[place][format!("f:{key}")] = json!({});
            }
        }
    }
    let entries = owners.into_iter().map(|(manager, fields)| {
        json!({"manager": manager, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": fields}})
    });
    entries.collect()
}

/// As the watch shows it.
fn seen(stored: &Value) -> Hpa {
    let mut hpa: Hpa = serde_json::from_value(stored.clone()).unwrap();
    keep_managed(&mut hpa);
    hpa
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn writing_the_difference_gives_what_is_wanted_whatever_was_there(
        (a, b) in (spec(), spec()),
        (labels_a, labels_b) in (keys(), keys()),
        (annotations_a, annotations_b) in (keys(), keys()),
        others in keys(),
        (max_a, max_b) in (1..5, 1..5),
        first in select(vec![FIELD_MANAGER, "keda"]),
    ) {
        let before = wanted(&plan(&a, &labels_a, &annotations_a), max_a).unwrap();
        let live = stored(None, &before, first);
        prop_assert_eq!(difference(&seen(&live), &before), None, "what was written is what is there");
        // Somebody else adds labels and annotations of a kind of its own, and an owner.
        let mut touched: Hpa = serde_json::from_value(live.clone()).unwrap();
        for map in [&mut touched.metadata.labels, &mut touched.metadata.annotations] {
            for (key, value) in &others {
                map.get_or_insert_default().insert(format!("argocd.io/{}", key.replace('/', ".")), value.clone());
            }
        }
        let live = stored(Some(&live), &touched, "argocd-controller");

        let target = wanted(&plan(&b, &labels_b, &annotations_b), max_b).unwrap();
        let live = match difference(&seen(&live), &target) {
            Some(next) => stored(Some(&live), &next, FIELD_MANAGER),
            None => live,
        };
        let anew = stored(None, &target, FIELD_MANAGER);
        prop_assert_eq!(&live["spec"], &anew["spec"]);
        for (map, whole) in [("labels", &target.metadata.labels), ("annotations", &target.metadata.annotations)] {
            let mut expected = whole.clone().unwrap_or_default();
            for (key, value) in &others {
                expected.insert(format!("argocd.io/{}", key.replace('/', ".")), value.clone());
            }
            let found: BTreeMap<String, String> = serde_json::from_value(live["metadata"].get(map).cloned().unwrap_or_else(|| json!({}))).unwrap();
            prop_assert_eq!(found, expected);
        }
        prop_assert_eq!(difference(&seen(&live), &target), None, "nothing is left to write");
    }
}

/// Cases h-6 and h-7 of the reference, with every behavior that a user may have beside the pause.
#[test]
fn a_direction_is_open_again_once_its_pause_is_taken_off() {
    let none = BTreeMap::new();
    for behavior in [
        json!(null),
        json!({"scaleDown": {"stabilizationWindowSeconds": 60}}),
        json!({"scaleDown": {"stabilizationWindowSeconds": 60}, "scaleUp": {"stabilizationWindowSeconds": 0}}),
    ] {
        let spec = json!({"min": 1, "behavior": behavior, "resources": [], "threshold": "5", "percent": "1"});
        for (annotation, direction) in [
            ("paused-scale-out", "scaleUp"),
            ("paused-scale-in", "scaleDown"),
        ] {
            let annotations = BTreeMap::from([(
                format!("autoscaling.keda.sh/{annotation}"),
                "true".to_owned(),
            )]);
            let paused = wanted(&plan(&spec, &none, &annotations), 5).unwrap();
            let live = stored(None, &paused, FIELD_MANAGER);
            assert_eq!(
                live["spec"]["behavior"][direction]["selectPolicy"],
                "Disabled"
            );
            let free = wanted(&plan(&spec, &none, &none), 5).unwrap();
            let next = difference(&seen(&live), &free).unwrap();
            let policy = json!(next.spec)["behavior"][direction]["selectPolicy"].clone();
            assert_ne!(policy, "Disabled", "{annotation} beside {behavior}");
        }
    }
}

/// A report from outside (R11): Argo CD prunes the HPA over and over while these stay.
#[test]
fn labels_and_annotations_that_were_ours_go_and_others_stay() {
    let spec =
        json!({"min": 1, "behavior": null, "resources": [], "threshold": "5", "percent": "1"});
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    };
    let labels = map(&[("argocd.argoproj.io/instance", "shop"), ("team", "shop")]);
    let tracked = map(&[("argocd.argoproj.io/tracking-id", "shop:x")]);
    let before = wanted(&plan(&spec, &labels, &tracked), 5).unwrap();
    let live = stored(None, &before, "keda");
    let excluded = map(&[(
        "scaledobject.keda.sh/hpa-excluded-labels",
        "argocd.argoproj.io/instance, other",
    )]);
    let next = difference(
        &seen(&live),
        &wanted(&plan(&spec, &labels, &excluded), 5).unwrap(),
    )
    .unwrap();
    let labels = next.metadata.labels.unwrap();
    assert!(!labels.contains_key("argocd.argoproj.io/instance") && labels["team"] == "shop");
    assert!(
        !next
            .metadata
            .annotations
            .unwrap()
            .contains_key("argocd.argoproj.io/tracking-id")
    );
    assert_eq!(
        next.metadata.managed_fields, None,
        "the API server keeps what it knows"
    );
}
