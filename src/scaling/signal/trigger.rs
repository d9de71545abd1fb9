//! The metric of one trigger, by where its number comes from.

use crate::{
    lag::Moment,
    scaling::{
        Cut, External, Metric, Plan, Settings, Surroundings, Value,
        reading::readout::Readout,
        signal::cut::signal,
        signal::memory::Memory,
        signal::metric::{activation, lag, served},
    },
    triggers::{Cron, Kafka, MetricType},
};

#[allow(clippy::too_many_arguments, reason = "one step of evaluate, split off")]
pub(in crate::scaling) fn of_kafka(
    plan: &Plan,
    index: usize,
    kafka: &Kafka,
    readout: &Readout,
    memory: &mut Memory,
    bare: Cut,
    settings: Settings,
    now: Moment,
) -> Metric {
    let known = memory.triggers.entry(index);
    let max_age = settings.max_sample_age;
    let external = plan.external(index);
    let cached = plan.triggers.get(index).is_some_and(|t| t.cached);
    let active = activation(readout, known, max_age, now) > kafka.activation;
    let value = lag(readout, known, max_age, now)
        .map(|fresh| {
            if cached {
                known.cached(fresh, plan.polling, now)
            } else {
                fresh
            }
        })
        .map(|lag| {
            let metric_type = external.map_or(MetricType::AverageValue, |e| e.metric_type);
            served(kafka, metric_type, lag, readout, known.bound.value(), bare)
        });
    Metric {
        index,
        name: external.map(|e| e.metric.clone()).unwrap_or_default(),
        value,
        active,
        fallback: None,
        failures: None,
        partial: readout.partial(),
        notice: readout.notice.clone().or_else(|| {
            let planned = plan.triggers.get(index)?.notice.as_ref();
            planned.map(ToString::to_string)
        }),
    }
}

/// Counts a failure and, once there were enough, puts in what its owner asks for instead.
pub(in crate::scaling) fn fall_back(
    plan: &Plan,
    metric: &mut Metric,
    external: External<'_>,
    failed: Option<bool>,
    around: &Surroundings,
    memory: &mut Memory,
    now: Moment,
) {
    let known = memory.triggers.entry(metric.index);
    // Before the first poll is over, what a status told of an outage stands.
    if let Some(failed) = failed {
        known.failures.take(failed, plan.polling, now);
    }
    let Some(asked) = plan.fallback() else {
        return;
    };
    metric.failures = Some(known.failures.told(asked));
    let Some(replicas) = known.failures.replicas(asked, around.replicas) else {
        return;
    };
    let total = replicas
        .saturating_mul(external.threshold)
        .saturating_mul(1000);
    let ready = around.ready.map(i64::from).filter(|r| *r > 0);
    // With a formula the replicas are the formula's to ask for.
    let value = external.metric_type == MetricType::Value && plan.modifiers.is_none();
    metric.fallback = match ready {
        Some(ready) if value => Some(total / ready),
        None if value => {
            if let Err(trouble) = &mut metric.value {
                trouble.text = format!(
                    "error performing fallback: no pod is ready to divide the total by: {}",
                    trouble.text
                )
                .into();
            }
            None
        }
        _ => Some(total),
    };
    metric.active |= metric.fallback.is_some_and(|f| f > 0);
}

pub(in crate::scaling) fn of_cron(
    index: usize,
    (cron, active): (&Cron, bool),
    external: External<'_>,
    bare: Cut,
    now: Moment,
) -> Metric {
    let desired = if active { cron.desired } else { 0 };
    let cut = Cut {
        bound: Some(cron.desired),
        effective: Some(cron.desired),
        ..bare
    };
    let served = match external.metric_type {
        MetricType::AverageValue => signal(desired, cut),
        MetricType::Value => desired,
    };
    Metric {
        index,
        name: external.metric.clone(),
        value: Ok(Value {
            served,
            cut: desired,
            lag: desired,
            at: now,
        }),
        active,
        fallback: None,
        failures: None,
        partial: None,
        notice: None,
    }
}
