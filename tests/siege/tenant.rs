//! A tenant who may create objects in a namespace, one checked by the webhooks and one that is not: the worst of every field,
//! applied and deleted again and again.

use std::sync::{Arc, atomic::AtomicBool};

use bed::{Bed, list};
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, PostParams},
    core::GroupVersionKind,
};
use serde_json::{Value, json};

use crate::strangers::{Count, ended};

/// About as much as etcd takes of one object.
const LARGEST: usize = 1_000_000;

pub async fn begin(bed: &Bed, stop: &Arc<AtomicBool>) -> Count {
    let count = Count::of("objects of a tenant");
    for namespace in [
        bed.namespace("tenant").await,
        bed.unchecked_namespace("tenant").await,
    ] {
        let (client, stop, count) = (bed.client(), stop.clone(), count.clone());
        tokio::spawn(async move { apply(&client, &namespace, &stop, &count).await });
    }
    count
}

async fn apply(client: &Client, namespace: &str, stop: &AtomicBool, count: &Count) {
    let objects = objects(namespace);
    for object in &objects[..] {
        if object["kind"] == "ConfigMap" && made(client, object).await {
            count.add();
        }
    }
    while !ended(stop) {
        for object in objects
            .iter()
            .filter(|object| object["kind"] != "ConfigMap")
        {
            if ended(stop) {
                return;
            }
            if made(client, object).await {
                count.add();
                let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
                let (name, params) = (
                    object.metadata.name.clone().unwrap(),
                    DeleteParams::default(),
                );
                tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
                let _ = api(client, &object).delete(&name, &params).await;
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

fn api(client: &Client, object: &DynamicObject) -> Api<DynamicObject> {
    let types = object.types.as_ref().unwrap();
    let (group, version) = types
        .api_version
        .rsplit_once('/')
        .unwrap_or(("", &types.api_version));
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &types.kind));
    Api::namespaced_with(
        client.clone(),
        object.metadata.namespace.as_deref().unwrap(),
        &kind,
    )
}

/// Whether it was taken: webhooks and the API server's own limits refuse some.
async fn made(client: &Client, object: &Value) -> bool {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let api = api(client, &object);
    api.create(&PostParams::default(), &object).await.is_ok()
}

fn objects(namespace: &str) -> Vec<Value> {
    let scaled = |name: &str, spec: Value| {
        json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": name, "namespace": namespace}, "spec": spec,
        })
    };
    let target = json!({"name": "app"});
    let kafka = |field: &str, value: String| {
        let mut metadata = json!({"bootstrapServers": "127.0.0.1:1", "consumerGroup": "g"});
        metadata[field] = value.into();
        json!({"type": "kafka", "metadata": metadata})
    };
    let one = |name: &str, trigger: Value| {
        scaled(
            name,
            json!({"scaleTargetRef": target, "triggers": [trigger]}),
        )
    };
    let many = |name: &str, count: usize, trigger: &dyn Fn(usize) -> Value| {
        let triggers: Vec<Value> = (0..count).map(trigger).collect();
        scaled(
            name,
            json!({"scaleTargetRef": target, "triggers": triggers}),
        )
    };
    let mut objects = vec![
        one(
            "patterns-15k",
            kafka("topics", list(15_000, |n| format!("\\w{n}"))),
        ),
        one(
            "patterns",
            kafka("topics", list(LARGEST, |n| format!("\\w{n}"))),
        ),
        one(
            "repeats",
            kafka("topics", list(8_000, |n| format!("(a{{100}}){{100}}{n}"))),
        ),
        one("names", kafka("topics", list(LARGEST, |n| format!("t{n}")))),
        one(
            "ranges",
            kafka("partitionLimitation", "0-99999,".repeat(LARGEST / 8)),
        ),
        one(
            "servers",
            kafka("bootstrapServers", list(LARGEST, |n| format!("b{n}:9092"))),
        ),
        many("crons", 5_000, &|n| {
            json!({"type": "cron", "metadata": {
                "timezone": "UTC", "start": "0 0 29 2 *", "end": "1 0 29 2 *", "desiredReplicas": n.to_string(),
            }})
        }),
        many("clusters", 3_000, &|n| {
            kafka("bootstrapServers", format!("nowhere{n}.invalid:9092"))
        }),
        many("dead", 90, &|n| {
            kafka("bootstrapServers", format!("nowhere{n}.invalid:9092"))
        }),
        scaled(
            "formula",
            json!({
                "scaleTargetRef": target, "triggers": [kafka("topic", "t".into())],
                "advanced": {"scalingModifiers": {"target": "1", "formula": "(".repeat(LARGEST)}},
            }),
        ),
    ];
    let mut deep = json!("x");
    for _ in 0..500 {
        deep = json!({"a": deep});
    }
    objects.push(json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
        "metadata": {"name": "deep", "namespace": namespace},
        "spec": {"hashiCorpVault": {"address": "a", "authentication": "a", "secrets": [], "credential": deep}},
    }));
    // More than a namespace's objects may name together, each named by one.
    let maps = (0..12).map(|n| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": format!("map{n}"), "namespace": namespace},
            "data": {"a": "x".repeat(250_000), "b": "x".repeat(250_000), "c": "x".repeat(250_000), "ca": "x".repeat(200_000)},
        })
    });
    objects.extend(maps);
    let authentications: Vec<Value> = (0..12)
        .map(|n| json!({"parameter": "ca", "name": format!("map{n}"), "key": "ca"}))
        .collect();
    objects.push(json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
        "metadata": {"name": "maps", "namespace": namespace}, "spec": {"configMapTargetRef": authentications},
    }));
    let mut trigger = kafka("topic", "t".into());
    trigger["authenticationRef"] = json!({"name": "maps"});
    objects.push(one("maps", trigger));
    objects
}
