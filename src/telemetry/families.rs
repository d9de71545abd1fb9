//! Families made at each scrape from what is known then, so that no series outlives its object.

use std::collections::{BTreeMap, HashMap};

use prometheus::{
    core::Desc,
    proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType},
};

/// A family: its name, what it means, whether it only grows, and its labels.
#[derive(Clone, Copy)]
pub(super) struct Family {
    pub name: &'static str,
    pub help: &'static str,
    pub grows: bool,
    pub labels: &'static [&'static str],
}

/// Series of one family.
type Series = Vec<(Vec<String>, f64)>;

impl Family {
    /// A gauge.
    pub const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            help,
            grows: false,
            labels,
        }
    }

    /// A counter.
    pub const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            grows: true,
            ..Self::gauge(name, labels, help)
        }
    }

    /// As the registry wants to know it beforehand.
    pub fn desc(&self) -> Result<Desc, prometheus::Error> {
        let labels = self.labels.iter().map(|l| (*l).to_owned()).collect();
        Desc::new(self.name.into(), self.help.into(), labels, HashMap::new())
    }

    /// The family with these series.
    fn with(&self, series: Series) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.into());
        family.set_help(self.help.into());
        family.set_field_type(if self.grows {
            MetricType::COUNTER
        } else {
            MetricType::GAUGE
        });
        let metrics = series.into_iter().map(|(texts, value)| {
            let mut metric = if self.grows {
                let mut counter = Counter::default();
                counter.set_value(value);
                let mut metric = Metric::default();
                metric.set_counter(counter);
                metric
            } else {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                Metric::from_gauge(gauge)
            };
            let labels = self.labels.iter().zip(texts).map(|(name, text)| {
                let mut label = LabelPair::default();
                label.set_name((*name).into());
                label.set_value(text);
                label
            });
            metric.set_label(labels.collect());
            metric
        });
        family.set_metric(metrics.collect());
        family
    }
}

/// Series by family. Prometheus' text has no family without series.
#[derive(Default)]
pub(super) struct Filled(BTreeMap<&'static str, (Family, Series)>);

impl Filled {
    /// One more series of `family`.
    pub fn add(&mut self, family: Family, labels: Vec<String>, value: f64) {
        let (_, series) = self.0.entry(family.name).or_insert((family, Vec::new()));
        series.push((labels, value));
    }

    /// The families that have series, by name.
    pub fn families(self) -> Vec<MetricFamily> {
        let all = self.0.into_values();
        all.map(|(family, series)| family.with(series)).collect()
    }
}

/// A flag as Prometheus has one.
pub(super) fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}
