//! The fake cluster as a process: its ports on the first line, then a report for each line it is sent.

use fake_kafka::FakeKafka;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::{case::Case, itself};

pub fn topic(number: usize) -> String {
    format!("orders-of-shop-{number:05}")
}

pub fn group(number: usize) -> String {
    format!("billing-of-shop-{number:05}-group")
}

/// Serves until its input ends.
pub fn run(case: Case) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let [brokers, count] = [case.brokers, case.partitions].map(|n| i32::try_from(n).unwrap());
    let kafka = runtime.block_on(FakeKafka::start(brokers));
    {
        let mut state = kafka.state();
        state.log = None;
        state.session = (case.credentials > 1).then_some(Duration::ZERO);
    }
    for (number, place) in (0..case.groups).zip((0..brokers).cycle()) {
        let (topic, group) = (topic(number), group(number));
        let partitions = (0..count).map(|id| ((place + id) % brokers, 1_000));
        kafka.topic(&topic, &partitions.collect::<Vec<_>>());
        let commits = (0..count).map(|id| (topic.as_str(), id, 900));
        kafka.group(&group, place, &commits.collect::<Vec<_>>());
        kafka.state().readers.insert(topic, vec![group]);
    }
    println!("{}", json!(kafka.state().ports));
    // Counts of every tick after the first report, which ends the warm-up.
    let mut gaps = Vec::new();
    for (number, line) in std::io::stdin().lines().enumerate() {
        if line.is_err() {
            return;
        }
        let mut counts = std::mem::take(&mut kafka.state().counts);
        if number > 0 {
            gaps.append(&mut counts.gaps);
            gaps.sort_unstable();
        }
        let at = |share: usize| gaps.get((gaps.len() * share / 100).min(gaps.len().max(1) - 1));
        // The clock that both processes have.
        let began = counts.first.map(|first| {
            let began = SystemTime::now() - first.elapsed();
            began.duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
        });
        let report = json!({
            "requests": counts.requests.values().sum::<usize>(),
            "bytes_in": counts.bytes_in, "bytes_out": counts.bytes_out,
            "gap_p50_us": at(50), "gap_p99_us": at(99), "began": began,
        });
        println!("{report}");
    }
}

/// The other end of it.
pub struct Fake {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub ports: Vec<u16>,
}

impl Fake {
    pub fn start(case: &Case) -> Self {
        let mut child = itself()
            .arg("fake")
            .args(case.words())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut fake = Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            ports: Vec::new(),
        };
        fake.ports = serde_json::from_value(fake.line()).unwrap();
        fake
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Requests since the last report.
    pub fn report(&mut self) -> Value {
        writeln!(self.input).unwrap();
        self.line()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
