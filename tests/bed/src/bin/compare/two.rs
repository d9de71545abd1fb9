//! Two lagscales on one cluster, each with the objects of a namespace of its own: the one that is registered asks the other for what is
//! not its own (docs/scale.md).

use std::{collections::BTreeMap, path::Path, time::Instant};

use bed::{Bed, BedOptions, ControlPlaneOptions, root};
use serde_json::{Value, json};

use crate::{
    costs, latency,
    run::{SETTLE, WINDOW, round, say},
    side::Side,
    work,
};

const NAMESPACES: [&str; 2] = ["left", "right"];

/// Gives each `objects` and returns a line for each.
pub async fn play(binary: &Path, objects: usize) -> Vec<Value> {
    let bed = Bed::start(&BedOptions {
        control_plane: ControlPlaneOptions {
            // The real default.
            hpa_sync: std::time::Duration::from_secs(15),
            ..ControlPlaneOptions::default()
        },
        ..BedOptions::default()
    })
    .await;
    work::topics(&bed).await;
    for namespace in NAMESPACES {
        bed.create_namespace(namespace).await;
    }
    let sides = start(&bed, binary).await;
    for (n, namespace) in NAMESPACES.iter().enumerate() {
        let own = n * objects..(n + 1) * objects;
        say(&format!("workloads and groups of {namespace}"));
        work::workloads(&bed, namespace, own.clone()).await;
        work::commits(&bed, own).await;
    }
    let begin = Instant::now();
    let grow = NAMESPACES.iter().enumerate().map(async |(n, namespace)| {
        work::objects(&bed, namespace, n * objects..(n + 1) * objects).await;
        let all = work::all_hpas(&bed, namespace, objects, Side::PATIENCE).await;
        all.then(|| round(begin.elapsed().as_secs_f64()))
    });
    let all_hpas = futures::future::join_all(grow).await;
    tokio::time::sleep(SETTLE).await;
    let cpu = || sides.each_ref().map(costs::cpu);
    let (before, begin) = (cpu(), Instant::now());
    tokio::time::sleep(WINDOW).await;
    let (after, seconds) = (cpu(), begin.elapsed().as_secs_f64());
    let mut lines = Vec::new();
    for (n, namespace) in NAMESPACES.iter().enumerate() {
        let first = n * objects;
        let series = latency::series(&bed.client(), namespace, first..first + objects).await;
        lines.push(json!({
            "side": format!("lagscale of {namespace}"), "objects": objects, "all_hpas_s": all_hpas[n],
            "rss_mb": round(costs::memory_mb(&sides[n], "VmRSS:")),
            "cpu_s_per_min": round((after[n] - before[n]) / seconds * 60.0),
            "get_through_apiserver": series,
        }));
    }
    lines
}

/// The registered one, of the first namespace, and the one that it asks, of the second.
async fn start(bed: &Bed, binary: &Path) -> [Side; 2] {
    let lease = [
        "--leader-election-id=another",
        "--pod-namespace=lagscale",
        "--service-name=another",
    ];
    let right = [&["--namespace=right"], &lease[..]].concat();
    let mut another = None;
    let first = bed
        .installed(&root().join("manifests"), |bed: &Bed| {
            let process = bed.another_lagscale(binary, &right, &BTreeMap::new());
            let backends = json!([{
                "name": "right", "match": {"namespaces": ["right"]},
                "service": {"namespace": "lagscale", "name": "another", "port": process.address.port()},
                "caBundle": bed.control_plane.serving_ca.pem,
            }]);
            another = Some(process);
            let left = [
                "--namespace=left",
                "--service-addresses=another.lagscale=127.0.0.1",
                &format!("--backends={backends}"),
            ];
            bed.lagscale(binary, &left, &BTreeMap::new())
        })
        .await;
    bed.allow_lease("another").await;
    [first, another.expect("the other")].map(|process| Side::Lagscale {
        process,
        binary: binary.to_owned(),
    })
}
