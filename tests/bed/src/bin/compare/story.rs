//! The seed's story with either side: how far it scales five partitions out, and what that does to the group.

use std::time::{Duration, Instant};

use bed::{
    Bed, Observer, busy, rebalances,
    story::{GROUP, NAMESPACE, QUICK, THRESHOLD, TOPIC},
    wait,
};
use serde_json::{Value, json};

use crate::{
    run::{round, say},
    side::{Kind, Side},
};

const SOON: Duration = Duration::from_secs(30);

/// One moment of it.
struct Row {
    /// Since the records were asked for.
    second: f64,
    lag: i64,
    replicas: i32,
    /// Consumers that have partitions.
    busy: usize,
}

/// Plays it once with records that come slowly and returns a line of what was seen.
pub async fn play(kind: &Kind) -> Value {
    let mut line = kind.keys();
    say(&format!("{line}: the story"));
    let bed = QUICK.bed().await;
    let _side = Side::start(kind, &bed).await;
    let here = std::env::current_exe().expect("this program");
    let observer = bed.story(&here, &QUICK).await;
    let mut pump = bed.story_pump(&here, &QUICK).await;
    let (code, said) = pump.pump("100").await;
    assert_eq!(code, 200, "{said}");
    let rows = watch(&bed, &observer).await;
    line["story"] = told(&rows, &observer, rebalances(&bed, NAMESPACE));
    say(&line.to_string());
    line
}

/// A row a second until all is worked off by one consumer, or the deadline.
async fn watch(bed: &Bed, observer: &Observer) -> Vec<Row> {
    let begin = Instant::now();
    let mut rows: Vec<Row> = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    while begin.elapsed() < QUICK.deadline {
        tick.tick().await;
        let row = Row {
            second: begin.elapsed().as_secs_f64(),
            lag: lag(bed).await,
            replicas: observer.replicas().unwrap_or(0),
            busy: busy(bed, NAMESPACE).len(),
        };
        let grown = rows.iter().any(|r| r.replicas > 1);
        let is_over = grown && row.lag == 0 && row.replicas == 1 && row.busy == 1;
        rows.push(row);
        if is_over {
            break;
        }
    }
    rows
}

/// Records behind the ends, as the broker tells them.
async fn lag(bed: &Bed) -> i64 {
    wait::until("the lag", SOON, async || {
        let ends = bed.kafka.ends(TOPIC).await?;
        let commits = bed.kafka.committed(GROUP, TOPIC).await?;
        Ok::<_, String>(ends.iter().sum::<i64>() - commits.iter().sum::<i64>())
    })
    .await
}

/// Sums over its rows, each of which lasts until the next.
fn told(rows: &[Row], observer: &Observer, rebalances: usize) -> Value {
    let lasts = |n: usize| {
        let end = rows.get(n + 1).map_or(rows[n].second, |next| next.second);
        end - rows[n].second
    };
    let sum = |of: &dyn Fn(&Row) -> f64| {
        let all = rows.iter().enumerate().map(|(n, row)| of(row) * lasts(n));
        round(all.sum())
    };
    let is_over = |row: &Row| row.lag > THRESHOLD * i64::from(row.replicas.max(1));
    let idle =
        |row: &Row| f64::from(row.replicas) - f64::from(u32::try_from(row.busy).unwrap_or(0));
    let drained = rows.iter().rev().find(|row| row.lag > 0);
    json!({
        "highest_replicas": observer.highest(),
        "rebalances": rebalances,
        "over_target_s": sum(&|row| f64::from(u8::from(is_over(row)))),
        "drained_s": drained.map(|row| round(row.second)),
        "consumer_s": sum(&|row| f64::from(row.replicas)),
        "idle_consumer_s": sum(&|row| idle(row).max(0.0)),
        "over_s": rows.last().map(|row| round(row.second)),
    })
}
