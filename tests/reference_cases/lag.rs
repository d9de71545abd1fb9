//! Rows about what one partition counts for.

use fixture::Bench;
use std::time::Duration;

use lagscale::{
    lag::{Counting, Isolation, Moment, Policy, Reading, Track, sum},
    snapshot::Trouble,
};
use serde_json::{Value, json};

use crate::{Outcome, Row};

pub fn partition_lag(row: &Row) -> Outcome {
    counts(row, row["expect"].get(0).and_then(Value::as_i64).unwrap())
}

pub fn counts(row: &Row, expected: i64) -> Outcome {
    let lag = sum([&track(row)], counting(row), Moment::now()).lag;
    if lag == expected {
        Ok(())
    } else {
        Err(format!("expected {expected}, found {lag}"))
    }
}

/// Two partitions, of which the first may have no commit.
pub fn retained_lag(row: &Row) -> Outcome {
    let expected = &row["expect"];
    // Requests are the poll's, however a trigger counts; both kinds count alike.
    let _ = (row["kind"].as_str(), expected["requests"].as_i64());
    let active = expected["active"].as_bool().unwrap();
    retained(row, expected["metric"].as_i64().unwrap(), active)
}

pub fn retained(row: &Row, lag: i64, active: bool) -> Outcome {
    let tracks = [track(&row["p0"]), track(&row["p1"])];
    let found = sum(&tracks, counting(row), Moment::now());
    if (found.lag, found.activation > 0) == (lag, active) {
        Ok(())
    } else {
        let (lag, activation) = (found.lag, found.activation);
        Err(format!("found {lag}, {activation} for activation"))
    }
}

/// A start that is no number is one that the brokers did not tell.
fn track(partition: &Row) -> Track {
    let committed = partition["c"].as_i64().unwrap();
    Track::begin(Reading {
        committed: (committed >= 0).then_some(committed),
        end: partition["end"].as_i64().unwrap(),
        start: partition["start"].as_i64().filter(|start| *start >= 0),
        topic_id: None,
        stable: None,
        leader_epoch: None,
        at: Moment::now(),
    })
}

fn counting(row: &Row) -> Counting {
    Counting {
        policy: if row["policy"] == "earliest" {
            Policy::Earliest
        } else {
            Policy::Latest
        },
        isolation: Isolation::default(),
        zero_without_commit: row["scaleToZeroOnInvalidOffset"] == true,
        exclude_persistent_after: None,
    }
}

/// Readings of one partition, a polling interval apart.
pub fn persistent(row: &Row, expected: &Value) -> Outcome {
    let interval = Duration::from_secs(30);
    let begin = Moment::now();
    let mut track: Option<Track> = None;
    for (step, pair) in (0_u32..).zip(row["seq"].as_array().unwrap()) {
        let committed = pair[0].as_i64().unwrap();
        let reading = Reading {
            committed: (committed >= 0).then_some(committed),
            end: pair[1].as_i64().unwrap(),
            start: Some(0),
            topic_id: None,
            stable: None,
            leader_epoch: None,
            at: begin.later(interval * step),
        };
        match &mut track {
            Some(track) => track.take(reading),
            None => track = Some(Track::begin(reading)),
        }
        let counting = Counting {
            policy: Policy::Latest,
            isolation: Isolation::default(),
            zero_without_commit: false,
            exclude_persistent_after: Some(interval),
        };
        let found = sum(&track, counting, reading.at);
        let wanted = &expected[step as usize];
        if json!([found.lag, found.activation]) != *wanted {
            return Err(format!("step {step}: expected {wanted}, found {found:?}"));
        }
    }
    Ok(())
}

/// The steps of a row: committed offset, `None` without one, and log end offset.
fn steps(row: &Row) -> Vec<(Option<i64>, i64)> {
    let steps = row["seq"].as_array().unwrap().iter();
    steps
        .map(|s| (s[0].as_i64().filter(|c| *c >= 0), s[1].as_i64().unwrap()))
        .collect()
}

/// docs/departures.md for each step: counted lag and activation.
pub fn steps_here(row: &Row) -> Vec<(i64, i64)> {
    let steps = steps(row);
    let first = steps[0].1;
    let lagged = |(committed, end): (Option<i64>, i64)| committed.is_some_and(|c| c < end);
    let step = |(n, (committed, end)): (usize, &(Option<i64>, i64))| match committed {
        None => ((end - first).max(1), (end - first).max(1)),
        Some(c) => {
            let before = n.checked_sub(1).map(|b| steps[b]);
            let stuck = before.is_some_and(|b| b.0 == *committed && lagged(b));
            (if stuck { 0 } else { end - c }, end - c)
        }
    };
    steps.iter().enumerate().map(step).collect()
}

/// The reference's: a commit that is the one of the step before is persistent, whatever the lag was then.
pub fn steps_there(row: &Row) -> Vec<(i64, i64)> {
    let steps = steps(row);
    let step = |(n, (committed, end)): (usize, &(Option<i64>, i64))| match committed {
        None => (1, 1),
        Some(c) => {
            let before = n.checked_sub(1).map(|b| steps[b].0);
            let stuck = before == Some(*committed);
            (if stuck { 0 } else { end - c }, end - c)
        }
    };
    steps.iter().enumerate().map(step).collect()
}

/// A partition that an answer left out is unknown, and with it the sum.
pub fn absent(_: &Row) -> Outcome {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 5), (0, 5)]);
    bench.change(1, |slot| {
        slot.track = None;
        slot.trouble = Some(Trouble::passing("its leader left it out of its answer"));
    });
    match bench.served() {
        Err(error) if error.contains("left it out") => Ok(()),
        found => Err(format!("{found:?}")),
    }
}
