//! Lag as Prometheus sees it: families built from the last evaluation at each scrape, so that no series outlives its object.

use std::{collections::HashMap, sync::Arc, time::Instant};

use prometheus::{
    core::{self, Desc},
    proto,
};

use crate::{
    scaling::{Evaluation, Plan, Source},
    sharded::Sharded,
};

/// The samples of all objects, by namespace and name with a slash between.
pub type Samples = Sharded<Arc<[Sample]>>;

/// One metric of one object, for `/metrics`.
#[derive(Clone, Debug)]
pub struct Sample {
    namespace: Arc<str>,
    object: Arc<str>,
    metric: Arc<str>,
    group: Arc<str>,
    topic: Arc<str>,
    /// True lag, value served, when it was read; `None` while it is withheld.
    value: Option<(i64, i64, Instant)>,
    partial: bool,
    max: i32,
}

impl Sample {
    /// The samples of an evaluated object.
    pub fn of<'a>(plan: &'a Plan, evaluation: &'a Evaluation) -> impl Iterator<Item = Self> + 'a {
        evaluation.metrics.iter().filter_map(|metric| {
            let Ok(Source::Kafka { kafka, .. }) = &plan.triggers.get(metric.index)?.source else {
                return None;
            };
            let value = metric.value.as_ref().ok();
            Some(Self {
                namespace: plan.namespace.clone(),
                object: plan.name.clone(),
                metric: metric.name.clone(),
                group: kafka.group.clone(),
                topic: kafka.topic.clone().unwrap_or_default(),
                value: value.map(|v| (v.lag, v.served, v.at.at)),
                partial: metric.partial.is_some(),
                max: evaluation.max,
            })
        })
    }
}

/// Reads the last samples at each scrape.
pub struct Collector {
    samples: Arc<Samples>,
    descs: Vec<Desc>,
}

const FAMILIES: [(&str, &str); 6] = [
    ("lagscale_lag_records", "True lag of a trigger, in records."),
    (
        "lagscale_signal_records",
        "Value served to the HPA: the lag, cut or lifted as the docs say.",
    ),
    (
        "lagscale_sample_age_seconds",
        "Age of the reading behind the value.",
    ),
    (
        "lagscale_withheld",
        "1 while the value is withheld, so that the HPA holds.",
    ),
    (
        "lagscale_partial",
        "1 while a part of the reading is missing.",
    ),
    (
        "lagscale_wanted_max_replicas",
        "maxReplicas wanted for the HPA.",
    ),
];
const LABELS: [&str; 5] = ["namespace", "scaledObject", "metric", "group", "topic"];

impl Collector {
    /// A collector over `samples`.
    pub fn new(samples: Arc<Samples>) -> Result<Self, prometheus::Error> {
        let labels = || LABELS.iter().map(|l| (*l).to_owned()).collect();
        let desc = |(name, help): &(&str, &str)| {
            Desc::new((*name).into(), (*help).into(), labels(), HashMap::new())
        };
        let descs = FAMILIES.iter().map(desc).collect::<Result<_, _>>()?;
        Ok(Self { samples, descs })
    }
}

impl core::Collector for Collector {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    #[allow(clippy::cast_precision_loss, reason = "Prometheus has only floats")]
    fn collect(&self) -> Vec<proto::MetricFamily> {
        let samples = self.samples.all();
        let samples = || samples.iter().flat_map(|s| s.iter());
        let family = |index: usize, value: &dyn Fn(&Sample) -> Option<f64>| {
            let (name, help) = FAMILIES[index];
            let mut family = proto::MetricFamily::default();
            family.set_name(name.into());
            family.set_help(help.into());
            family.set_field_type(proto::MetricType::GAUGE);
            let metrics = samples().filter_map(|s| Some(metric(s, value(s)?)));
            family.set_metric(metrics.collect());
            family
        };
        vec![
            family(0, &|s| s.value.map(|v| v.0 as f64)),
            family(1, &|s| s.value.map(|v| v.1 as f64)),
            family(2, &|s| s.value.map(|v| v.2.elapsed().as_secs_f64())),
            family(3, &|s| Some(f64::from(u8::from(s.value.is_none())))),
            family(4, &|s| Some(f64::from(u8::from(s.partial)))),
            family(5, &|s| Some(f64::from(s.max))),
        ]
    }
}

fn metric(sample: &Sample, value: f64) -> proto::Metric {
    let texts = [
        &sample.namespace,
        &sample.object,
        &sample.metric,
        &sample.group,
        &sample.topic,
    ];
    let labels = LABELS.iter().zip(texts).map(|(name, text)| {
        let mut label = proto::LabelPair::default();
        label.set_name((*name).into());
        label.set_value(text.to_string());
        label
    });
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    let mut metric = proto::Metric::from_gauge(gauge);
    metric.set_label(labels.collect());
    metric
}
