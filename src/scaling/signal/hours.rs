//! The clock as a source: what a cron trigger reads of it, and the metric that comes of that.

use crate::{
    lag::Moment,
    scaling::{
        Cut, External, Metric, Value,
        signal::cut::signal,
        signal::given::{Given, Progress},
    },
    triggers::{Cron, MetricType},
};

/// The reading of a cron trigger.
pub(in crate::scaling) struct Hours<'a> {
    index: usize,
    external: External<'a>,
    cron: &'a Cron,
    /// Its window is open.
    open: bool,
}

impl<'a> Hours<'a> {
    pub(in crate::scaling) fn read(
        index: usize,
        external: External<'a>,
        cron: &'a Cron,
        given: Given<'_>,
        so_far: &mut Progress,
    ) -> Self {
        let (open, until) = cron.window(given.now.wall);
        so_far.due.at_wall(until);
        Self {
            index,
            external,
            cron,
            open,
        }
    }

    pub(in crate::scaling) fn metric(&self, cut: Cut, now: Moment) -> Metric {
        let most = self.cron.desired;
        let desired = if self.open { most } else { 0 };
        let cut = Cut {
            bound: Some(most),
            effective: Some(most),
            ..cut
        };
        let served = match self.external.metric_type {
            MetricType::AverageValue => signal(desired, cut),
            MetricType::Value => desired,
        };
        Metric {
            index: self.index,
            name: self.external.metric.clone(),
            value: Ok(Value::of_records(desired, desired, served, now)),
            active: self.open,
            fallback: None,
            failures: None,
            partial: None,
            notice: None,
        }
    }
}
