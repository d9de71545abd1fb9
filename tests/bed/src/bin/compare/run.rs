//! One side on one bed, growing from size to size.

use std::time::{Duration, Instant};

use bed::{Bed, BedOptions, ControlPlaneOptions, KafkaOptions};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::{
    costs::{self, Costs},
    latency,
    lines::Lines,
    side::{Kind, Side},
    work,
};

/// Between the last HPA and the measuring.
pub const SETTLE: Duration = Duration::from_secs(45);
/// Measured while nothing changes.
pub const WINDOW: Duration = Duration::from_secs(60);
/// Where the side is also asked, restarted and cut off from Kafka.
pub const EXAMINED: usize = 1_000;
/// Partitions of topics that no object reads, for a part of the examination.
const OTHER_PARTITIONS: usize = 6_000;
/// From the freezing to the first question.
const FROZEN: Duration = Duration::from_secs(5);

/// One side at work.
pub struct Run {
    kind: Kind,
    bed: Bed,
    side: Side,
    namespace: String,
    brokers: usize,
}

impl Run {
    /// Starts a bed with so many brokers, and the side.
    pub async fn start(kind: Kind, brokers: usize) -> Self {
        say(&format!("{}: a bed with {brokers} brokers", kind.keys()));
        let bed = Bed::start(&BedOptions {
            control_plane: ControlPlaneOptions {
                // The real default.
                hpa_sync: Duration::from_secs(15),
                ..ControlPlaneOptions::default()
            },
            kafka: KafkaOptions {
                brokers,
                counted: true,
                ..KafkaOptions::default()
            },
        })
        .await;
        work::topics(&bed).await;
        let side = Side::start(&kind, &bed).await;
        let namespace = bed.namespace("compare").await;
        Self {
            kind,
            bed,
            side,
            namespace,
            brokers,
        }
    }

    /// Grows through the sizes, with a line for each.
    pub async fn play(mut self, sizes: &[usize], lines: &mut Lines) {
        let mut made = 0;
        for &size in sizes {
            let mut line = self.kind.keys().as_object().cloned().unwrap_or_default();
            line.insert("objects".into(), size.into());
            line.insert("brokers".into(), self.brokers.into());
            let all = self.grow(made..size, &mut line).await;
            made = size;
            tokio::time::sleep(SETTLE).await;
            self.quiet(size, &mut line).await;
            if size == EXAMINED && all && self.brokers == 1 {
                self.examine(size, &mut line).await;
            }
            let line = Value::Object(line);
            say(&line.to_string());
            lines.push(line);
            if !all {
                return;
            }
        }
    }

    /// Makes objects and waits for their HPAs; `false` if some have not come in time.
    async fn grow(&self, new: std::ops::Range<usize>, line: &mut Map<String, Value>) -> bool {
        let (bed, namespace) = (&self.bed, self.namespace.as_str());
        say(&format!("objects {} to {}", new.start, new.end));
        work::workloads(bed, namespace, new.clone()).await;
        work::commits(bed, new.clone()).await;
        let begin = Instant::now();
        let (count, made) = (new.end, work::objects(bed, namespace, new));
        let (all, ()) = tokio::join!(work::all_hpas(bed, namespace, count, Side::PATIENCE), made);
        let took = begin.elapsed().as_secs_f64();
        line.insert("all_hpas_s".into(), all.then(|| round(took)).into());
        line.insert("hpas".into(), work::hpas(bed, namespace).await.into());
        all
    }

    /// A quiet minute's costs.
    async fn quiet(&self, objects: usize, line: &mut Map<String, Value>) {
        let (bed, side) = (&self.bed, &self.side);
        let begin = Instant::now();
        let before = Costs::read(bed, side).await;
        tokio::time::sleep(WINDOW).await;
        let seconds = begin.elapsed().as_secs_f64();
        let after = Costs::read(bed, side).await;
        let minute = |difference: f64| round(difference / seconds * 60.0);
        #[allow(clippy::cast_precision_loss, reason = "a measure")]
        let each = (after.evaluations - before.evaluations) / seconds / objects as f64;
        let found = json!({
            "rss_mb": round(costs::memory_mb(side, "VmRSS:")),
            "peak_mb": round(costs::memory_mb(side, "VmHWM:")),
            "cpu_s_per_min": minute(after.cpu - before.cpu),
            "threads": costs::threads(side),
            "broker_connections": costs::connections(side, bed.kafka.plain_ports()),
            "api_connections": costs::connections(side, [bed.control_plane.port]),
            "kafka_requests_per_s": round((after.kafka_requests - before.kafka_requests) / seconds),
            "steady_writes_per_min": minute(after.writes - before.writes),
            "events_per_min": minute(after.events - before.events),
            "evaluations_per_object_per_s": round(each),
        });
        line.extend(found.as_object().cloned().unwrap_or_default());
    }

    /// Answers, a restart beside many other partitions, and a frozen broker.
    async fn examine(&mut self, objects: usize, line: &mut Map<String, Value>) {
        let namespace = self.namespace.clone();
        let direct = self.bed.control_plane.client_of(self.side.address()).await;
        let through = self.bed.client();
        let series = latency::series(&direct, &namespace, 0..objects).await;
        line.insert("get_direct".into(), series);
        let series = latency::series(&through, &namespace, 0..objects).await;
        line.insert("get_through_apiserver".into(), series);

        say("a restart beside other partitions");
        work::other_topics(&self.bed, OTHER_PARTITIONS).await;
        self.side.restart(&self.bed);
        let begin = Instant::now();
        let served = async {
            for n in 0..objects {
                // The port is another one after a restart of lagscale.
                while latency::served(&through, &namespace, n).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        };
        let served = timeout(Side::PATIENCE, served).await.is_ok();
        let took = served.then(|| round(begin.elapsed().as_secs_f64()));
        line.insert("restart_to_all_readings_s".into(), took.into());
        tokio::time::sleep(SETTLE).await;
        let mut beside = Map::new();
        self.quiet(objects, &mut beside).await;
        line.insert("beside_other_partitions".into(), beside.into());

        say("a frozen broker");
        self.bed.kafka.freeze(0);
        tokio::time::sleep(FROZEN).await;
        let answers = latency::at_once(&through, &namespace).await;
        self.bed.kafka.thaw(0);
        line.insert("get_with_frozen_broker".into(), answers);
    }
}

pub fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

pub fn say(text: &str) {
    eprintln!("compare: {text}");
}
