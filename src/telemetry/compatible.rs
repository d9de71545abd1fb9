//! The metric names that people have dashboards and alerts for already: those of kafka_exporter and of KEDA's operator, for
//! whoever asks for them. What has no counterpart here is left out, not invented.

use std::{collections::BTreeMap, sync::Arc};

use prometheus::{
    core::{self, Desc},
    proto::MetricFamily,
};

use super::{
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

const EXPORTER: [Family; 6] = [
    GROUP_PARTITION_LAG,
    GROUP_PARTITION_OFFSET,
    PARTITION_OFFSET,
    PARTITION_OLDEST,
    GROUP_LAG,
    GROUP_OFFSET,
];
const KEDA: [Family; 7] = [
    SCALER_VALUE,
    SCALER_ACTIVE,
    SCALER_ERRORS,
    OBJECT_ERRORS,
    OBJECT_PAUSED,
    TRIGGERS,
    RESOURCES,
];

/// Reads the last samples under other names.
pub struct Compatible {
    samples: Arc<Samples>,
    names: Names,
    descs: Vec<Desc>,
}

impl Compatible {
    /// Over `samples`.
    pub fn new(samples: Arc<Samples>, names: Names) -> Result<Self, prometheus::Error> {
        let families: &[Family] = match names {
            Names::KafkaExporter => &EXPORTER,
            Names::Keda => &KEDA,
        };
        Ok(Self {
            descs: families
                .iter()
                .map(Family::desc)
                .collect::<Result<_, _>>()?,
            samples,
            names,
        })
    }
}

impl core::Collector for Compatible {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let samples = self.samples.all();
        let samples: Vec<&ObjectSample> = samples.iter().map(AsRef::as_ref).collect();
        match self.names {
            Names::KafkaExporter => exporter(&samples),
            Names::Keda => keda(&samples),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn exporter(samples: &[&ObjectSample]) -> Vec<MetricFamily> {
    let mut filled = Filled::default();
    let mut ends = BTreeMap::new();
    for ((cluster, group, topic), offsets) in by_topic(samples.iter().copied()) {
        let text = str::to_owned;
        let (mut lag, mut committed) = (0i64, 0i64);
        for one in &offsets {
            let labels = vec![
                text(group),
                text(topic),
                one.partition.to_string(),
                cluster.clone(),
            ];
            filled.add(GROUP_PARTITION_LAG, labels.clone(), one.lag as f64);
            if let Some(offset) = one.committed {
                filled.add(GROUP_PARTITION_OFFSET, labels, offset as f64);
            }
            ends.insert(
                (topic, one.partition, cluster.clone()),
                (one.end, one.start),
            );
            lag = lag.saturating_add(one.lag);
            committed = committed.saturating_add(one.committed.unwrap_or(0));
        }
        let labels = vec![text(group), text(topic), cluster];
        filled.add(GROUP_LAG, labels.clone(), lag as f64);
        filled.add(GROUP_OFFSET, labels, committed as f64);
    }
    for ((topic, partition, cluster), (end, start)) in ends {
        let labels = vec![topic.to_owned(), partition.to_string(), cluster];
        filled.add(PARTITION_OFFSET, labels.clone(), end as f64);
        if let Some(start) = start {
            filled.add(PARTITION_OLDEST, labels, start as f64);
        }
    }
    filled.families()
}

#[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
fn keda(samples: &[&ObjectSample]) -> Vec<MetricFamily> {
    let mut filled = Filled::default();
    let mut triggers: BTreeMap<&str, u32> = BTreeMap::new();
    let mut objects: BTreeMap<&str, u32> = BTreeMap::new();
    for sample in samples {
        let plan = &sample.plan;
        let object = || vec![plan.namespace.to_string(), plan.name.to_string()];
        let mut errors = 0;
        for told in sample.metrics() {
            let (labels, metric) = (scaler(&told), told.metric);
            if let Some((_, served, _)) = metric.value {
                filled.add(SCALER_VALUE, labels.clone(), served as f64);
            }
            filled.add(SCALER_ACTIVE, labels.clone(), flag(metric.active));
            filled.add(SCALER_ERRORS, labels, metric.errors as f64);
            errors += metric.errors;
        }
        filled.add(OBJECT_ERRORS, object(), errors as f64);
        filled.add(OBJECT_PAUSED, object(), flag(plan.pause.whole));
        for trigger in &plan.triggers {
            *triggers.entry(&trigger.kind).or_default() += 1;
        }
        *objects.entry(&plan.namespace).or_default() += 1;
    }
    for (kind, count) in triggers {
        filled.add(TRIGGERS, vec![kind.to_owned()], f64::from(count));
    }
    for (namespace, count) in objects {
        let labels = vec!["scaled_object".to_owned(), namespace.to_owned()];
        filled.add(RESOURCES, labels, f64::from(count));
    }
    filled.families()
}

/// KEDA names a scaler by the trigger's name, else by the type in its code.
fn scaler(told: &Told<'_>) -> Vec<String> {
    let (plan, metric, trigger) = (&told.object.plan, told.metric, told.trigger);
    let kind = match trigger.kind.as_str() {
        "apache-kafka" => "apacheKafkaScaler",
        _ => "kafkaScaler",
    };
    let name = Some(&*trigger.name).filter(|name| !name.is_empty());
    vec![
        plan.namespace.to_string(),
        metric.name.to_string(),
        plan.name.to_string(),
        name.unwrap_or(kind).to_owned(),
        metric.index.to_string(),
        "scaledobject".to_owned(),
    ]
}
