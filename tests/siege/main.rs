//! The siege: lagscale as it ships, on a real control plane and a real Kafka, while everybody who needs no right at all, a hostile
//! broker and a tenant do their worst for three minutes. Nobody else may notice. `make static` builds the binary.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod besieged;
mod broker;
#[allow(dead_code, reason = "tests/e2e uses the rest of it")]
#[path = "../e2e/scene.rs"]
mod scene;
mod strangers;
mod tenant;
mod wide;
#[allow(dead_code, reason = "tests/e2e uses the rest of it")]
#[path = "../e2e/world.rs"]
mod world;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use bed::{Bed, BedOptions, Lagscale, wait};
use besieged::Besieged;
use futures::future::join_all;
use kube::Client;
use lagscale::server::API_SERVICE;
use scene::Scene;
use serde_json::{Value, json};

const HONEST: i64 = 50;
const PARTITIONS: i32 = 5;
const LASTS: Duration = Duration::from_secs(180);
/// The memory that the shipped limit leaves room to, in KiB.
const MOST_KIB: u64 = 200 * 1024;

/// Fifty objects, each with a lag of its own on one topic: path and value of their metrics.
async fn honest(scene: &Scene<'_>) -> Vec<(String, String)> {
    let topic = scene.filled_topic("t", PARTITIONS, 100).await;
    let made = (0..HONEST).map(async |n| {
        let (name, lag) = (format!("app{n}"), 10 + n);
        scene.commit_lag(&name, &topic, PARTITIONS, 100, lag).await;
        scene.idle(&name, 1).await;
        let trigger = scene.trigger(&topic, &name, &json!({}));
        let spec = json!({"maxReplicaCount": 1});
        scene.scaled_object(&name, &[trigger], &spec).await;
        let path = format!(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/{}/s0-kafka-{topic}?labelSelector=scaledobject.keda.sh%2Fname%3D{name}",
            scene.namespace
        );
        (path, lag.to_string())
    });
    join_all(made).await
}

/// The value that kube-apiserver answers in lagscale's name.
async fn asked(client: &Client, path: &str) -> Result<String, String> {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let answer = client.request::<Value>(request).await;
    let list = answer.map_err(|e| e.to_string())?;
    let value = list["items"][0]["value"].as_str();
    Ok(value.unwrap_or("none").to_owned())
}

/// Asks for one metric after the other until told to stop: how long each answer took, and what was wrong.
async fn ask_all(
    client: Client,
    metrics: Vec<(String, String)>,
    stop: Arc<AtomicBool>,
) -> (Vec<Duration>, Vec<String>) {
    let (mut took, mut wrong) = (Vec::new(), Vec::new());
    for (path, expected) in metrics.iter().cycle() {
        if strangers::ended(&stop) {
            break;
        }
        let begin = Instant::now();
        match asked(&client, path).await {
            Ok(value) if value == *expected => took.push(begin.elapsed()),
            other => wrong.push(format!("{path}: {other:?} instead of {expected}")),
        }
    }
    (took, wrong)
}

fn percentile(took: &mut [Duration], of: usize) -> Duration {
    took.sort_unstable();
    let at = took.len() * of / 100;
    took.get(at).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_s_object_broker_token_or_socket_costs_another_a_reading() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut bed = Bed::start(&BedOptions::default()).await;
    bed.install(&world::root().join("manifests")).await;
    let env = BTreeMap::from([("LAGSCALE_LOG".to_owned(), "info".to_owned())]);
    let (besieged, mut lagscale) = Besieged::start(&bed, &env);
    lagscale.ready().await;
    bed.available(API_SERVICE).await;
    let failed = besiege(&bed, &mut lagscale, &besieged).await;
    drop(lagscale);
    if let Some(failed) = failed {
        panic!("{failed}\nlogs are kept in {}", bed.keep().display());
    }
}

/// The promises that were not held, if any.
async fn besiege(bed: &Bed, lagscale: &mut Lagscale, besieged: &Besieged) -> Option<String> {
    let scene = Scene::new(bed, "honest").await;
    let metrics = honest(&scene).await;
    let client = bed.client();
    wait::until("all honest values", world::PATIENCE, async || {
        for (path, expected) in &metrics {
            match asked(&client, path).await {
                Ok(value) if value == *expected => {}
                other => return Err(format!("{path}: {other:?}")),
            }
        }
        Ok(())
    })
    .await;
    let lease = besieged::lease(bed).await;
    let quiet = besieged.peak_kib();

    let stop = Arc::<AtomicBool>::default();
    let asking = tokio::spawn(ask_all(client, metrics.clone(), stop.clone()));
    let strangers = strangers::begin(bed, lagscale, &stop);
    let hostile = broker::begin(bed, &stop).await;
    let wide = if besieged.is_limited() {
        vec![wide::begin(bed, &stop).await]
    } else {
        Vec::new()
    };
    let tenant = tenant::begin(bed, &stop).await;
    let mut wrong = besieged.watch(bed, lagscale, LASTS).await;
    // Ready although a hundred objects are not read yet, and will not be.
    let mut second = bed.lagscale(&bed::shipped(), &[], &BTreeMap::new());
    second.ready().await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let (mut took, unanswered) = asking.await.unwrap();
    let counts = [strangers, wide, vec![hostile, tenant]].concat();
    let peak = besieged.peak_kib();
    println!(
        "siege: {} GETs, p50 {:?}, p99 {:?}; peak {} KiB (quiet {quiet}); {}",
        took.len(),
        percentile(&mut took, 50),
        percentile(&mut took, 99),
        peak,
        besieged.limit(),
    );
    for count in &counts {
        println!("siege: {count}");
        if count.is_nothing() {
            wrong.push(format!("{count}: it did not attack"));
        }
    }
    wrong.extend(unanswered);
    if peak >= MOST_KIB {
        wrong.push(format!(
            "{peak} KiB were resident, at most {MOST_KIB} may be"
        ));
    }
    let after = besieged::lease(bed).await;
    if after != lease {
        wrong.push(format!("the Lease went over: {lease:?}, then {after:?}"));
    }
    if took.len() < metrics.len() {
        wrong.push(format!("{} GETs were answered", took.len()));
    }
    let count = wrong.len();
    wrong.truncate(20);
    (count > 0).then(|| format!("{count} things went wrong:\n{}", wrong.join("\n")))
}
