//! Rows about what one partition counts for.

use std::time::Duration;

use lagscale::lag::{Counting, Moment, Policy, Reading, Track, sum};
use serde_json::{Value, json};

use crate::Outcome;

pub fn partition_lag(row: &Value) -> Outcome {
    counts(row, row["expect"][0].as_i64().unwrap())
}

pub fn counts(row: &Value, expected: i64) -> Outcome {
    let committed = row["c"].as_i64().unwrap();
    let track = Track::begin(Reading {
        committed: (committed >= 0).then_some(committed),
        end: row["end"].as_i64().unwrap(),
        start: Some(0),
        topic_id: None,
        leader_epoch: None,
        at: Moment::now(),
    });
    let counting = Counting {
        policy: if row["policy"] == "earliest" {
            Policy::Earliest
        } else {
            Policy::Latest
        },
        zero_without_commit: row["scaleToZeroOnInvalidOffset"] == true,
        exclude_persistent_after: None,
    };
    let lag = sum([&track], counting, Moment::now()).lag;
    if lag == expected {
        Ok(())
    } else {
        Err(format!("expected {expected}, found {lag}"))
    }
}

/// Readings of one partition, a polling interval apart.
pub fn persistent(row: &Value, expected: &Value) -> Outcome {
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
            leader_epoch: None,
            at: begin.later(interval * step),
        };
        match &mut track {
            Some(track) => track.take(reading),
            None => track = Some(Track::begin(reading)),
        }
        let counting = Counting {
            policy: Policy::Latest,
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
