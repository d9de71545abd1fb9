//! Where fields and credentials may stand besides a Secret: ConfigMaps, the target's environment, the cluster's own
//! authentication, a service account's token; and that a change of any of them is followed.

use bed::{Kafka, wait};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::ConfigMap};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use lagscale::resources::{ClusterTriggerAuthentication, TriggerAuthentication};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("fields and credentials come from the target's environment and from ConfigMaps, and changes of both are followed", environment),
        shared.trial("a ConfigMap or a key of it that is gone is named by the object that misses it", nowhere),
        shared.trial("a ClusterTriggerAuthentication reads the cluster namespace and goes to no host that its annotation leaves out", cluster),
        shared.trial("a service account's token is asked for where an audience is mapped and as soon as lagscale may, and is never told", token),
    ]
}

/// The container that has them: the topic, and the ConfigMap of the rest.
fn container(topic: &str, settings: &str) -> Value {
    let field = json!({"fieldRef": {"fieldPath": "metadata.namespace"}});
    let password = json!({"secretKeyRef": {"name": "kafka", "key": "password"}});
    json!({
        "name": "main", "image": "idle", "envFrom": [{"configMapRef": {"name": settings}}],
        "env": [
            {"name": "NAMESPACE", "valueFrom": field},
            {"name": "TOPIC", "value": format!("$(NAMESPACE)-{topic}")},
            {"name": "USER", "value": Kafka::USER},
            {"name": "PASSWORD", "valueFrom": password},
        ],
    })
}

fn template(container: &Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [container]}}}})
}

/// An object whose fields and credentials stand in its Deployment and a ConfigMap, once its lag of 12 is served; returns its topics.
async fn from_environment(scene: &Scene<'_>) -> [String; 2] {
    let topic = scene.filled_topic("t", 5, 10).await;
    let other = scene.filled_topic("other", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    scene.commit_lag("g2", &topic, 5, 10, 7).await;
    scene.commit_lag("g2", &other, 5, 10, 9).await;
    let settings = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": scene.namespace},
        "data": {
            "BROKERS": scene.bed.kafka.bootstrap(), "GROUP": "g",
            "sasl": "scram_sha512", "tls": "enable", "ca": scene.bed.kafka.ca.pem,
        },
    });
    let keys = ["sasl", "tls", "ca"];
    let keys = keys.map(|k| json!({"parameter": k, "name": "settings", "key": k}));
    let authentication = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
        "metadata": {"name": "mixed", "namespace": scene.namespace},
        "spec": {
            "configMapTargetRef": keys,
            "env": [
                {"parameter": "username", "name": "USER"},
                {"parameter": "password", "name": "PASSWORD", "containerName": "main"},
            ],
        },
    });
    scene.bed.apply(&[settings, authentication]).await;
    scene
        .deployment("app", 1, &container("t", "settings"))
        .await;
    let trigger = json!({
        "type": "kafka",
        "metadata": {
            "bootstrapServersFromEnv": "BROKERS", "consumerGroupFromEnv": "GROUP", "topicFromEnv": "TOPIC",
            "lagThreshold": "5",
        },
        "authenticationRef": {"name": "mixed"},
    });
    scene.scaled_object("app", &[trigger], &json!({})).await;
    scene
        .value_is("app", &format!("s0-kafka-{topic}"), "12")
        .await;
    [topic, other]
}

async fn environment(world: &World) {
    let scene = Scene::new(&world.bed, "environment").await;
    let [topic, other] = from_environment(&scene).await;
    let group = json!({"data": {"GROUP": "g2"}});
    scene.patch::<ConfigMap>("settings", &group).await;
    scene
        .value_is("app", &format!("s0-kafka-{topic}"), "7")
        .await;
    let patch = template(&container("other", "settings"));
    scene.patch::<Deployment>("app", &patch).await;
    scene
        .value_is("app", &format!("s0-kafka-{other}"), "9")
        .await;
    scene.condition("app", "Ready", "True", "").await;
}

async fn nowhere(world: &World) {
    let scene = Scene::new(&world.bed, "env-nowhere").await;
    from_environment(&scene).await;
    let patch = template(&container("t", "nowhere"));
    scene.patch::<Deployment>("app", &patch).await;
    let said = scene
        .condition(
            "app",
            "Ready",
            "False",
            "error resolving secrets for ScaleTarget",
        )
        .await;
    let cause = "error reading config ref nowhere on namespace";
    assert!(said.contains(cause), "{said}");
    let patch = template(&container("t", "settings"));
    scene.patch::<Deployment>("app", &patch).await;
    scene.condition("app", "Ready", "True", "").await;
    // A reference that is gone is named by whoever misses it.
    let without = json!({"data": {"ca": null}});
    scene.patch::<ConfigMap>("settings", &without).await;
    let missing = format!("ConfigMap {}/settings has no key ca", scene.namespace);
    // Its broker's certificate needs one; the connections that stand serve on.
    scene.condition("app", "Ready", "Unknown", &missing).await;
}

async fn cluster(world: &World) {
    let scene = Scene::new(&world.bed, "cluster").await;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    scene.idle("app", 1).await;
    // Where lagscale runs, and under this scene's name, so that no other scenario meets it.
    let name = scene.namespace.as_str();
    let keys = ["sasl", "tls", "ca", "username", "password"];
    let targets = keys.map(|k| json!({"parameter": k, "name": name, "key": k}));
    scene.bed.apply(&[
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "lagscale"},
            "stringData": {
                "sasl": "scram_sha512", "tls": "enable", "ca": world.bed.kafka.ca.pem,
                "username": Kafka::USER, "password": Kafka::PASSWORD,
            },
        }),
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ClusterTriggerAuthentication",
            "metadata": {"name": name}, "spec": {"secretTargetRef": targets},
        }),
    ])
    .await;
    let all: Api<ClusterTriggerAuthentication> = Api::all(scene.bed.client());
    let annotate = async |list: &str| {
        let patch = json!({"metadata": {"annotations": {"lagscale.io/bootstrap-hosts": list}}});
        let params = PatchParams::default();
        all.patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap();
    };
    let mut trigger = scene.trigger(&topic, "g", &json!({}));
    trigger["authenticationRef"] = json!({"name": name, "kind": "ClusterTriggerAuthentication"});
    scene.scaled_object("app", &[trigger], &json!({})).await;
    let metric = format!("s0-kafka-{topic}");
    scene.value_is("app", &metric, "12").await;

    wait::until("its user in its status", PATIENCE, async || {
        let status = all.get(name).await.map_err(|e| e.to_string())?.status;
        let users = status.and_then(|s| s.scaledobjects);
        users.filter(|u| u == "app").ok_or_else(String::new)
    })
    .await;

    annotate("kafka.bank.svc:9093, *.example.com").await;
    let said = scene
        .condition(
            "app",
            "Ready",
            "False",
            "its annotation lagscale.io/bootstrap-hosts",
        )
        .await;
    let refused = format!("ClusterTriggerAuthentication {name} is not for localhost:");
    assert!(said.contains(&refused), "{said}");
    let unserved = scene.value("app", &metric).await.unwrap_err();
    assert!(unserved.contains(&refused), "{unserved}");
    annotate("localhost").await;
    scene.condition("app", "Ready", "True", "").await;
    scene.value_is("app", &metric, "12").await;

    // As KEDA left it: nobody else would take it off.
    let held = json!({"metadata": {"finalizers": ["finalizer.keda.sh"]}});
    let params = PatchParams::default();
    all.patch(name, &params, &Patch::Merge(held)).await.unwrap();
    all.delete(name, &DeleteParams::default()).await.unwrap();
    let missing = format!("ClusterTriggerAuthentication {name} does not exist");
    scene.condition("app", "Ready", "False", &missing).await;
}

/// The flag that lets the account of one scenario have a token.
pub const AUDIENCES: &str = r#"--service-account-token-audiences=[{"audience": "kafka", "namespace": "tokens", "serviceAccountName": "consumer"}]"#;

async fn token(world: &World) {
    let scene = Scene::named(&world.bed, "tokens").await;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    scene.idle("app", 1).await;
    let namespace = scene.namespace.as_str();
    let account = |name: &str| {
        let metadata = json!({"name": name, "namespace": namespace});
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    };
    let accounts = [account("consumer"), account("unmapped")];
    scene.bed.apply(&accounts).await;
    let bind = async |name: &str| {
        let bound = json!([{"parameter": "password", "serviceAccountName": name}]);
        let patch = json!({"spec": {"boundServiceAccountToken": bound}});
        scene.patch::<TriggerAuthentication>("kafka", &patch).await;
    };
    bind("unmapped").await;
    let trigger = scene.trigger(&topic, "g", &json!({}));
    scene.scaled_object("app", &[trigger], &json!({})).await;
    let unmapped = "no configured token audience for service account tokens/unmapped in KEDA_SERVICE_ACCOUNT_TOKEN_AUDIENCES";
    scene.condition("app", "Ready", "False", unmapped).await;
    bind("consumer").await;
    let said = scene
        .condition("app", "Ready", "False", "serviceaccounts/token")
        .await;
    let who =
        format!("ServiceAccount {namespace}/consumer could not be read (for parameter password)");
    assert!(said.contains(&who), "{said}");

    let group = "rbac.authorization.k8s.io";
    let metadata = json!({"name": "lagscale-token", "namespace": namespace});
    scene.bed.apply(&[
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": metadata,
            "rules": [{
                "apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["consumer"],
                "verbs": ["create"],
            }],
        }),
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "lagscale-token"},
            "subjects": [{"kind": "ServiceAccount", "name": "lagscale", "namespace": "lagscale"}],
        }),
    ])
    .await;
    // The broker is shown it, and does not take it for the password it is not.
    let said = scene
        .condition("app", "Ready", "False", "uthentication")
        .await;
    // Every such token begins with the same three letters.
    assert!(!said.contains("eyJ"), "no secret is told: {said}");
    let patch = json!({"spec": {"boundServiceAccountToken": null}});
    scene.patch::<TriggerAuthentication>("kafka", &patch).await;
    let metric = format!("s0-kafka-{topic}");
    scene.value_is("app", &metric, "12").await;
}
