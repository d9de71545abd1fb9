//! The metric names that people have dashboards and alerts for already: those of kafka_exporter and of KEDA's operator, for
//! whoever asks for them. What has no counterpart here is left out, not invented.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    exposition::FamilySource,
    families::{Family, Filled, flag},
    offsets::by_topic,
    samples::{ObjectSample, Samples, Told},
};

/// Whose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Names {
    /// `kafka_consumergroup_lag` and its like, with a label `cluster` beside its own.
    #[value(name = "kafka_exporter")]
    KafkaExporter,
    /// `keda_scaler_metrics_value` and its like.
    Keda,
}

const GROUP: &[&str] = &["consumergroup", "topic", "cluster"];
const GROUP_PARTITION: &[&str] = &["consumergroup", "topic", "partition", "cluster"];
const TOPIC_PARTITION: &[&str] = &["topic", "partition", "cluster"];
const GROUP_PARTITION_LAG: Family = Family::gauge(
    "kafka_consumergroup_lag",
    GROUP_PARTITION,
    "Current approximate lag of a consumer group at topic/partition.",
);
const GROUP_PARTITION_OFFSET: Family = Family::gauge(
    "kafka_consumergroup_current_offset",
    GROUP_PARTITION,
    "Current offset of a consumer group at topic/partition.",
);
const PARTITION_OFFSET: Family = Family::gauge(
    "kafka_topic_partition_current_offset",
    TOPIC_PARTITION,
    "Current offset of a broker at topic/partition.",
);
const PARTITION_OLDEST: Family = Family::gauge(
    "kafka_topic_partition_oldest_offset",
    TOPIC_PARTITION,
    "Oldest offset of a broker at topic/partition.",
);
const GROUP_LAG: Family = Family::gauge(
    "kafka_consumergroup_lag_sum",
    GROUP,
    "Current approximate lag of a consumer group at topic for all partitions.",
);
const GROUP_OFFSET: Family = Family::gauge(
    "kafka_consumergroup_current_offset_sum",
    GROUP,
    "Current offset of a consumer group at topic for all partitions.",
);
const SCALER: &[&str] = &[
    "namespace",
    "metric",
    "scaledObject",
    "scaler",
    "triggerIndex",
    "type",
];
const SCALER_VALUE: Family = Family::gauge(
    "keda_scaler_metrics_value",
    SCALER,
    "The current value for each scaler's metric that would be used by the HPA in computing the target average.",
);
const SCALER_ACTIVE: Family = Family::gauge(
    "keda_scaler_active",
    SCALER,
    "Indicates whether a scaler is active (1), or not (0).",
);
const SCALER_ERRORS: Family = Family::counter(
    "keda_scaler_detail_errors_total",
    SCALER,
    "The total number of errors encountered for each scaler.",
);
const OBJECT_ERRORS: Family = Family::counter(
    "keda_scaled_object_errors_total",
    &["namespace", "scaledObject"],
    "The number of errors that have occurred for each ScaledObject.",
);
const OBJECT_PAUSED: Family = Family::gauge(
    "keda_scaled_object_paused",
    &["namespace", "scaledObject"],
    "Indicates whether a ScaledObject is paused (1), or not (0).",
);
const TRIGGERS: Family = Family::gauge(
    "keda_trigger_registered_total",
    &["type"],
    "Total number of triggers per trigger type.",
);
const RESOURCES: Family = Family::gauge(
    "keda_resource_registered_total",
    &["type", "namespace"],
    "Total number of custom resources per namespace for each type.",
);

/// Reads the last samples under other names.
pub struct Compatible {
    samples: Arc<Samples>,
    names: Names,
}

impl Compatible {
    /// Over `samples`.
    #[must_use]
    pub fn new(samples: Arc<Samples>, names: Names) -> Self {
        Self { samples, names }
    }
}

impl FamilySource for Compatible {
    fn expose(&self) -> Filled {
        let samples = self.samples.all();
        let samples: Vec<&ObjectSample> = samples.iter().map(AsRef::as_ref).collect();
        match self.names {
            Names::KafkaExporter => exporter(&samples),
            Names::Keda => keda(&samples),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn exporter(samples: &[&ObjectSample]) -> Filled {
    let mut filled = Filled::default();
    let mut ends = BTreeMap::new();
    for ((cluster, group, topic), offsets) in by_topic(samples.iter().copied()) {
        let (mut lag, mut committed) = (0i64, 0i64);
        for one in &offsets {
            let partition = one.partition.to_string();
            let labels = [group, topic, &partition, &cluster];
            filled.add(&GROUP_PARTITION_LAG, &labels, one.lag as f64);
            if let Some(offset) = one.committed {
                filled.add(&GROUP_PARTITION_OFFSET, &labels, offset as f64);
            }
            ends.insert(
                (topic, one.partition, cluster.clone()),
                (one.end, one.start),
            );
            lag = lag.saturating_add(one.lag);
            committed = committed.saturating_add(one.committed.unwrap_or(0));
        }
        let labels = [group, topic, &cluster];
        filled.add(&GROUP_LAG, &labels, lag as f64);
        filled.add(&GROUP_OFFSET, &labels, committed as f64);
    }
    for ((topic, partition, cluster), (end, start)) in ends {
        let partition = partition.to_string();
        let labels = [topic, &partition, &cluster];
        filled.add(&PARTITION_OFFSET, &labels, end as f64);
        if let Some(start) = start {
            filled.add(&PARTITION_OLDEST, &labels, start as f64);
        }
    }
    filled
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn keda(samples: &[&ObjectSample]) -> Filled {
    let mut filled = Filled::default();
    let mut triggers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut objects: BTreeMap<&str, u32> = BTreeMap::new();
    for sample in samples {
        let plan = &sample.plan;
        let object = [&*plan.namespace, &*plan.name];
        let mut errors = 0;
        for told in sample.metrics() {
            let (index, metric) = (told.metric.index.to_string(), told.metric);
            let labels = scaler(&told, &index);
            if let Some((_, served, _)) = metric.value {
                filled.add(&SCALER_VALUE, &labels, served);
            }
            filled.add(&SCALER_ACTIVE, &labels, flag(metric.active));
            filled.add(&SCALER_ERRORS, &labels, metric.errors as f64);
            errors += metric.errors;
        }
        filled.add(&OBJECT_ERRORS, &object, errors as f64);
        filled.add(&OBJECT_PAUSED, &object, flag(plan.pause.whole));
        for trigger in &plan.triggers {
            *triggers.entry(&trigger.kind).or_default() += 1;
        }
        *objects.entry(&plan.namespace).or_default() += 1;
    }
    for (kind, count) in triggers {
        filled.add(&TRIGGERS, &[kind], f64::from(count));
    }
    for (namespace, count) in objects {
        filled.add(&RESOURCES, &["scaled_object", namespace], f64::from(count));
    }
    filled
}

/// KEDA names a scaler by the trigger's name, else by the type in its code.
fn scaler<'a>(told: &Told<'a>, index: &'a str) -> [&'a str; 6] {
    let (plan, trigger) = (&told.object.plan, told.trigger);
    let kind = match trigger.kind.as_str() {
        "apache-kafka" => "apacheKafkaScaler",
        _ => "kafkaScaler",
    };
    let name = Some(&*trigger.name).filter(|name| !name.is_empty());
    [
        &plan.namespace,
        &told.metric.name,
        &plan.name,
        name.unwrap_or(kind),
        index,
        "scaledobject",
    ]
}
