//! The story step by step, and what has to be true at its end.

use std::{collections::BTreeMap, time::Instant};

use bed::{
    Bed, Lagscale, Observer, Pump, busy, root,
    story::{NAMESPACE, PARTITIONS, TOPIC, Times},
};
use lagscale::server::API_SERVICE;

use crate::chart;

/// Rows at rest before the story is over.
const QUIET: u32 = 3;

/// One moment of the story.
pub struct Row {
    /// Seconds since the records were asked for.
    pub second: f64,
    pub lag: i64,
    pub replicas: i32,
    /// Consumers that have partitions.
    pub busy: usize,
}

/// Plays it; the closing line, or which expectation failed.
pub async fn play(bed: &Bed, times: &Times, keep: bool) -> Result<String, String> {
    let here = std::env::current_exe().map_err(|e| e.to_string())?;
    println!("applying the manifests, starting lagscale, registering its APIService ...");
    bed.install(&root().join("manifests")).await;
    let mut lagscale = bed.lagscale(&here.with_file_name("lagscale"), &[], &BTreeMap::new());
    lagscale.ready().await;
    bed.available(API_SERVICE).await;

    println!(
        "making topic {TOPIC} with {PARTITIONS} partitions, the consumers, and the story's objects ..."
    );
    let observer = bed.story(&here, times).await;
    let mut pump = bed.story_pump(&here, times).await;
    if keep {
        by_hand(bed, &pump, &lagscale);
    }
    println!("GET /pump?count=100");
    let (code, said) = pump.pump("100").await;
    println!("{said}");
    if code != 200 {
        return Err(format!("the pump answered {code}"));
    }
    let begin = Instant::now();
    let rows = watch(bed, times, &observer, &lagscale, begin).await;
    let path = root().join("target/demo/story.svg");
    chart::draw(&rows, &path).map_err(|e| format!("the chart: {e}"))?;
    println!("chart: target/demo/story.svg");
    let verdict = verdict(bed, &observer, &rows, begin).await;
    if keep {
        match &verdict {
            Ok(line) => println!("{line}"),
            Err(why) => println!("story: FAILED: {why}"),
        }
        by_hand(bed, &pump, &lagscale);
        println!("up until Ctrl-C");
        std::future::pending::<()>().await;
    }
    verdict
}

/// Rows until everything is worked off and one consumer is left, or the deadline.
async fn watch(
    bed: &Bed,
    times: &Times,
    observer: &Observer,
    lagscale: &Lagscale,
    begin: Instant,
) -> Vec<Row> {
    println!(
        "{:>6}  {:>5}  {:<18} {:>8}  consumers with partitions",
        "second", "lag", "HPA target", "replicas"
    );
    let mut rows: Vec<Row> = Vec::new();
    let mut quiet = 0;
    let mut tick = tokio::time::interval(times.row);
    loop {
        tick.tick().await;
        let busy = busy(bed, NAMESPACE);
        let row = Row {
            second: begin.elapsed().as_secs_f64(),
            lag: lag(lagscale).await.unwrap_or(-1),
            replicas: observer.replicas().unwrap_or(0),
            busy: busy.len(),
        };
        let target = bed.story_target().await.unwrap_or_else(|e| e);
        println!(
            "{:>6.0}  {:>5}  {target:<18} {:>8}  {} {}",
            row.second,
            row.lag,
            row.replicas,
            row.busy,
            busy.join(" ")
        );
        let grown = rows.iter().any(|r| r.replicas > 1);
        let over = grown && row.lag == 0 && row.replicas == 1 && row.busy == 1;
        rows.push(row);
        quiet = if over { quiet + 1 } else { 0 };
        if quiet == QUIET || begin.elapsed() > times.deadline {
            return rows;
        }
    }
}

async fn verdict(
    bed: &Bed,
    observer: &Observer,
    rows: &[Row],
    begin: Instant,
) -> Result<String, String> {
    let (peak, end) = (observer.highest(), observer.replicas().unwrap_or(0));
    let highest = rows.iter().map(|r| r.lag).max().unwrap_or(0);
    let all_busy = rows.iter().map(|r| r.busy).max().unwrap_or(0);
    let seconds = begin.elapsed().as_secs();
    let expectations = [
        (
            peak == PARTITIONS,
            format!(
                "expected a peak of {PARTITIONS} replicas, saw {peak}: {:?}",
                observer.history()
            ),
        ),
        (
            end == 1,
            format!("expected 1 replica at the end, saw {end}"),
        ),
        (
            highest > 25,
            format!("expected the lag to climb past 25, saw {highest} at most"),
        ),
        (
            all_busy == 5,
            format!("expected 5 consumers with partitions, saw {all_busy} at most"),
        ),
        (
            rows.last().is_some_and(|r| r.lag == 0),
            "expected no lag at the end".into(),
        ),
        (
            bed.availability(API_SERVICE).await.is_ok(),
            "expected the APIService to be available at the end".into(),
        ),
    ];
    match expectations.into_iter().find(|(held, _)| !held) {
        Some((_, why)) => Err(why),
        None => Ok(format!(
            "story: partitions={PARTITIONS} peak={peak} final={end} highest-lag={highest} seconds={seconds} ok"
        )),
    }
}

/// The true lag, as lagscale's own metrics tell it.
async fn lag(lagscale: &Lagscale) -> Option<i64> {
    let (_, text) = bed::get(&lagscale.plain.to_string(), "/metrics").await;
    let line = text
        .lines()
        .find(|l| l.starts_with("lagscale_lag_records{"))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn by_hand(bed: &Bed, pump: &Pump, lagscale: &Lagscale) {
    let kubectl = bed.control_plane.kubectl_path();
    println!("by hand, in another terminal:");
    println!(
        "  export KUBECONFIG={}",
        bed.control_plane.kubeconfig().display()
    );
    if let Some(dir) = kubectl.parent() {
        println!("  export PATH={}:$PATH", dir.display());
    }
    println!("  kubectl get hpa -n {NAMESPACE} -w");
    println!("  kubectl get so -n {NAMESPACE}");
    println!(
        "  kubectl get --raw '/apis/external.metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/s0-kafka-{TOPIC}?labelSelector=scaledobject.keda.sh%2Fname%3Dkafka-scaledobject'"
    );
    println!("  curl 'http://{}/pump?count=100'", pump.address);
    println!("  curl http://{}/metrics", lagscale.plain);
}
