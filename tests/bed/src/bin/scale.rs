//! Measures lagscale with many quiet objects on a real control plane and a real Kafka, and prints one JSON line:
//! `cargo run --release -p bed --bin scale -- --objects 1000 --binary target/<target>/release/lagscale`.
#![allow(clippy::print_stdout, reason = "the line is what it is for")]
#![allow(
    clippy::expect_used,
    reason = "a part that does not start is said by the panic"
)]

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use bed::{Bed, BedOptions, Lagscale, wait};
use clap::Parser;
use futures::{StreamExt, stream};
use k8s_openapi::api::{apps::v1::StatefulSet, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use lagscale::{resources::ScaledObject, server::API_SERVICE};
use serde_json::{Value, json};

/// Objects are made by so many at once.
const AT_ONCE: usize = 16;
/// Groups share so many topics.
const TOPICS: usize = 20;
/// Ticks of `/proc/<pid>/stat` in a second.
const TICKS: f64 = 100.0;

/// Costs of many quiet objects, as one JSON line.
#[derive(Parser)]
struct Args {
    /// ScaledObjects.
    #[arg(long, default_value_t = 1_000)]
    objects: usize,
    /// The binary.
    #[arg(long)]
    binary: PathBuf,
    /// Seconds that are measured once everything is quiet.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Seconds that it is left alone before.
    #[arg(long, default_value_t = 60)]
    settle: u64,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let bed = Bed::start(&BedOptions::default()).await;
    bed.install(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../manifests"))
        .await;
    let mut lagscale = bed.lagscale(&args.binary, &[], &BTreeMap::new());
    lagscale.ready().await;
    bed.available(API_SERVICE).await;
    let namespace = bed.namespace("scale").await;
    for topic in 0..TOPICS {
        bed.kafka.create_topic(&format!("t{topic}"), 3).await;
    }
    let begin = Instant::now();
    make(&bed, &namespace, args.objects).await;
    let made = begin.elapsed();
    let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(bed.client(), &namespace);
    wait::until("all HPAs", Duration::from_secs(900), async || {
        let page = ListParams::default().limit(1);
        let list = hpas.list_metadata(&page).await.map_err(|e| e.to_string())?;
        let rest = list.metadata.remaining_item_count.unwrap_or(0);
        let count = list.items.len() + usize::try_from(rest).unwrap_or(0);
        (count >= args.objects)
            .then_some(())
            .ok_or_else(|| count.to_string())
    })
    .await;
    let all_hpas = begin.elapsed();
    tokio::time::sleep(Duration::from_secs(args.settle)).await;
    let before = Costs::of(&lagscale).await;
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let after = Costs::of(&lagscale).await;
    #[allow(clippy::cast_precision_loss, reason = "a measure")]
    let (objects, seconds) = (args.objects as f64, args.seconds as f64);
    let pid = lagscale.child.id();
    let each = |difference: f64| difference / seconds;
    let line = json!({
        "side": "lagscale", "objects": args.objects,
        "made_s": made.as_secs_f64(), "all_hpas_s": all_hpas.as_secs_f64(),
        "rss_mb": status_mb(pid, "VmRSS:"), "peak_mb": status_mb(pid, "VmHWM:"),
        "cpu_s_per_min": each(after.cpu - before.cpu) * 60.0,
        "broker_connections": after.broker_connections,
        "api_connections": bed::connections_to(pid, bed.control_plane.port),
        "kafka_requests_per_s": each(after.kafka_requests - before.kafka_requests),
        "steady_writes_per_min": each(after.writes - before.writes) * 60.0,
        "evaluations_per_object_per_s": each(after.evaluations - before.evaluations) / objects,
    });
    println!("{line}");
}

/// Counters of a process.
struct Costs {
    cpu: f64,
    kafka_requests: f64,
    writes: f64,
    evaluations: f64,
    broker_connections: f64,
}

impl Costs {
    async fn of(lagscale: &Lagscale) -> Self {
        let (_, text) = bed::get(&lagscale.plain.to_string(), "/metrics").await;
        let sum = |family: &str| {
            let of_family = |line: &&str| {
                let rest = line.strip_prefix(family);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            };
            let values = text.lines().filter(of_family);
            let values = values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            values.sum()
        };
        Self {
            cpu: cpu_seconds(lagscale.child.id()),
            kafka_requests: sum("lagscale_kafka_requests_total"),
            writes: sum("lagscale_writes_total"),
            evaluations: sum("lagscale_evaluations_total"),
            broker_connections: sum("lagscale_kafka_connections"),
        }
    }
}

/// User and system time so far.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process");
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = fields[11..13].iter().filter_map(|t| t.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// A line of `/proc/<pid>/status`.
fn status_mb(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix(name));
    let kib = line.and_then(|l| l.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) / 1024.0
}

/// Makes workloads that nothing runs, and an object for each: groups without a commit, which have no lag.
async fn make(bed: &Bed, namespace: &str, count: usize) {
    let workloads: Api<StatefulSet> = Api::namespaced(bed.client(), namespace);
    let objects: Api<ScaledObject> = Api::namespaced(bed.client(), namespace);
    let bootstrap = bed.kafka.plaintext_bootstrap();
    let make = |n: usize| {
        let (workload, object) = (workload(n), object(n, &bootstrap));
        let (workloads, objects) = (&workloads, &objects);
        async move {
            let params = PostParams::default();
            let workload = serde_json::from_value(workload).expect("a StatefulSet");
            workloads.create(&params, &workload).await.expect("made");
            let object = serde_json::from_value(object).expect("a ScaledObject");
            objects.create(&params, &object).await.expect("made");
        }
    };
    let all = stream::iter((0..count).map(make)).buffer_unordered(AT_ONCE);
    all.collect::<Vec<()>>().await;
}

fn workload(n: usize) -> Value {
    let labels = json!({"app": format!("app-{n:05}")});
    json!({
        "metadata": {"name": format!("app-{n:05}")},
        "spec": {
            "serviceName": "none", "replicas": 1, "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "none"}]},
            },
        },
    })
}

fn object(n: usize, bootstrap: &str) -> Value {
    json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": format!("app-{n:05}")},
        "spec": {
            "scaleTargetRef": {"kind": "StatefulSet", "name": format!("app-{n:05}")},
            "triggers": [{"type": "kafka", "metadata": {
                "bootstrapServers": bootstrap, "consumerGroup": format!("group-{n:05}"),
                "topic": format!("t{}", n % TOPICS), "lagThreshold": "10",
            }}],
        },
    })
}
