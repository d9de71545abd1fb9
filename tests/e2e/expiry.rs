//! A commit that expires while its workload sleeps at zero replicas: nothing wakes it but a record, and then by its number.

use std::time::Duration;

use bed::{Lagscale, Observer, wait};
use futures::future::join_all;
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, Yard, leads, run, series, ticks},
};

const POLICIES: [&str; 2] = ["earliest", "latest"];
const GONE: &str =
    "the commit is gone (expired, or deleted with its group); the last one, 10, stands";

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.counted(
        "commits that expire while the workload sleeps are remembered over a restart: it sleeps on, and wakes by the first record",
        expired,
    )]
}

async fn expired(yard: &Yard) {
    let scene = Scene::new(&yard.bed, "expired").await;
    let kafka = &yard.bed.kafka;
    let topic = scene.filled_topic("t", 1, 10).await;
    let set = async |policy: &'static str| {
        kafka.commit(policy, &topic, &[(0, 10)]).await;
        scene.idle(policy, 1).await;
        let observer = scene.observe(policy).await;
        let metadata = json!({"offsetResetPolicy": policy, "lagThreshold": "1000"});
        let trigger = scene.trigger(&topic, policy, &metadata);
        let spec = json!({"minReplicaCount": 0, "maxReplicaCount": 1, "cooldownPeriod": 1});
        scene.scaled_object(policy, &[trigger], &spec).await;
        observer
    };
    let observers = join_all(POLICIES.map(set)).await;
    let mut lagscale = launch(&scene).await;
    all_reach(&scene, &observers, 0).await;
    kafka.delete_offsets("earliest", &topic, &[0]).await;
    kafka.delete_group("latest").await;
    for policy in POLICIES {
        scene.condition(policy, "Ready", "True", GONE).await;
    }
    all_sleep(&scene, &observers).await;

    lagscale.child.kill();
    drop(lagscale);
    let lagscale = launch(&scene).await;
    ticks(&lagscale, 2).await;
    all_sleep(&scene, &observers).await;
    kafka.produce(&topic, 0, 1).await;
    all_reach(&scene, &observers, 1).await;
    for policy in POLICIES {
        scene.condition(policy, "Ready", "True", GONE).await;
        let own = format!("scaledObject=\"{policy}\"");
        wait::until("a lag of the one record", PATIENCE, async || {
            let lags = series(&lagscale, "lagscale_lag_records").await;
            let lag = lags.iter().find(|(labels, _)| labels.contains(&own));
            match lag {
                Some((_, lag)) if (lag - 1.0).abs() < 0.5 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

/// A process of its own that sees the scene's namespace only.
async fn launch(scene: &Scene<'_>) -> Lagscale {
    let namespace = format!("--namespace={}", scene.namespace);
    let mut lagscale = run(scene.bed, &[&namespace]);
    scene.bed.balancer.remove(lagscale.address);
    lagscale.ready().await;
    leads(&lagscale).await;
    lagscale
}

async fn all_reach(scene: &Scene<'_>, observers: &[Observer], replicas: i32) {
    join_all(observers.iter().map(|o| scene.reaches(o, replicas))).await;
}

async fn all_sleep(scene: &Scene<'_>, observers: &[Observer]) {
    let span = Duration::from_secs(5);
    join_all(observers.iter().map(|o| scene.keeps(o, 0, span))).await;
}
