//! Rows in prose about what one bad answer does to a trigger: what is served then, and what is said. The answers themselves
//! are tests/poll.rs's, which asks a cluster that misbehaves.

use fixture::{Bench, ready};
use std::sync::Arc;

use lagscale::snapshot::{GroupSnapshot, Trouble};
use serde_json::json;

use crate::{Outcome, Row, departures::Departure};

type Code = fn() -> Outcome;

/// By how a rule begins.
const RULES: [(&str, Code); 9] = [
    ("topic metadata answers an error code", topic_error),
    ("topic given but metadata lists 0 or 2+ topics", topic_error),
    ("no partition left after partitionLimitation", no_partition),
    ("offset fetch call fails", group_error),
    (
        "partition missing in the offset fetch answer",
        one_partition,
    ),
    (
        "partition error code in the offset fetch answer",
        one_partition,
    ),
    ("leader unknown for one partition", one_partition),
    ("any partition error code in ListOffsets", one_partition),
    ("one leader broker unreachable", one_partition),
];

pub fn is_bound(row: &Row) -> bool {
    code(row).is_some()
}

fn code(row: &Row) -> Option<Code> {
    let rule = row["rule"].as_str()?;
    let found = RULES.iter().find(|(begin, _)| rule.starts_with(begin));
    found.map(|(_, code)| *code)
}

pub fn query_error(row: &Row) -> Outcome {
    code(row).ok_or("no code for it")?()
}

/// One partition's trouble fails the whole query there, and not here.
pub const ONE_PARTITION: Departure = Departure {
    section: "whole_query_errors",
    holds: |row| code(row).is_some_and(|c| std::ptr::fn_addr_eq(c, one_partition as Code)),
    instead: |_| one_partition(),
    why: "one failing partition fails all: its last pair stands and the value never scales in",
};

/// The whole trigger is unknown: never read, it serves nothing, and says what the broker said.
fn withheld(bench: &mut Bench, text: &str) -> Outcome {
    match bench.served() {
        Err(error) if error.contains(text) => Ok(()),
        found => Err(format!("expected {text:?}, found {found:?}")),
    }
}

fn topic_error() -> Outcome {
    let text = "error describing topics: topic t does not exist";
    let mut bench = Bench::new(&json!({}));
    bench.read(&[]);
    let snapshot = bench.snapshot.as_mut().unwrap();
    let topic = snapshot.topics.get_mut("t").unwrap();
    topic.trouble = Some(Trouble::passing(text));
    topic.reads = 0;
    withheld(&mut bench, text)
}

fn no_partition() -> Outcome {
    let text = "expected at least one active partition within the topic";
    let mut bench = Bench::with(&json!({}), &json!({"partitionLimitation": "7"}));
    bench.read(&[(0, 1)]);
    withheld(&mut bench, text)?;
    let mut none = Bench::new(&json!({}));
    none.read(&[]);
    withheld(&mut none, text)
}

fn group_error() -> Outcome {
    let text = "error listing consumer group offsets: group g: GROUP_AUTHORIZATION_FAILED";
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 1)]);
    let snapshot = bench.snapshot.as_mut().unwrap();
    let group = GroupSnapshot {
        trouble: Some(Trouble::configuration(text)),
        polled: true,
        ..GroupSnapshot::default()
    };
    snapshot.groups.insert("g".into(), Arc::new(group));
    withheld(&mut bench, text)
}

fn one_partition() -> Outcome {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 10), (0, 10)]);
    bench.follow();
    let whole = bench.served()?;
    bench.after(5);
    bench.read(&[(10, 10), (0, 10)]);
    bench.trouble(1, "its leader is unknown");
    let (partial, said) = (bench.served()?, ready(&mut bench));
    if partial < whole || said.status != "True" || !said.message.contains("its leader is unknown") {
        return Err(format!("{whole}, then {partial}: {said:?}"));
    }
    // Never read at all, it is the sum that is not known.
    let mut fresh = Bench::new(&json!({}));
    fresh.read(&[(0, 10), (0, 10)]);
    fresh.change(1, |slot| slot.track = None);
    fresh.trouble(1, "its leader is unknown");
    withheld(&mut fresh, "its leader is unknown")
}
