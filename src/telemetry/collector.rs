//! lagscale's own families over the last samples, and what goes to brokers.

use std::sync::Arc;

use prometheus::{
    core::{self, Desc},
    proto::MetricFamily,
};

use super::{
    families::{Family, Series, filled, flag},
    offsets::by_topic,
    samples::{ObjectSample, Samples, Told},
};
use crate::kafka::Traffic;

const METRIC: &[&str] = &["namespace", "scaledObject", "metric", "group", "topic"];
const TOPIC: &[&str] = &["cluster", "group", "topic"];
const PARTITION: &[&str] = &["cluster", "group", "topic", "partition"];

const OF_METRICS: [Family; 6] = [
    Family::gauge(
        "lagscale_lag_records",
        METRIC,
        "True lag of a trigger, in records.",
    ),
    Family::gauge(
        "lagscale_signal_records",
        METRIC,
        "Value served to the HPA: the lag, cut or lifted as the docs say.",
    ),
    Family::gauge(
        "lagscale_sample_age_seconds",
        METRIC,
        "Age of the reading behind the value.",
    ),
    Family::gauge(
        "lagscale_withheld",
        METRIC,
        "1 while the value is withheld, so that the HPA holds.",
    ),
    Family::gauge(
        "lagscale_partial",
        METRIC,
        "1 while a part of the reading is missing.",
    ),
    Family::gauge(
        "lagscale_wanted_max_replicas",
        METRIC,
        "maxReplicas wanted for the HPA.",
    ),
];
const OF_TOPICS: [Family; 3] = [
    Family::gauge(
        "lagscale_topic_lag_records",
        TOPIC,
        "Lag of a group on a topic, in records.",
    ),
    Family::gauge(
        "lagscale_topic_committed_offset_sum",
        TOPIC,
        "Committed offsets of a group on a topic, added up over the partitions that have one.",
    ),
    Family::gauge(
        "lagscale_topic_log_end_offset_sum",
        TOPIC,
        "Log end offsets of a topic, added up.",
    ),
];
const OF_PARTITIONS: [Family; 3] = [
    Family::gauge(
        "lagscale_partition_lag_records",
        PARTITION,
        "Lag of a group on a partition, in records.",
    ),
    Family::gauge(
        "lagscale_partition_committed_offset",
        PARTITION,
        "Committed offset of a group on a partition.",
    ),
    Family::gauge(
        "lagscale_partition_log_end_offset",
        PARTITION,
        "Log end offset of a partition.",
    ),
];
const OF_TRAFFIC: [Family; 5] = [
    Family::counter(
        "lagscale_kafka_requests_total",
        &["api", "outcome"],
        "Requests to brokers. Error codes inside an answer are answers.",
    ),
    Family::counter(
        "lagscale_kafka_request_seconds_total",
        &["api"],
        "How long requests to brokers took together, failures too.",
    ),
    Family::counter(
        "lagscale_kafka_dials_total",
        &["outcome"],
        "Dials of brokers, with TLS and login.",
    ),
    Family::gauge(
        "lagscale_kafka_connections",
        &[],
        "Connections to brokers that are open.",
    ),
    Family::counter(
        "lagscale_kafka_throttle_seconds_total",
        &[],
        "Silence that brokers asked for because of quotas.",
    ),
];

/// Reads the last samples at each scrape.
pub struct Collector {
    samples: Arc<Samples>,
    per_partition: bool,
    descs: Vec<Desc>,
}

impl Collector {
    /// A collector over `samples`; series for each partition only where that is asked for.
    pub fn new(samples: Arc<Samples>, per_partition: bool) -> Result<Self, prometheus::Error> {
        let all = OF_METRICS.iter().chain(&OF_TOPICS).chain(&OF_TRAFFIC);
        let all = all.chain(OF_PARTITIONS.iter().filter(|_| per_partition));
        Ok(Self {
            descs: all.map(Family::desc).collect::<Result<_, _>>()?,
            samples,
            per_partition,
        })
    }
}

impl core::Collector for Collector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let samples = self.samples.all();
        let samples: Vec<&ObjectSample> = samples.iter().map(AsRef::as_ref).collect();
        let mut families = of_metrics(&samples);
        families.extend(of_offsets(&samples, self.per_partition));
        families.extend(of_traffic(&Traffic::now()));
        families
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn of_metrics(samples: &[&ObjectSample]) -> Vec<MetricFamily> {
    let series = |value: &dyn Fn(&Told<'_>) -> Option<f64>| -> Series {
        let all = samples.iter().flat_map(|s| s.metrics());
        all.filter_map(|told| Some((labels(&told), value(&told)?)))
            .collect()
    };
    filled(
        &OF_METRICS,
        [
            series(&|t| t.metric.value.map(|v| v.0 as f64)),
            series(&|t| t.metric.value.map(|v| v.1 as f64)),
            series(&|t| t.metric.value.map(|v| v.2.elapsed().as_secs_f64())),
            series(&|t| Some(flag(t.metric.value.is_none()))),
            series(&|t| Some(flag(t.metric.partial))),
            series(&|t| Some(f64::from(t.object.max))),
        ],
    )
}

fn labels(told: &Told<'_>) -> Vec<String> {
    let (plan, kafka) = (&told.object.plan, told.kafka);
    let topic = kafka.topic.as_deref().unwrap_or_default();
    let all: [&str; 5] = [
        &plan.namespace,
        &plan.name,
        &told.metric.name,
        &kafka.group,
        topic,
    ];
    all.map(str::to_owned).into()
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn of_offsets(samples: &[&ObjectSample], per_partition: bool) -> Vec<MetricFamily> {
    let mut topics: [Series; 3] = Default::default();
    let mut partitions: [Series; 3] = Default::default();
    for ((cluster, group, topic), offsets) in by_topic(samples.iter().copied()) {
        let place = vec![cluster, group.to_owned(), topic.to_owned()];
        let total = |value: fn(&super::offsets::Offsets) -> i64| {
            offsets.iter().map(value).fold(0i64, i64::saturating_add) as f64
        };
        topics[0].push((place.clone(), total(|o| o.lag)));
        topics[1].push((place.clone(), total(|o| o.committed.unwrap_or(0))));
        topics[2].push((place.clone(), total(|o| o.end)));
        for one in offsets.iter().filter(|_| per_partition) {
            let labels = [place.clone(), vec![one.partition.to_string()]].concat();
            partitions[0].push((labels.clone(), one.lag as f64));
            if let Some(committed) = one.committed {
                partitions[1].push((labels.clone(), committed as f64));
            }
            partitions[2].push((labels, one.end as f64));
        }
    }
    let mut families = filled(&OF_TOPICS, topics);
    families.extend(filled(&OF_PARTITIONS, partitions));
    families
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn of_traffic(traffic: &Traffic) -> Vec<MetricFamily> {
    let outcomes = |well: u64, badly: u64, place: Vec<String>| {
        [("answered", well), ("failed", badly)].map(|(outcome, count)| {
            let labels = [place.clone(), vec![outcome.to_owned()]].concat();
            (labels, count as f64)
        })
    };
    let requests = traffic.requests.iter();
    let requests = requests.flat_map(|r| outcomes(r.answered, r.failed, vec![r.api.clone()]));
    let took = traffic.requests.iter();
    let took = took.map(|r| (vec![r.api.clone()], r.seconds));
    let dials = outcomes(traffic.dials.0, traffic.dials.1, Vec::new());
    let all: [Series; 5] = [
        requests.collect(),
        took.collect(),
        dials.into(),
        vec![(Vec::new(), traffic.connections as f64)],
        vec![(Vec::new(), traffic.throttled)],
    ];
    filled(&OF_TRAFFIC, all)
}
