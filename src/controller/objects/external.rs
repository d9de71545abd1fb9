//! One trigger that a KEDA asks about as its external scaler: read as any other, with no HPA and no status of ours.

use std::sync::Arc;

use super::planned::Planned;
use crate::{
    lag::Moment,
    scaling::{Due, Evaluation, Plan, Source},
};

/// The reading of a trigger as KEDA is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalReading {
    /// The metric's name, without the trigger's place in its object, which KEDA puts before it.
    pub metric: Arc<str>,
    /// The records per replica, `lagThreshold`.
    pub target: i64,
    /// The value; `None` before the first answer of a broker, an error where it is withheld.
    pub value: Option<Result<ExternalValue, Arc<str>>>,
}

/// A value that is not withheld.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalValue {
    /// The lag, cut at what the partitions can use, in thousandths.
    pub milli: i64,
    /// `true` while the lag is above `activationLagThreshold`.
    pub active: bool,
}

impl ExternalReading {
    /// The reading that an evaluation came to; an error is about the trigger as it is written.
    pub(super) fn of(plan: &Plan, evaluation: &Evaluation) -> Result<Self, Arc<str>> {
        if let Some(problem) = &plan.problem {
            return Err(problem.as_str().into());
        }
        let source = match plan.triggers.first().map(|t| &t.source) {
            Some(Ok(Source::Kafka(kafka))) => kafka,
            Some(Err(why)) => return Err(why.clone()),
            Some(Ok(_)) | None => return Err("there is no kafka trigger".into()),
        };
        let metric = evaluation.metrics.first();
        let value = metric.map(|metric| match &metric.value {
            Ok(value) => Ok(ExternalValue {
                milli: value.cut_milli.max(0),
                active: metric.active,
            }),
            Err(trouble) => Err(trouble.text.clone()),
        });
        let name = source.metric.strip_prefix("s0-");
        Ok(Self {
            metric: name.unwrap_or(&source.metric).into(),
            target: source.kafka.threshold,
            value: value.filter(|value| value.is_ok() || evaluation.answered),
        })
    }
}

/// Says when it is evaluated again.
pub(super) fn rest(planned: &mut Planned, evaluation: &Evaluation, now: Moment) {
    let mut due = Due::after(now);
    due.at(evaluation.due);
    planned.rest_until(due.next(), now.at);
}
