//! Prints the table of docs/accuracy.md: readings beside the truth, for some minutes.
#![allow(clippy::print_stdout, reason = "what it is for")]
#![allow(clippy::expect_used, reason = "a part that does not start is said")]

use std::time::Duration;

use bed::{
    Kafka, KafkaOptions, Verdict,
    accuracy::{Pace, Play, play},
};
use clap::Parser;

/// Readings beside the truth on a real broker, as a Markdown table.
#[derive(Parser)]
struct Args {
    /// Seconds for each group of rows.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let dir = tempfile::tempdir().expect("a folder");
    let kafka = Kafka::start(dir.path(), "kafka", &KafkaOptions::default()).await;
    println!(
        "| records/s | partitions | read every | member | readings | negative | too low | mean lag read | true | too high: p50, p99, most | sent meanwhile, most | above that | gap in ms: p50, p99 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for (produced, partitions, every) in [
        (100, 3, 1000),
        (2000, 12, 1000),
        (20_000, 12, 1000),
        (20_000, 12, 5000),
    ] {
        let topic = format!("t-{produced}-{every}");
        let member = |name: &str, consumed, commits| Pace {
            group: format!("{topic}-{name}"),
            consumed,
            commits: Duration::from_millis(commits),
        };
        let members = vec![
            member("at the end, commits each 50 ms", u32::MAX, 50),
            member(
                "at 9/10 of the pace, commits each s",
                produced / 10 * 9,
                1000,
            ),
            member("at half the pace, commits each 5 s", produced / 2, 5000),
        ];
        let acts = Play {
            topic: topic.clone(),
            partitions,
            produced,
            every: Duration::from_millis(every),
            span: Duration::from_secs(args.seconds),
            members,
        };
        let verdicts = play(&kafka, &acts).await;
        for (member, verdict) in acts.members.iter().zip(verdicts) {
            let name = member
                .group
                .trim_start_matches(&topic)
                .trim_start_matches('-');
            println!(
                "| {produced} | {partitions} | {} s | {name} | {} |",
                every / 1000,
                row(verdict)
            );
        }
    }
}

fn row(mut verdict: Verdict) -> String {
    let readings = i64::try_from(verdict.readings.max(1)).unwrap_or(1);
    let (least, most) = verdict.truth;
    let beyond = verdict.overstated();
    verdict.over.sort_unstable();
    verdict.allowed.sort_unstable();
    verdict.gaps.sort_unstable();
    let over = |percent| at(&verdict.over, percent);
    let gap = |percent| at(&verdict.gaps, percent).as_millis();
    [
        verdict.readings.to_string(),
        verdict.negative.to_string(),
        verdict.understated.to_string(),
        (verdict.lag / readings).to_string(),
        format!("{} to {}", least.max(0) / readings, most / readings),
        format!("{}, {}, {}", over(50), over(99), over(100)),
        at(&verdict.allowed, 100).to_string(),
        beyond.to_string(),
        format!("{}, {}", gap(50), gap(99)),
    ]
    .join(" | ")
}

/// The value that `percent` of all are not above.
fn at<T: Copy + Default>(sorted: &[T], percent: usize) -> T {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .copied()
        .unwrap_or_default()
}
