//! The environment of a target, and whom a broken one harms.

use serde_json::json;

use super::Fake;

#[test]
fn the_environment_is_what_the_template_lets_us_know() {
    let container = json!({
        "name": "main",
        "envFrom": [
            {"configMapRef": {"name": "map"}},
            {"prefix": "S_", "secretRef": {"name": "secret"}},
            {"configMapRef": {"name": "nowhere", "optional": true}},
        ],
        "env": [
            {"name": "LITERAL", "value": "$(topic)-$(LATER)-$$(topic)"},
            {"name": "DERIVED", "value": "x-$(S_user)"},
            {"name": "LATER", "value": "x"},
            {"name": "topic", "value": "own"},
            {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "user"}}},
            {"name": "MAP", "valueFrom": {"configMapKeyRef": {"name": "map", "key": "topic"}}},
            {"name": "GONE", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "k", "optional": true}}},
            {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "NOTE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['a/b']"}}},
            {"name": "ACCOUNT", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ],
    });
    let spec = json!({
        "configMapTargetRef": [{"parameter": "username", "name": "map", "key": "topic"}, {"parameter": "password", "name": "map", "key": "password"}],
    });
    let fake = Fake::new(&spec, &container);
    let topic = |variable: &str| {
        let kafka = fake.resolve("", &json!({"topicFromEnv": variable}));
        kafka.map(|k| k.topic.unwrap_or_default().to_string())
    };
    for (variable, value) in [
        ("password", "of map"),
        ("LITERAL", "orders-$(LATER)-$(topic)"),
        ("topic", "own"),
        ("MAP", "orders"),
        ("NAMESPACE", "shop"),
        ("LABEL", "web"),
        ("NOTE", "note"),
        ("ACCOUNT", "runner"),
    ] {
        assert_eq!(topic(variable).as_deref(), Ok(value), "{variable}");
    }
    for variable in ["SECRET", "S_user", "DERIVED"] {
        let said = topic(variable).unwrap_err();
        let of = format!(
            "variable {variable} of container main of Deployment shop/app comes from a Secret"
        );
        assert!(said.contains(&of), "{said}");
    }
    for (variable, said) in [
        (
            "GONE",
            "topicFromEnv: container main of Deployment shop/app has no variable GONE",
        ),
        (
            "POD",
            "topicFromEnv: variable POD of container main of Deployment shop/app is the field metadata.name, which only a running pod has",
        ),
        ("LIMIT", "is nothing that a pod template tells"),
    ] {
        let error = topic(variable).unwrap_err();
        assert!(error.contains(said), "{said:?} is not in {error:?}");
    }
    // A required field says first what KEDA says.
    let error = fake.resolve(
        "",
        &json!({"consumerGroup": "", "consumerGroupFromEnv": "GONE"}),
    );
    let error = error.unwrap_err();
    let first = "error parsing kafka metadata: error parsing kafka metadata: missing required parameter \"consumerGroup\"";
    assert!(error.starts_with(first), "{error}");
    assert!(error.ends_with("has no variable GONE"), "{error}");
}

#[test]
fn a_broken_environment_fails_only_the_triggers_that_read_it() {
    let key =
        |kind: &str| json!({"name": "X", "valueFrom": {kind: {"name": "nowhere", "key": "k"}}});
    for (container, said) in [
        (
            json!({"name": "main", "env": [key("secretKeyRef")]}),
            "error resolving secrets for ScaleTarget: error resolving secret name nowhere for env X in namespace shop",
        ),
        (
            json!({"name": "main", "env": [key("configMapKeyRef")]}),
            "error resolving secrets for ScaleTarget: error resolving config nowhere for env X in namespace shop",
        ),
        (
            json!({"name": "main", "envFrom": [{"configMapRef": {"name": "nowhere"}}]}),
            "error resolving secrets for ScaleTarget: error reading config ref nowhere on namespace shop/",
        ),
        (
            json!({"name": "other"}),
            "couldn't find container with name main on Target object",
        ),
    ] {
        let spec = json!({
            "configMapTargetRef": [{"parameter": "username", "name": "map", "key": "topic"}, {"parameter": "password", "name": "map", "key": "password"}],
        });
        let fake = Fake::new(&spec, &container);
        assert_eq!(fake.password("").as_deref(), Ok("of map"));
        let error = fake.resolve("", &json!({"topicFromEnv": "X"})).unwrap_err();
        assert!(error.contains(said), "{said:?} is not in {error:?}");
    }
}

#[test]
fn variables_of_variables_end_at_what_a_process_can_be_started_with() {
    let mut variables = vec![json!({"name": "V0", "value": "x".repeat(1000)})];
    for level in 1..40 {
        let value = format!("$(V{0})$(V{0})", level - 1);
        variables.push(json!({"name": format!("V{level}"), "value": value}));
    }
    let fake = Fake::new(&json!({}), &json!({"name": "main", "env": variables}));
    let error = fake
        .resolve("", &json!({"topicFromEnv": "V1"}))
        .unwrap_err();
    assert!(error.contains("is larger than 2097152 bytes"), "{error}");
}

#[test]
fn more_variables_or_longer_values_than_are_read_are_told() {
    let many: Vec<_> = (0..1_001)
        .map(|n| json!({"name": format!("V{n}"), "value": "x"}))
        .collect();
    let fake = Fake::new(&json!({}), &json!({"name": "main", "env": many}));
    let said = fake
        .resolve("", &json!({"topicFromEnv": "V1"}))
        .unwrap_err();
    let expected =
        "container main of Deployment shop/app has 1001 variables, at most 1000 are read";
    assert!(said.contains(expected), "{said}");
    let long = json!([{"name": "LONG", "value": "x".repeat(8_193)}, {"name": "FITS", "value": "x".repeat(8_192)}]);
    let spec = json!({
        "configMapTargetRef": [{"parameter": "username", "name": "map", "key": "topic"}, {"parameter": "password", "name": "map", "key": "password"}],
    });
    let fake = Fake::new(&spec, &json!({"name": "main", "env": long}));
    let said = fake
        .resolve("", &json!({"topicFromEnv": "LONG"}))
        .unwrap_err();
    let expected = "topicFromEnv: variable LONG has 8193 bytes, at most 8192 are read";
    assert!(said.contains(expected), "{said}");
    let fits = fake.resolve("", &json!({"topicFromEnv": "FITS"}));
    assert_eq!(fits.map(|k| k.topic.unwrap().len()), Ok(8_192));
}
