//! Resolving against things that are simply said to be there.

mod environment;
mod guard;

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::{
    controller::credentials::{Content, TokenPolicy, Workload},
    kafka::sasl::Sasl,
    triggers::Kafka,
};

/// The cluster's content. What it does not hold is missing; what holds nothing is being read.
struct Fake {
    authentication: Arc<TriggerAuthentication>,
    cluster: Arc<ClusterTriggerAuthentication>,
    contents: BTreeMap<Reference, Option<Content>>,
    rules: CredentialRules,
}

impl Lookup for Fake {
    fn authentication(&self, namespace: &str, name: &str) -> Option<Arc<TriggerAuthentication>> {
        (namespace == "shop" && name == "auth").then(|| self.authentication.clone())
    }

    fn cluster_authentication(&self, name: &str) -> Option<Arc<ClusterTriggerAuthentication>> {
        (name == "auth").then(|| self.cluster.clone())
    }

    fn find(&self, reference: &Reference) -> Found<'_> {
        Found::among(&self.contents, reference)
    }

    fn rules(&self) -> &CredentialRules {
        &self.rules
    }
}

impl Fake {
    /// A Secret and a ConfigMap in both namespaces, a token, a file, and a Deployment `app` with one container of `env`.
    fn new(spec: &Value, container: &Value) -> Self {
        let object = |kind: &str| {
            json!({
                "apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": {"name": "auth"}, "spec": spec,
            })
        };
        let name = |namespace: &str, name: &str| (namespace.to_owned(), name.to_owned());
        let values = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let values = pairs.map(|(k, v)| ((*k).to_owned(), (*v).into()));
            let values: Parameters = values.collect();
            Some(Content::Values(values.into()))
        };
        let template = json!({
            "metadata": {"labels": {"app": "web"}, "annotations": {"a/b": "note"}},
            "spec": {"serviceAccountName": "runner", "containers": [{"name": "side"}, container]},
        });
        Self {
            authentication: Arc::new(
                serde_json::from_value(object("TriggerAuthentication")).unwrap(),
            ),
            cluster: Arc::new(
                serde_json::from_value(object("ClusterTriggerAuthentication")).unwrap(),
            ),
            contents: BTreeMap::from([
                (
                    Reference::Secret(name("shop", "secret")),
                    values(&[("password", "of secret"), ("user", "u")]),
                ),
                (
                    Reference::Secret(name("own", "secret")),
                    values(&[("password", "of own secret"), ("user", "u")]),
                ),
                (
                    Reference::ConfigMap(name("shop", "map")),
                    values(&[("password", "of map"), ("topic", "orders")]),
                ),
                (
                    Reference::Token(name("shop", "account")),
                    values(&[("token", "of account")]),
                ),
                (
                    Reference::File("team/kafka.json".into()),
                    values(&[("password", "of file"), ("username", "u")]),
                ),
                (
                    deployment(),
                    Some(Content::Template(Template::of(&template))),
                ),
            ]),
            rules: CredentialRules {
                files: Some("/files".into()),
                ..CredentialRules::open()
            },
        }
    }

    /// The trigger, or why it is not asked.
    fn resolve(&self, kind: &str, metadata: &Value) -> Result<Kafka, String> {
        let resolved = self.resolved(kind, metadata);
        assert!(!resolved.waiting);
        match &resolved.plan.triggers[0].source {
            Ok(Source::Kafka(source)) => match &source.kafka.withheld {
                None => Ok((*source.kafka).clone()),
                Some(why) => Err(why.clone()),
            },
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn resolved(&self, kind: &str, metadata: &Value) -> Resolved {
        let mut trigger = json!({
            "type": "kafka",
            "metadata": {
                "bootstrapServers": "kafka.shop.svc:9092", "consumerGroup": "g", "sasl": "plaintext", "tls": "enable",
            },
            "authenticationRef": {"name": "auth", "kind": kind},
        });
        for (key, value) in metadata.as_object().into_iter().flatten() {
            trigger["metadata"][key] = value.clone();
        }
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {
                "scaleTargetRef": {"name": "app", "envSourceContainerName": "main"},
                "triggers": [trigger],
            },
        });
        resolve(Arc::new(serde_json::from_value(object).unwrap()), self)
    }

    fn password(&self, kind: &str) -> Result<String, String> {
        let kafka = self.resolve(kind, &json!({"topic": "t"}))?;
        match kafka.security.sasl {
            Some(Sasl::Password { password, .. }) => Ok(password.expose_secret().to_owned()),
            other => Err(format!("{other:?}")),
        }
    }
}

fn deployment() -> Reference {
    Reference::Workload(Workload {
        namespace: "shop".into(),
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        name: "app".into(),
    })
}

fn target(name: &str, key: &str) -> Value {
    json!([{"parameter": "password", "name": name, "key": key}])
}

fn main() -> Value {
    json!({"name": "main", "env": [{"name": "PASSWORD", "value": "of env"}]})
}

#[test]
fn of_two_sources_of_one_parameter_the_later_counts() {
    let user = json!({"parameter": "username", "name": "secret", "key": "user"});
    let mut spec = json!({"secretTargetRef": [user]});
    let variable = json!([{"parameter": "password", "name": "PASSWORD", "containerName": "main"}]);
    for (source, value, expected) in [
        ("env", variable, "of env"),
        ("configMapTargetRef", target("map", "password"), "of map"),
        (
            "secretTargetRef",
            json!([user, {"parameter": "password", "name": "secret", "key": "password"}]),
            "of secret",
        ),
        (
            "boundServiceAccountToken",
            json!([{"parameter": "password", "serviceAccountName": "account"}]),
            "of account",
        ),
        // It neither counts as a source, nor does KEDA's kafka read it.
        ("oauth2", json!({"type": "clientCredentials"}), "of account"),
        ("podIdentity", json!({"provider": "none"}), "of account"),
    ] {
        spec[source] = value;
        let password = Fake::new(&spec, &main()).password("");
        assert_eq!(password.as_deref(), Ok(expected), "{source}");
    }
    // A file is read instead of everything else.
    spec["filePath"] = "team/kafka.json".into();
    let password = Fake::new(&spec, &main()).password("ClusterTriggerAuthentication");
    assert_eq!(password.as_deref(), Ok("of file"));
}

#[test]
fn a_token_is_asked_for_only_where_an_audience_is_named_for_its_account() {
    let user = json!({"parameter": "username", "name": "secret", "key": "user"});
    let token = json!([{"parameter": "password", "serviceAccountName": "account"}]);
    let spec = json!({"secretTargetRef": [user], "boundServiceAccountToken": token});
    let mut fake = Fake::new(&spec, &main());
    fake.rules.tokens = TokenPolicy::new("", "").unwrap();
    let said = fake.password("").unwrap_err();
    let expected = "no configured token audience for service account shop/account in KEDA_SERVICE_ACCOUNT_TOKEN_AUDIENCES";
    assert!(said.contains(expected), "{said}");
    let resolved = fake.resolved("", &json!({"topic": "t"}));
    let asked = resolved.references.iter();
    let tokens = asked.filter(|r| matches!(r, Reference::Token(_)));
    assert_eq!(tokens.count(), 0);
    let named = r#"[{"audience": "kafka", "namespace": "shop", "serviceAccountName": "account"}]"#;
    fake.rules.tokens = TokenPolicy::new("enforce-audience", named).unwrap();
    assert_eq!(fake.password("").as_deref(), Ok("of account"));
}

/// A report from outside (R02): Knative names the keys of a client certificate in Secrets that have none.
#[test]
fn an_optional_parameter_whose_key_is_missing_is_absent_and_told() {
    for parameter in [
        "ca",
        "cert",
        "key",
        "keyPassword",
        "scopes",
        "oauthExtensions",
    ] {
        let refs = json!([
            {"parameter": "username", "name": "secret", "key": "user"},
            {"parameter": "password", "name": "secret", "key": "password"},
            {"parameter": parameter, "name": "secret", "key": "user.crt"},
        ]);
        let fake = Fake::new(&json!({"secretTargetRef": refs}), &main());
        let kafka = fake.resolve("", &json!({"tls": "enable"})).unwrap();
        assert!(kafka.security.sasl.is_some() && kafka.security.tls.is_some());
        let told = fake.resolved("", &json!({})).plan.triggers[0]
            .notice
            .clone();
        let expected =
            format!("Secret shop/secret has no key user.crt (for parameter {parameter})");
        assert_eq!(told.as_deref(), Some(expected.as_str()));
    }
    for parameter in [
        "username",
        "password",
        "sasl",
        "tls",
        "oauthTokenEndpointUri",
        "realm",
    ] {
        let refs = json!([{"parameter": parameter, "name": "secret", "key": "nope"}]);
        let fake = Fake::new(&json!({"secretTargetRef": refs}), &main());
        let said = fake.resolve("", &json!({"sasl": "none"})).unwrap_err();
        assert!(
            said.contains(&format!("(for parameter {parameter})")),
            "{said}"
        );
    }
}

#[test]
fn what_is_missing_is_named_and_the_trigger_is_not_asked() {
    let token = json!([{"parameter": "password", "serviceAccountName": "nobody"}]);
    let variable = |name: &str, container: &str| json!({"env": [{"parameter": "password", "name": name, "containerName": container}]});
    for (kind, spec, said) in [
        (
            "",
            json!({"secretTargetRef": target("nowhere", "k")}),
            "Secret shop/nowhere does not exist (for parameter password)",
        ),
        (
            "",
            json!({"secretTargetRef": target("secret", "k")}),
            "Secret shop/secret has no key k (for parameter password)",
        ),
        (
            "",
            json!({"configMapTargetRef": target("map", "k")}),
            "ConfigMap shop/map has no key k (for parameter password)",
        ),
        (
            "",
            json!({"boundServiceAccountToken": token}),
            "failed to get service account shop/nobody: it does not exist (for parameter password)",
        ),
        (
            "",
            variable("NOPE", "main"),
            "container main of Deployment shop/app has no variable NOPE (for parameter password)",
        ),
        (
            "",
            variable("NOPE", ""),
            "container side of Deployment shop/app has no variable NOPE",
        ),
        (
            "",
            variable("PASSWORD", "other"),
            "couldn't find container with name other on Target object",
        ),
        (
            "",
            json!({"hashiCorpVault": {"address": "a"}}),
            "TriggerAuthentication shop/auth: hashiCorpVault is not supported",
        ),
        (
            "",
            json!({"podIdentity": {"provider": "aws"}}),
            "podIdentity is not supported",
        ),
        (
            "",
            json!({"filePath": "team/kafka.json"}),
            "filePath is read of a ClusterTriggerAuthentication only",
        ),
        (
            "Elsewhere",
            json!({}),
            "unknown trigger auth kind Elsewhere",
        ),
        (
            "ClusterTriggerAuthentication",
            json!({"filePath": "x"}),
            "file x does not exist (ClusterTriggerAuthentication auth)",
        ),
        (
            "ClusterTriggerAuthentication",
            json!({"configMapTargetRef": target("map", "k")}),
            "ConfigMap own/map does not exist",
        ),
    ] {
        let error = Fake::new(&spec, &main()).password(kind).unwrap_err();
        assert!(error.contains(said), "{said:?} is not in {error:?}");
    }
    // Whatever else would do for the validation.
    let spec = json!({
        "configMapTargetRef": [{"parameter": "username", "name": "map", "key": "topic"}, {"parameter": "password", "name": "map", "key": "password"}],
        "secretTargetRef": target("nowhere", "k"),
    });
    let error = Fake::new(&spec, &main()).password("").unwrap_err();
    assert_eq!(
        error,
        "Secret shop/nowhere does not exist (for parameter password)"
    );
}

#[test]
fn nothing_is_said_of_an_object_while_something_it_names_is_being_read() {
    let spec = json!({"secretTargetRef": target("secret", "password")});
    let mut fake = Fake::new(&spec, &main());
    let secret = Reference::Secret(("shop".into(), "secret".into()));
    fake.contents.insert(secret.clone(), None);
    let resolved = fake.resolved("", &json!({}));
    assert!(resolved.waiting && resolved.references.contains(&secret));
    fake.contents.insert(deployment(), None);
    let resolved = fake.resolved("", &json!({"topicFromEnv": "PASSWORD"}));
    assert!(resolved.waiting && resolved.references.contains(&deployment()));
}

#[test]
fn nothing_of_an_object_that_is_too_large_is_looked_up_and_its_problem_says_why() {
    let trigger = json!({"type": "kafka", "metadata": {"bootstrapServersFromEnv": "B"}, "authenticationRef": {"name": "auth"}});
    let triggers = vec![trigger; 101];
    let object = json!({
        "metadata": {"name": "app", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"name": "app"}, "triggers": triggers},
    });
    let object: ScaledObject = serde_json::from_value(object).unwrap();
    let fake = Fake::new(&json!({}), &json!({"name": "main"}));
    let resolved = resolve(Arc::new(object), &fake);
    assert!(resolved.references.is_empty() && resolved.plan.triggers.is_empty());
    let problem = resolved.plan.problem.unwrap();
    assert!(
        problem.ends_with("spec.triggers: Too many: must have at most 100 items"),
        "{problem}"
    );
}
