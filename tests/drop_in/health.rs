//! Argo CD's own script judges what lagscale tells of the forty objects: Degraded is what somebody has to change, and an outage of Kafka, which
//! passes by itself, makes nothing Degraded that was not.

use std::collections::{BTreeMap, BTreeSet};

use bed::{Bed, parts::argo_health, wait};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams},
    core::GroupVersionKind,
};
use mlua::{Lua, LuaSerdeExt, Table};
use serde_json::Value;

use crate::turn::{NAMESPACE, PATIENCE};

/// Argo CD's words by object.
type Health = BTreeMap<String, String>;

fn health(script: &str, object: &Value) -> String {
    let lua = Lua::new();
    let object = lua.to_value(object).unwrap();
    lua.globals().set("obj", object).unwrap();
    let judged: Table = lua.load(script).eval().unwrap();
    judged.get("status").unwrap()
}

async fn objects(bed: &Bed) -> BTreeMap<String, Value> {
    let kind = GroupVersionKind::gvk("keda.sh", "v1alpha1", "ScaledObject");
    let api: Api<DynamicObject> =
        Api::namespaced_with(bed.client(), NAMESPACE, &ApiResource::from_gvk(&kind));
    let all = api.list(&ListParams::default()).await.unwrap().items;
    let named = all.into_iter().map(|object| {
        let name = object.metadata.name.clone().unwrap();
        (name, serde_json::to_value(object).unwrap())
    });
    named.collect()
}

fn judged(objects: &BTreeMap<String, Value>) -> Health {
    let script = argo_health();
    let each = objects
        .iter()
        .map(|(name, object)| (name.clone(), health(&script, object)));
    each.collect()
}

fn is(object: &Value, kind: &str, status: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|c| c["type"] == kind && c["status"] == status)
}

/// The objects that somebody has to change, and those whose author asked for a fallback, which Argo CD calls Degraded while it stands.
fn degraded(health: &Health) -> BTreeSet<&str> {
    let degraded = health.iter().filter(|(_, health)| *health == "Degraded");
    degraded.map(|(name, _)| name.as_str()).collect()
}

/// Judges the objects as they are, and once more while no broker answers.
pub async fn is_degraded_only_where_somebody_has_to_change_something(bed: &Bed, wrong: &[&str]) {
    let before = judged(&objects(bed).await);
    assert_eq!(
        degraded(&before),
        wrong.iter().copied().collect(),
        "{before:#?}"
    );
    bed.kafka.freeze(0);
    let unreachable = |objects: &BTreeMap<String, Value>| {
        let read = objects.values().filter(|o| is(o, "KafkaReachable", "True"));
        read.count()
    };
    let during = wait::until("every object to tell of the outage", PATIENCE, async || {
        let all = objects(bed).await;
        match unreachable(&all) {
            0 => Ok(all),
            left => Err(format!("{left} do not tell")),
        }
    })
    .await;
    let told = during.values().filter(|o| is(o, "KafkaReachable", "False"));
    assert!(told.count() >= 10);
    let health = judged(&during);
    let fallback = during.iter().filter(|(_, o)| is(o, "Fallback", "True"));
    let fallback: BTreeSet<&str> = fallback.map(|(name, _)| name.as_str()).collect();
    let allowed = &degraded(&before) | &fallback;
    let new: Vec<_> = degraded(&health).difference(&allowed).copied().collect();
    assert!(new.is_empty(), "the outage makes {new:?} Degraded");
    bed.kafka.thaw(0);
}
