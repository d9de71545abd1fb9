//! What an evaluation puts into the table that the external metrics API reads.

use crate::scaling::{
    Evaluation, Plan,
    table::{MAX_MILLI, Outcome as Served, Table},
};

/// Adds the metrics of one object.
pub(super) fn publish(plan: &Plan, evaluation: &Evaluation, table: &mut Table) {
    for metric in &evaluation.metrics {
        let outcome = match &metric.value {
            Ok(value) => Served::Value {
                milli: value.served.saturating_mul(1000).clamp(0, MAX_MILLI),
                at: value.at.wall,
            },
            Err(trouble) => Served::Withheld(
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
