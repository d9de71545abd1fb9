//! Secrets stay where they belong: what a cluster's authentication, restricted access and errors keep back.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::{Content, Fake, Parameters, Reference, deployment, main};

#[test]
fn a_cluster_authentication_reads_its_own_namespace_and_goes_only_where_its_annotation_says() {
    let kind = "ClusterTriggerAuthentication";
    let spec = json!({"secretTargetRef": [
        {"parameter": "username", "name": "secret", "key": "user"},
        {"parameter": "password", "name": "secret", "key": "password"},
    ]});
    let mut fake = Fake::new(&spec, &main());
    assert_eq!(fake.password(kind).as_deref(), Ok("of own secret"));
    let annotate = |fake: &mut Fake, list: &str| {
        let annotations = BTreeMap::from([("lagscale.io/bootstrap-hosts".into(), list.into())]);
        Arc::make_mut(&mut fake.cluster).metadata.annotations = Some(annotations);
    };
    annotate(&mut fake, "*.shop.svc");
    assert_eq!(fake.password(kind).as_deref(), Ok("of own secret"));
    annotate(&mut fake, "kafka.bank.svc:9092");
    assert_eq!(
        fake.password(kind).unwrap_err(),
        "ClusterTriggerAuthentication auth is not for kafka.shop.svc:9092: its annotation lagscale.io/bootstrap-hosts allows kafka.bank.svc:9092"
    );
}

#[test]
fn with_restricted_access_only_secrets_of_the_own_namespace_are_named() {
    let spec = json!({"secretTargetRef": [
        {"parameter": "username", "name": "secret", "key": "user"},
        {"parameter": "password", "name": "secret", "key": "password"},
    ]});
    let variable = json!({"secretKeyRef": {"name": "secret", "key": "user"}});
    let container = json!({"name": "main", "env": [{"name": "X", "valueFrom": variable}]});
    let mut fake = Fake::new(&spec, &container);
    fake.rules.restricted = true;
    let cluster = fake.password("ClusterTriggerAuthentication");
    assert_eq!(cluster.as_deref(), Ok("of own secret"));
    let error = fake.resolve("", &json!({"topicFromEnv": "X"})).unwrap_err();
    for said in [
        "Secret shop/secret is not read (for parameter password): --restrict-secret-access allows those of namespace own only",
        "variable X of container main of Deployment shop/app comes from a Secret, which --restrict-secret-access keeps from being read",
    ] {
        assert!(error.contains(said), "{said:?} is not in {error:?}");
    }
    let references = fake.resolved("", &json!({"topicFromEnv": "X"})).references;
    assert!(references.into_iter().eq([deployment()]));
}

#[test]
fn who_may_only_name_a_cluster_s_authentication_can_t_weaken_it() {
    let mut fake = Fake::new(
        &json!({"secretTargetRef": [
            {"parameter": "username", "name": "secret", "key": "user"},
            {"parameter": "password", "name": "secret", "key": "password"},
        ]}),
        &json!({"name": "main"}),
    );
    let plain = json!({"sasl": "plaintext", "tls": "disable"});
    let unsafe_ssl = json!({"sasl": "scram_sha512", "tls": "enable", "unsafeSsl": "true"});
    let scram = json!({"sasl": "scram_sha512", "tls": "enable"});
    let annotate = |fake: &mut Fake, key: &str| {
        let annotations = BTreeMap::from([(key.to_owned(), "true".to_owned())]);
        Arc::make_mut(&mut fake.cluster).metadata.annotations = Some(annotations);
    };
    let withheld = |fake: &Fake, metadata: &Value| {
        fake.resolve("ClusterTriggerAuthentication", metadata).err()
    };
    for (metadata, said, consent) in [
        (
            &plain,
            "plaintext without tls",
            "lagscale.io/allow-plain-without-tls",
        ),
        (
            &unsafe_ssl,
            "unsafeSsl: true",
            "lagscale.io/allow-unsafe-ssl",
        ),
    ] {
        let why = withheld(&fake, metadata).unwrap();
        assert!(why.contains(said) && why.contains(consent), "{why}");
        annotate(&mut fake, consent);
        assert_eq!(withheld(&fake, metadata), None);
        Arc::make_mut(&mut fake.cluster).metadata.annotations = None;
        let own = fake.resolve("TriggerAuthentication", metadata);
        assert!(own.is_ok(), "a namespace's own is its owner's affair");
    }
    assert_eq!(withheld(&fake, &scram), None);
    fake.rules.cluster_needs_hosts = true;
    let why = withheld(&fake, &scram).unwrap();
    assert!(
        why.contains("which --cluster-auth-needs-hosts demands"),
        "{why}"
    );
}

#[test]
fn what_a_cluster_s_authentication_says_itself_goes_before_the_trigger() {
    let of =
        |parameter: &str, key: &str| json!({"parameter": parameter, "name": "map", "key": key});
    let mut fake = Fake::new(
        &json!({
            "configMapTargetRef": [of("tls", "tls"), of("sasl", "sasl")],
            "secretTargetRef": [
                {"parameter": "username", "name": "secret", "key": "user"},
                {"parameter": "password", "name": "secret", "key": "password"},
            ],
        }),
        &json!({"name": "main"}),
    );
    for namespace in ["own", "shop"] {
        let values = [("tls", "enable"), ("sasl", "scram_sha512")];
        let values = values.map(|(key, value)| (key.to_owned(), value.into()));
        let map = Reference::ConfigMap((namespace.to_owned(), "map".to_owned()));
        fake.contents
            .insert(map, Some(Content::Values(Parameters::from(values).into())));
    }
    let weak = json!({"tls": "disable", "sasl": "plaintext"});
    let cluster = fake.resolve("ClusterTriggerAuthentication", &weak).unwrap();
    assert!(cluster.security.tls.is_some());
    assert_eq!(cluster.sasl, "scram_sha512");
    let own = fake.resolve("TriggerAuthentication", &weak).unwrap();
    assert!(own.security.tls.is_none(), "as in KEDA");
}

#[test]
fn no_value_of_a_secret_is_repeated_in_an_error() {
    let secret = |name: &str, key: &str| json!({"name": name, "valueFrom": {"secretKeyRef": {"name": "secret", "key": key}}});
    let container = json!({"name": "main", "env": [
        secret("PASSWORD", "password"), {"name": "HIDDEN", "value": "x-$(PASSWORD)"}, {"name": "HOST", "value": "kafka:9092"},
    ]});
    for (parameter, metadata) in [
        ("sasl", json!({})),
        ("tls", json!({})),
        ("saslTokenProvider", json!({})),
        ("kerberosDisableFAST", json!({})),
        ("none", json!({"topicFromEnv": "PASSWORD"})),
        (
            "none",
            json!({"consumerGroupFromEnv": "HIDDEN", "consumerGroup": ""}),
        ),
        (
            "none",
            json!({"bootstrapServersFromEnv": "PASSWORD", "bootstrapServers": ""}),
        ),
        (
            "none",
            json!({"bootstrapServersFromEnv": "HIDDEN", "bootstrapServers": ""}),
        ),
    ] {
        let spec = json!({"secretTargetRef": [{"parameter": parameter, "name": "secret", "key": "password"}]});
        let fake = Fake::new(&spec, &container);
        let said = fake.resolve("", &metadata).unwrap_err();
        assert!(
            !said.contains("of secret"),
            "{parameter} {metadata}: {said}"
        );
    }
}
