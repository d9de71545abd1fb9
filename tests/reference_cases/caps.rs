//! Rows about what is served for a lag, and what a stock HPA makes of it.

use fixture::Bench;
use std::collections::{BTreeMap, BTreeSet};

use lagscale::scaling::even;
use serde_json::json;

use crate::{Outcome, Row};

pub fn next_factor(row: &Row) -> Outcome {
    let number = |key: &str| row[key].as_i64().unwrap();
    let threshold = number("threshold");
    let found = even(number("lag"), number("partitions"), threshold) / threshold;
    if row["expect"] == found {
        Ok(())
    } else {
        Err(found.to_string())
    }
}

/// The factors that any lag can come to.
pub fn factors(row: &Row) -> Outcome {
    let partitions = row["n"].as_i64().unwrap();
    let found: BTreeSet<i64> = (1..=partitions)
        .map(|lag| even(lag, partitions, 1))
        .collect();
    if row["expect"] == json!(found) {
        Ok(())
    } else {
        Err(format!("{found:?}"))
    }
}

pub fn lags(row: &Row) -> Vec<i64> {
    numbers(&row["lags"])
}

fn numbers(list: &Row) -> Vec<i64> {
    let numbers = list.as_array().into_iter().flatten();
    numbers.map(|n| n.as_i64().unwrap()).collect()
}

/// Reads the partitions of a row. Where `activationLags` differ, that much is persistent: its commit has not moved for a
/// polling interval.
pub fn read_lags(row: &Row, bench: &mut Bench) {
    let lags = lags(row);
    let whole = numbers(&row["activationLags"]);
    let whole = if whole.is_empty() {
        lags.clone()
    } else {
        whole
    };
    let pairs: Vec<(i64, i64)> = whole.iter().map(|l| (100, 100 + l)).collect();
    bench.read(&pairs);
    let since = bench.snapshot.clone();
    let persistent = |id: usize| lags[id] != whole[id];
    if (0..lags.len()).any(persistent) {
        bench.after(bench.plan.polling.as_secs());
        bench.read(&pairs);
        let before = since.unwrap();
        for id in (0..lags.len()).filter(|id| persistent(*id)) {
            let id = i32::try_from(id).unwrap();
            let now = bench.now;
            bench.change(id, |slot| {
                let mut track = before.groups["g"].topics.get("t").unwrap()[&id]
                    .track
                    .unwrap();
                track.at = now;
                slot.track = Some(track);
            });
        }
    }
}

/// docs/lag.md, "How many replicas", for a row without the switches that replace it: metric and replicas of a stock HPA. `None` with them.
pub fn wanted(row: &Row) -> Option<(i64, i64)> {
    if ["allowIdleConsumers", "ensureEvenDistributionOfPartitions"]
        .iter()
        .any(|s| row[*s] == true)
    {
        return None;
    }
    let lags = lags(row);
    let threshold = row["lagThreshold"].as_i64()?;
    let sum: i64 = lags.iter().sum();
    let bound = i64::try_from(lags.len()).ok()?;
    let lagging = i64::try_from(lags.iter().filter(|l| **l > 0).count()).ok()?;
    let current = row["expect"]["cur"].as_i64()?;
    let max = bound.min(100);
    let metric = if row["limitToPartitionsWithLag"] == true && lagging < max {
        sum.min(lagging * threshold)
    } else if (sum + threshold - 1) / threshold >= max && max >= 2 {
        sum.max((max - 1) * threshold * 11 / 10 + 1)
    } else {
        sum
    };
    Some((metric, desired(metric, threshold, current, max)))
}

/// The replicas that a stock HPA asks for, at most `max`.
fn desired(metric: i64, threshold: i64, current: i64, max: i64) -> i64 {
    if current == 0 {
        return 0;
    }
    let within = (10 * metric - 10 * threshold * current).abs() <= threshold * current;
    let wanted = if within {
        current
    } else {
        (metric + threshold - 1) / threshold
    };
    wanted.clamp(1, max)
}

/// The row's object, read twice, with the HPA as we want it.
fn settled(row: &Row) -> Bench {
    let mut metadata = json!({"lagThreshold": row["lagThreshold"].to_string()});
    for switch in [
        "allowIdleConsumers",
        "limitToPartitionsWithLag",
        "ensureEvenDistributionOfPartitions",
        "activationLagThreshold",
    ] {
        if !row[switch].is_null() {
            metadata[switch] = row[switch].to_string().into();
        }
    }
    if row["activationLags"].is_array() {
        metadata["excludePersistentLag"] = "true".into();
    }
    let mut bench = Bench::with(&json!({}), &metadata);
    read_lags(row, &mut bench);
    bench.follow();
    bench.evaluate();
    bench.after(5);
    read_lags(row, &mut bench);
    bench
}

/// The value that is served, and the replicas that the HPA makes of it.
pub fn capped(row: &Row) -> (i64, i64) {
    let mut bench = settled(row);
    let served = bench.served().unwrap();
    let max = i64::from(bench.evaluate().max);
    let threshold = row["lagThreshold"].as_i64().unwrap();
    let current = row["expect"]["cur"].as_i64().unwrap();
    (served, desired(served, threshold, current, max))
}

pub fn cap(row: &Row) -> Outcome {
    let (metric, desired) = capped(row);
    let expected = &row["expect"];
    let active = settled(row).evaluate().metrics[0].active;
    if expected["active"] != active {
        return Err(format!("active: {active}"));
    }
    if expected["metric"] == metric && expected["desired"] == desired {
        Ok(())
    } else {
        Err(format!(
            "expected {}, found {metric} and {desired}",
            **expected
        ))
    }
}

/// Which partitions are read: each lags by a power of two of its own.
pub fn topic_partitions(row: &Row) -> Outcome {
    let mut bench = Bench::with(
        &json!({}),
        &json!({"partitionLimitation": *row["partitionLimitation"]}),
    );
    let existing = row["existing"].as_array().into_iter().flatten();
    let existing = existing.map(|id| i32::try_from(id.as_i64().unwrap()).unwrap());
    let pairs: BTreeMap<i32, (i64, i64)> = existing.map(|id| (id, (0, 1 << id))).collect();
    bench.read_partitions(&pairs);
    let value = bench.evaluate().metrics[0].value.clone();
    let found = value.map(|v| {
        let read = pairs.keys().filter(|id| v.lag & (1 << **id) != 0);
        json!(read.collect::<Vec<_>>())
    });
    let expected = &row["expect"];
    match (expected.as_str(), &found) {
        (None, Ok(ids)) if *expected == *ids => Ok(()),
        (Some(error), Err(why)) if why.text.contains(error.trim_start_matches("error: ")) => Ok(()),
        _ => Err(format!("expected {}, found {found:?}", **expected)),
    }
}
