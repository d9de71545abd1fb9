//! What an evaluation puts into the table that the external metrics API reads.

use jiff::Timestamp;

use crate::scaling::{
    Evaluation, Plan,
    table::{MAX_MILLI, Outcome as Served, Table},
};

/// Adds the metrics of one object; `at` is the time of a fallback's value.
pub(super) fn publish(plan: &Plan, evaluation: &Evaluation, at: Timestamp, table: &mut Table) {
    for metric in &evaluation.metrics {
        let milli = |records: i64| records.saturating_mul(1000).clamp(0, MAX_MILLI);
        let outcome = match (&metric.value, metric.fallback) {
            (Err(_), Some(records)) => Served::Value {
                milli: milli(records),
                at,
            },
            (Ok(value), _) => Served::Value {
                milli: milli(value.served),
                at: value.at.wall,
            },
            (Err(trouble), None) => Served::Withheld(
                format!(
                    "error when getting metric values metric:{} encountered error: {}",
                    metric.name, trouble.text
                )
                .into(),
            ),
        };
        table.insert(&plan.namespace, plan.entry(&metric.name, outcome));
    }
}
