//! A password is changed, at the broker and then in the Secret: nobody who asks for the metric notices. A wrong one is told
//! while the connections that there are serve on; another reference counts at once.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use lagscale::resources::TriggerAuthentication;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.trial(
        "a rotated password leaves no gap, a wrong one is told while the old connections serve on, another reference counts at once",
        rotation,
    )]
}

async fn rotation(world: &World) {
    let scene = Scene::new(&world.bed, "rotation").await;
    let (kafka, user) = (&world.bed.kafka, scene.namespace.as_str());
    let put = async |password: &str| {
        let patch = json!({"stringData": {"username": user, "password": password}});
        scene.patch::<Secret>("kafka", &patch).await;
    };
    kafka.set_password(user, "first").await;
    put("first").await;
    let topic = scene.filled_topic("t", 3, 10).await;
    scene.idle("app", 1).await;
    // Not active: what a condition says of a trigger is then said of the whole object.
    let quiet = json!({"activationLagThreshold": "1000"});
    let trigger = scene.trigger(&topic, "g", &quiet);
    scene.scaled_object("app", &[trigger], &json!({})).await;
    let metric = format!("s0-kafka-{topic}");
    // A group without a commit that would begin at the end: 1 for each partition, and what came since it was first seen.
    scene.value_is("app", &metric, "3").await;
    kafka.produce(&topic, 0, 3).await;
    scene.value_is("app", &metric, "5").await;

    let asked = async {
        let mut least = 5;
        loop {
            let value = scene.value("app", &metric).await.unwrap();
            let value: i64 = value.parse().unwrap();
            assert!(value >= least, "{value} after {least}");
            least = value;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let rotated = async {
        kafka.set_password(user, "second").await;
        put("second").await;
        kafka.produce(&topic, 0, 1).await;
        scene.value_is("app", &metric, "6").await;
        scene.condition("app", "Ready", "True", "").await;

        put("wrong").await;
        let said = scene
            .condition("app", "Ready", "False", "login refused")
            .await;
        assert!(said.contains(&metric), "{said}");
        // By connections that are there: the broker would not let the first password in any more, and never this one.
        kafka.produce(&topic, 0, 1).await;
        scene.value_is("app", &metric, "7").await;

        kafka.set_password(user, "third").await;
        put("third").await;
        scene.condition("app", "Ready", "True", "").await;
        kafka.produce(&topic, 0, 1).await;
        scene.value_is("app", &metric, "8").await;
    };
    tokio::select! {
        () = asked => {}
        () = rotated => {}
    }

    // Another key or another Secret is another credential: what the former one reads is not its own.
    let point = async |secret: &str, key: &str| {
        let keys = ["sasl", "tls", "ca", "username", "password"];
        let target = |k| {
            let key = if k == "password" { key } else { k };
            json!({"parameter": k, "name": secret, "key": key})
        };
        let patch = json!({"spec": {"secretTargetRef": keys.map(target)}});
        scene.patch::<TriggerAuthentication>("kafka", &patch).await;
    };
    let withheld = async || {
        bed::wait::until("the value to be withheld", PATIENCE, async || {
            match scene.value("app", &metric).await {
                Err(why) if why.contains("login refused") => Ok(()),
                other => Err(other),
            }
        })
        .await;
    };
    let more = json!({"stringData": {"another": "of somebody else"}});
    scene.patch::<Secret>("kafka", &more).await;
    point("kafka", "another").await;
    withheld().await;
    point("kafka", "password").await;
    scene.value_is("app", &metric, "3").await;
    scene
        .secret("other", &kafka.ca.pem, "of somebody else")
        .await;
    point("other", "password").await;
    withheld().await;
}
