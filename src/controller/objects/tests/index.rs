//! From a change to the objects that it is about.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    super::Change,
    stage::{
        AUTHENTICATIONS, CLUSTER_AUTHENTICATIONS, SCALED_OBJECTS, Stage, kafka, scaled_object,
    },
};
use crate::controller::credentials::{Content, Reference};

fn secret(name: &str) -> Reference {
    Reference::Secret(("shop".into(), name.into()))
}

fn values(password: &str) -> Content {
    let values = [("username", "alice"), ("password", password)];
    let values = values.map(|(k, v)| (k.to_owned(), v.into()));
    let values: crate::triggers::Parameters = values.into();
    Content::Values(values.into())
}

/// Reads both of username and password from this Secret.
fn authentication(kind: &str, name: &str, secret: &str) -> Value {
    let from = |parameter: &str| json!({"parameter": parameter, "name": secret, "key": parameter});
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "shop", "uid": format!("uid of {name}"), "generation": 1},
        "spec": {"secretTargetRef": [from("username"), from("password")]},
    })
}

/// Logs in by this authentication.
fn with_login(name: &str, reference: &Value) -> Value {
    let mut trigger = kafka(&json!({"sasl": "plaintext"}));
    trigger["authenticationRef"] = reference.clone();
    scaled_object(name, &json!({"triggers": [trigger]}))
}

/// `app` logs in by TriggerAuthentication `auth`, which names Secret `login`.
fn logged_in() -> Stage {
    let mut stage = Stage::new();
    stage
        .held
        .contents
        .insert(secret("login"), Some(values("first")));
    stage.put(
        AUTHENTICATIONS,
        authentication("TriggerAuthentication", "auth", "login"),
    );
    stage.put(SCALED_OBJECTS, with_login("app", &json!({"name": "auth"})));
    stage
}

fn ready_text(stage: &mut Stage) -> String {
    stage.after(40);
    stage.condition("Ready").2
}

#[test]
fn what_an_object_names_is_followed_and_nothing_else() {
    let mut stage = logged_in();
    assert_eq!(stage.followed, BTreeSet::from([secret("login")]));
    stage.delete(SCALED_OBJECTS, "app");
    assert!(stage.followed.is_empty());
}

#[test]
fn what_two_objects_name_is_followed_until_both_are_gone() {
    let mut stage = logged_in();
    stage.put(SCALED_OBJECTS, with_login("b", &json!({"name": "auth"})));
    stage.delete(SCALED_OBJECTS, "app");
    assert_eq!(stage.followed, BTreeSet::from([secret("login")]));
    stage.delete(SCALED_OBJECTS, "b");
    assert!(stage.followed.is_empty());
}

#[test]
fn an_authentication_that_is_not_there_is_told_and_found_when_it_comes() {
    let mut stage = Stage::new();
    stage
        .held
        .contents
        .insert(secret("login"), Some(values("first")));
    stage.put(SCALED_OBJECTS, with_login("app", &json!({"name": "auth"})));
    assert!(stage.asked.is_empty());
    let text = ready_text(&mut stage);
    assert!(text.contains("auth"), "{text}");
    stage.put(
        AUTHENTICATIONS,
        authentication("TriggerAuthentication", "auth", "login"),
    );
    assert_eq!(stage.asked.len(), 1);
    stage.read(&[(0, 0)]);
    assert_eq!(stage.condition("Ready").0, "True");
}

#[test]
fn a_secret_that_is_not_there_is_told_and_found_when_it_comes() {
    let mut stage = logged_in();
    stage.held.contents.remove(&secret("login"));
    stage.note(Change::Content(secret("login")));
    let text = ready_text(&mut stage);
    assert!(text.contains("login"), "{text}");
    stage
        .held
        .contents
        .insert(secret("login"), Some(values("first")));
    stage.note(Change::Content(secret("login")));
    stage.read(&[(0, 0)]);
    assert_eq!(stage.condition("Ready").0, "True");
}

#[test]
fn while_a_secret_is_read_for_the_first_time_nothing_is_asked_or_said() {
    let mut stage = Stage::new();
    stage.held.contents.insert(secret("login"), None);
    stage.put(
        AUTHENTICATIONS,
        authentication("TriggerAuthentication", "auth", "login"),
    );
    stage.put(SCALED_OBJECTS, with_login("app", &json!({"name": "auth"})));
    stage.after(5);
    assert!(stage.asked.is_empty() && stage.writes().is_empty());
    assert_eq!(stage.followed, BTreeSet::from([secret("login")]));
    stage
        .held
        .contents
        .insert(secret("login"), Some(values("first")));
    stage.note(Change::Content(secret("login")));
    assert_eq!(stage.asked.len(), 1);
}

#[test]
fn an_object_serves_on_while_a_secret_that_it_names_now_is_being_read() {
    let mut stage = logged_in();
    stage.read(&[(0, 3)]);
    stage.held.contents.insert(secret("other"), None);
    stage.put(
        AUTHENTICATIONS,
        authentication("TriggerAuthentication", "auth", "other"),
    );
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(3)));
    assert_eq!(stage.asked.len(), 1);
}

#[test]
fn a_changed_value_is_another_cluster_and_the_former_one_serves_until_it_has_read_everything() {
    let mut stage = logged_in();
    stage.read(&[(0, 3)]);
    stage
        .held
        .contents
        .insert(secret("login"), Some(values("second")));
    stage.note(Change::Content(secret("login")));
    assert_eq!(stage.asked.len(), 2, "make before break");
    assert_eq!(
        stage.asked.values().filter(|(_, dialled)| *dialled).count(),
        1
    );
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(3)));
    stage.read(&[(0, 4)]);
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(4)));
    assert_eq!(stage.asked.len(), 1, "the former one is not asked any more");
}

#[test]
fn a_value_that_is_put_back_is_dialled_again() {
    let mut stage = logged_in();
    stage.read(&[(0, 3)]);
    for password in ["second", "first"] {
        stage
            .held
            .contents
            .insert(secret("login"), Some(values(password)));
        stage.note(Change::Content(secret("login")));
    }
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(3)));
    assert!(stage.asked.values().all(|(_, dialled)| *dialled));
    assert_eq!(stage.asked.len(), 1);
}

#[test]
fn another_secret_is_no_new_value_of_the_one_before() {
    let mut stage = logged_in();
    stage.read(&[(0, 3)]);
    stage
        .held
        .contents
        .insert(secret("other"), Some(values("second")));
    let mut other = authentication("TriggerAuthentication", "auth", "other");
    other["metadata"]["generation"] = json!(2);
    stage.put(AUTHENTICATIONS, other);
    assert_eq!(stage.asked.len(), 1);
    assert!(matches!(stage.served("s0-kafka-t"), Some(Err(_))));
}

#[test]
fn an_authentication_made_anew_is_another_one() {
    let mut stage = logged_in();
    stage.read(&[(0, 3)]);
    let mut anew = authentication("TriggerAuthentication", "auth", "login");
    anew["metadata"]["uid"] = json!("another");
    stage
        .held
        .contents
        .insert(secret("login"), Some(values("second")));
    stage.put(AUTHENTICATIONS, anew);
    assert_eq!(stage.asked.len(), 1);
    assert!(matches!(stage.served("s0-kafka-t"), Some(Err(_))));
}

#[test]
fn an_authentication_that_goes_takes_the_demand_with_it() {
    let mut stage = logged_in();
    stage.read(&[(0, 3)]);
    stage.delete(AUTHENTICATIONS, "auth");
    assert!(stage.asked.is_empty());
    assert!(matches!(stage.served("s0-kafka-t"), Some(Err(_))));
}

#[test]
fn a_cluster_s_authentication_is_followed_in_the_namespace_of_the_cluster() {
    let mut stage = Stage::new();
    let mut auth = authentication("ClusterTriggerAuthentication", "auth", "login");
    auth["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("namespace");
    stage.put(CLUSTER_AUTHENTICATIONS, auth.clone());
    let reference = json!({"name": "auth", "kind": "ClusterTriggerAuthentication"});
    let mut object = with_login("app", &reference);
    object["spec"]["triggers"][0]["metadata"]["tls"] = json!("enable");
    stage.put(SCALED_OBJECTS, object);
    let place = |namespace: &str| Reference::Secret((namespace.to_owned(), "login".to_owned()));
    assert_eq!(stage.followed, BTreeSet::from([place("own")]));
    stage
        .held
        .contents
        .insert(place("own"), Some(values("first")));
    stage.note(Change::Content(place("own")));
    assert_eq!(stage.asked.len(), 1);
}

#[test]
fn a_change_of_an_authentication_plans_the_objects_that_name_it_and_no_others() {
    let mut stage = logged_in();
    stage.put(SCALED_OBJECTS, with_login("b", &json!({"name": "auth"})));
    stage.put(SCALED_OBJECTS, scaled_object("c", &json!({})));
    let before = stage.evaluations();
    stage.put(
        AUTHENTICATIONS,
        authentication("TriggerAuthentication", "auth", "login"),
    );
    assert_eq!(stage.evaluations() - before, 2);
    let before = stage.evaluations();
    stage.put(
        AUTHENTICATIONS,
        authentication("TriggerAuthentication", "nobody-s", "login"),
    );
    assert_eq!(stage.evaluations() - before, 0);
}

#[test]
fn a_list_anew_finds_what_came_and_what_went_meanwhile() {
    let mut stage = Stage::with(&json!({}));
    stage.read(&[(0, 3)]);
    stage.deaf = true;
    stage.state(|s| {
        s.delete(SCALED_OBJECTS, "app");
        s.workloads.insert("b".into(), 1);
        s.put(
            SCALED_OBJECTS,
            scaled_object(
                "b",
                &json!({"triggers": [kafka(&json!({"consumerGroup": "h"}))]}),
            ),
        );
    });
    stage.deaf = false;
    stage.note(Change::Everything);
    assert_eq!(
        stage.served("s0-kafka-t").map(|s| s.is_err()),
        Some(true),
        "b's"
    );
    let groups: Vec<_> = stage
        .asked
        .values()
        .flat_map(|(groups, _)| groups)
        .collect();
    assert_eq!(groups, ["h"]);
}

#[test]
fn an_object_with_a_problem_of_its_own_is_not_asked_for() {
    let mut stage = Stage::with(&json!({"minReplicaCount": 5, "maxReplicaCount": 2}));
    stage.after(10);
    assert!(stage.asked.is_empty());
    assert_eq!(stage.condition("Ready").1, "ScaledObjectCheckFailed");
    assert_eq!(stage.hpa("maxReplicas"), json!(null));
}
