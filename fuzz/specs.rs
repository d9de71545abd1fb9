//! Texts that people and other programs write: reviews, triggers, patterns, formulas, schedules, statuses, files. Each is taken with
//! a count of the bytes and of the pieces of memory that it took, which every step of a parser takes.

use std::collections::BTreeMap;

use allocation_counter::measure;
use lagscale::{
    certificates::Kept,
    cli::Properties,
    kafka::{Topics, inputs::scram as exchange, oauth::is_token},
    scaling::{Formula, remembered_partitions},
    server::{
        fuzz,
        webhooks::{Hook, Request, Subject, Surroundings},
    },
    triggers::{self, Parameters, Sources, Trigger},
};

/// Bytes and pieces of memory for each byte of an input, and a sum of each for what any input costs: a union of patterns is
/// compiled, a hundred thousand partitions may be meant by nine letters.
const BYTES: (u64, u64) = (64, 24 << 20);
const PIECES: (u64, u64) = (4, 300_000);

type Take = fn(&str);

const TARGETS: [(&str, Take); 11] = [
    ("review", review),
    ("triggers", trigger),
    ("patterns", patterns),
    ("formula", formula),
    ("schedule", schedule),
    ("scram", scram),
    ("token_answer", token_answer),
    ("remembered", remembered),
    ("kept", kept),
    ("trust", trust),
    ("properties", properties),
];

/// Takes what `target` is about; false where it is none of these.
pub fn taken(target: &str, input: &[u8]) -> bool {
    let Some((_, take)) = TARGETS.iter().find(|(name, _)| *name == target) else {
        return false;
    };
    let text = String::from_utf8_lossy(input);
    let cost = measure(|| take(&text));
    let most = |(each, anyhow): (u64, u64)| each * input.len() as u64 + anyhow;
    assert!(
        cost.bytes_total <= most(BYTES) && cost.count_total <= most(PIECES),
        "{target}: {} bytes in {} pieces were taken for {} bytes",
        cost.bytes_total,
        cost.count_total,
        input.len()
    );
    true
}

fn review(text: &str) {
    let Ok(request) = Request::parse(text.as_bytes()) else {
        return;
    };
    for hook in Hook::ALL {
        let verdict = Subject::of(hook, &request).verdict(&Surroundings::default());
        drop(request.reply(&verdict));
    }
}

/// The first line is the type, each other one a field and its value.
fn trigger(text: &str) {
    let mut lines = text.lines();
    let kind = lines.next().unwrap_or_default();
    let fields = lines.filter_map(|line| line.split_once('='));
    let metadata: BTreeMap<_, _> = fields.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let none = Parameters::new();
    let sources = Sources {
        metadata: &metadata,
        environment: &none,
        parameters: &none,
    };
    let _ = triggers::parse(kind, sources, "");
    drop(triggers::refusable(kind, &metadata, ""));
    drop(triggers::unmatched(kind, "", &metadata));
    drop(triggers::pattern_hints(&metadata));
    drop(triggers::risks(kind, &metadata));
}

/// The first line is a topic's name, the second what may mean it.
fn patterns(text: &str) {
    let (name, pieces) = text.split_once('\n').unwrap_or_default();
    if let Ok(topics) = Topics::parse(pieces.split(',')) {
        let _ = (topics.mean(name), topics.take(name), topics.are_all());
    }
}

fn formula(text: &str) {
    let names = ["a", "b", "queue_one"];
    if let Ok(formula) = Formula::parse(text, &names) {
        for value in [None, Some(0.0), Some(-1.5), Some(1e300)] {
            let values = names.map(|name| (name.into(), value)).into();
            let _ = formula.evaluate(&values);
        }
    }
}

/// Three lines: start, end, time zone.
fn schedule(text: &str) {
    let mut lines = text.lines();
    let fields = ["start", "end", "timezone"].map(|k| (k, lines.next().unwrap_or_default()));
    let fields = fields.into_iter().chain([("desiredReplicas", "3")]);
    let metadata = fields.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let none = Parameters::new();
    let sources = Sources {
        metadata: &metadata,
        environment: &none,
        parameters: &none,
    };
    if let Ok(Trigger::Cron(cron, _)) = triggers::parse("cron", sources, "") {
        for second in [0, 951_782_400, 1_709_164_800, 4_102_444_799] {
            let _ = cron.window(jiff::Timestamp::from_second(second).unwrap_or_default());
        }
    }
}

fn scram(text: &str) {
    let _ = exchange(text.lines());
}

/// The first line is the status.
fn token_answer(text: &str) {
    let (status, body) = text.split_once('\n').unwrap_or_default();
    let _ = is_token(status.parse().unwrap_or(200), body.as_bytes());
}

fn remembered(text: &str) {
    let _ = remembered_partitions(text);
}

/// Lines `key=value`, with `|` for a line's end in a value.
fn data(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(k, v)| (k.to_owned(), v.replace('|', "\n")))
        .collect()
}

fn kept(text: &str) {
    let data = data(text).into_iter();
    let data = data.map(|(key, value)| (key, k8s_openapi::ByteString(value.into_bytes())));
    drop(Kept::read(&data.collect()));
}

fn trust(text: &str) {
    let _ = fuzz::trust(&data(text));
}

fn properties(text: &str) {
    let found = Properties::parse(text);
    let _ = (found.bootstrap(), found.isolation_level());
    let _ = found.parameters();
}
