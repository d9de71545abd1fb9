//! lagscale's own families over the last samples, and what goes to brokers.

use std::sync::Arc;

use super::{
    exposition::FamilySource,
    families::{Family, Filled, flag},
    offsets::by_topic,
    samples::{ObjectSample, Samples, Told},
};
use crate::{kafka::Traffic, scaling::from_milli};

const METRIC: &[&str] = &["namespace", "scaledObject", "metric", "group", "topic"];
const TOPIC: &[&str] = &["cluster", "group", "topic"];
const PARTITION: &[&str] = &["cluster", "group", "topic", "partition"];

/// A family of the metrics of objects, and its value for one of them.
type OfMetric = (Family, fn(&Told<'_>) -> Option<f64>);

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
const OF_METRICS: [OfMetric; 8] = [
    (
        Family::gauge(
            "lagscale_lag_records",
            METRIC,
            "True lag of a trigger, in records.",
        ),
        |t| t.metric.value.map(|v| v.0 as f64),
    ),
    (
        Family::gauge(
            "lagscale_signal_records",
            METRIC,
            "Value served to the HPA: the lag, cut or lifted as the docs say.",
        ),
        |t| t.metric.value.map(|v| v.1),
    ),
    (
        Family::gauge(
            "lagscale_sample_age_seconds",
            METRIC,
            "Age of the reading behind the value.",
        ),
        |t| t.metric.value.map(|v| v.2.elapsed().as_secs_f64()),
    ),
    (
        Family::gauge(
            "lagscale_withheld",
            METRIC,
            "1 while the value is withheld, so that the HPA holds.",
        ),
        |t| Some(flag(t.metric.value.is_none())),
    ),
    (
        Family::gauge(
            "lagscale_partial",
            METRIC,
            "1 while a part of the reading is missing.",
        ),
        |t| Some(flag(t.metric.partial)),
    ),
    (
        Family::gauge(
            "lagscale_wanted_max_replicas",
            METRIC,
            "maxReplicas wanted for the HPA.",
        ),
        |t| Some(f64::from(t.object.max)),
    ),
    (
        Family::gauge(
            "lagscale_shadow_hpa_records",
            METRIC,
            "The value that the HPA has from another server, over all pods; only with --shadow.",
        ),
        |t| t.metric.shadow?.0.map(from_milli),
    ),
    (
        Family::gauge(
            "lagscale_shadow_differs",
            METRIC,
            "1 while that is none that lagscale would have told in the two minutes before; only with --shadow.",
        ),
        |t| Some(flag(t.metric.shadow?.1)),
    ),
];
const TOPIC_LAG: Family = Family::gauge(
    "lagscale_topic_lag_records",
    TOPIC,
    "Lag of a group on a topic, in records.",
);
const TOPIC_COMMITTED: Family = Family::gauge(
    "lagscale_topic_committed_offset_sum",
    TOPIC,
    "Committed offsets of a group on a topic, added up over the partitions that have one.",
);
const TOPIC_END: Family = Family::gauge(
    "lagscale_topic_log_end_offset_sum",
    TOPIC,
    "Log end offsets of a topic, added up.",
);
const PARTITION_LAG: Family = Family::gauge(
    "lagscale_partition_lag_records",
    PARTITION,
    "Lag of a group on a partition, in records.",
);
const PARTITION_COMMITTED: Family = Family::gauge(
    "lagscale_partition_committed_offset",
    PARTITION,
    "Committed offset of a group on a partition.",
);
const PARTITION_END: Family = Family::gauge(
    "lagscale_partition_log_end_offset",
    PARTITION,
    "Log end offset of a partition.",
);
const REQUESTS: Family = Family::counter(
    "lagscale_kafka_requests_total",
    &["api", "outcome"],
    "Requests to brokers. Error codes inside an answer are answers.",
);
const REQUEST_SECONDS: Family = Family::counter(
    "lagscale_kafka_request_seconds_total",
    &["api"],
    "How long requests to brokers took together, failures too.",
);
const DIALS: Family = Family::counter(
    "lagscale_kafka_dials_total",
    &["outcome"],
    "Dials of brokers, with TLS and login.",
);
const CONNECTIONS: Family = Family::gauge(
    "lagscale_kafka_connections",
    &[],
    "Connections to brokers that are open.",
);
const THROTTLED: Family = Family::counter(
    "lagscale_kafka_throttle_seconds_total",
    &[],
    "Silence that brokers asked for because of quotas.",
);

/// Reads the last samples at each scrape.
pub struct Collector {
    samples: Arc<Samples>,
    per_partition: bool,
}

impl Collector {
    /// A collector over `samples`; series for each partition only where that is asked for.
    #[must_use]
    pub fn new(samples: Arc<Samples>, per_partition: bool) -> Self {
        Self {
            samples,
            per_partition,
        }
    }
}

impl FamilySource for Collector {
    fn expose(&self) -> Filled {
        let samples = self.samples.all();
        let samples: Vec<&ObjectSample> = samples.iter().map(AsRef::as_ref).collect();
        let mut filled = Filled::default();
        of_metrics(&samples, &mut filled);
        of_offsets(&samples, self.per_partition, &mut filled);
        of_traffic(&Traffic::now(), &mut filled);
        filled
    }
}

fn of_metrics(samples: &[&ObjectSample], filled: &mut Filled) {
    for told in samples.iter().flat_map(|s| s.metrics()) {
        for (family, value) in &OF_METRICS {
            if let Some(value) = value(&told) {
                filled.add(family, &labels(&told), value);
            }
        }
    }
}

fn labels<'a>(told: &Told<'a>) -> [&'a str; 5] {
    let (plan, kafka) = (&told.object.plan, told.kafka);
    let topic = kafka.topic.as_deref().unwrap_or_default();
    [
        &plan.namespace,
        &plan.name,
        &told.metric.name,
        &kafka.group,
        topic,
    ]
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn of_offsets(samples: &[&ObjectSample], per_partition: bool, filled: &mut Filled) {
    for ((cluster, group, topic), offsets) in by_topic(samples.iter().copied()) {
        let place = [&*cluster, group, topic];
        let total = |value: fn(&super::offsets::Offsets) -> i64| {
            offsets.iter().map(value).fold(0i64, i64::saturating_add) as f64
        };
        filled.add(&TOPIC_LAG, &place, total(|o| o.lag));
        let committed = total(|o| o.committed.unwrap_or(0));
        filled.add(&TOPIC_COMMITTED, &place, committed);
        filled.add(&TOPIC_END, &place, total(|o| o.end));
        for one in offsets.iter().filter(|_| per_partition) {
            let partition = one.partition.to_string();
            let labels = [&*cluster, group, topic, &partition];
            filled.add(&PARTITION_LAG, &labels, one.lag as f64);
            if let Some(committed) = one.committed {
                filled.add(&PARTITION_COMMITTED, &labels, committed as f64);
            }
            filled.add(&PARTITION_END, &labels, one.end as f64);
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn of_traffic(traffic: &Traffic, filled: &mut Filled) {
    for request in &traffic.requests {
        let api = request.api.as_str();
        filled.add(&REQUESTS, &[api, "answered"], request.answered as f64);
        filled.add(&REQUESTS, &[api, "failed"], request.failed as f64);
        filled.add(&REQUEST_SECONDS, &[api], request.seconds);
    }
    filled.add(&DIALS, &["answered"], traffic.dials.0 as f64);
    filled.add(&DIALS, &["failed"], traffic.dials.1 as f64);
    filled.add(&CONNECTIONS, &[], traffic.connections as f64);
    filled.add(&THROTTLED, &[], traffic.throttled);
}
