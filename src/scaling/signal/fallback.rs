//! The fallback: the value that is served while a metric can't be read, where its owner asks for one.

use crate::{
    scaling::{
        External, Metric,
        signal::{given::Given, memory::Memory},
    },
    triggers::MetricType,
};

/// Counts a failure of `metric` and, once there were enough, puts in what its owner asks for instead. `failed` is `None` before
/// the first poll is over: until then what a status told of an outage stands.
pub(in crate::scaling) fn fall_back(
    metric: &mut Metric,
    external: External<'_>,
    failed: Option<bool>,
    given: Given<'_>,
    memory: &mut Memory,
) {
    let Given { plan, around, .. } = given;
    let known = memory.triggers.entry(metric.index);
    if let Some(failed) = failed {
        known.failures.take(failed, plan.polling, given.now);
    }
    let Some(asked) = plan.fallback() else {
        return;
    };
    metric.failures = Some(known.failures.told(asked));
    let Some(replicas) = known.failures.replicas(asked, around.replicas) else {
        return;
    };
    let total = replicas.saturating_mul(external.target_milli);
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
