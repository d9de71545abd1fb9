//! The one metric of a formula: what it comes to over the cut values of the triggers, and what stands in for it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    COMPOSITE, Metric, Modifiers, Plan, Surroundings, memory::Memory, modifiers::thousandths,
};
use crate::{lag::Moment, poll::Trouble, triggers::MetricType};

/// What a formula came to.
#[derive(Clone, Debug)]
pub struct Composite {
    /// In thousandths, 0 or more, with the time of the oldest reading behind it.
    pub value: Result<(i64, Option<Moment>), Trouble>,
    /// Above the activation target.
    pub active: bool,
}

impl Composite {
    pub(super) fn of(
        plan: &Plan,
        modifiers: &Modifiers,
        metrics: &[Metric],
        around: &Surroundings,
        memory: &mut Memory,
    ) -> Self {
        if let Some(replicas) = replicas(plan, metrics, around, memory) {
            return Self::fallback(modifiers, replicas, around);
        }
        let mut values: BTreeMap<Arc<str>, Option<f64>> = BTreeMap::new();
        let mut oldest: Option<Moment> = None;
        for metric in metrics {
            let name = plan.triggers.get(metric.index).map(|t| t.name.clone());
            let value = match &metric.value {
                Ok(value) => {
                    oldest = Some(oldest.map_or(value.at, |o| older(o, value.at)));
                    Some(as_float(value.cut))
                }
                // Handed over as nil, for `??`.
                Err(_) if metric.fallback.is_some() => None,
                Err(trouble) => return Self::withheld(&metric.name, trouble),
            };
            values.insert(name.unwrap_or_default(), value);
        }
        if let Some(error) = plan.triggers.iter().find_map(|t| t.source.as_ref().err()) {
            return Self::withheld(COMPOSITE, &Trouble::configuration(error.clone()));
        }
        match modifiers.formula.evaluate(&values) {
            Ok(number) => match thousandths(number) {
                Some(milli) => {
                    // More of one trigger may be less of it all: a part of the truth never scales in.
                    let generation = plan.object.metadata.generation;
                    let partial = metrics.iter().any(|m| m.partial.is_some());
                    if !partial {
                        memory.composite = Some((generation, milli));
                    }
                    let last = memory.composite.filter(|(of, _)| *of == generation);
                    let milli = milli.max(0).max(last.map_or(0, |(_, last)| last));
                    Self {
                        value: Ok((milli, oldest)),
                        active: if partial {
                            as_float(milli) / 1000.0
                        } else {
                            number
                        } > modifiers.activation,
                    }
                }
                None => Self::withheld(
                    COMPOSITE,
                    &Trouble::passing(format!(
                        "the formula comes to {number}, which no quantity holds"
                    )),
                ),
            },
            Err(error) => Self::withheld(COMPOSITE, &Trouble::passing(error.to_string())),
        }
    }

    fn fallback(modifiers: &Modifiers, replicas: i64, around: &Surroundings) -> Self {
        let total = replicas.saturating_mul(modifiers.target_milli);
        let ready = around.ready.map(i64::from).filter(|r| *r > 0);
        let value = match (modifiers.metric_type, ready) {
            (MetricType::AverageValue, _) => Ok((total, None)),
            (MetricType::Value, Some(ready)) => Ok((total / ready, None)),
            (MetricType::Value, None) => Err(Trouble::passing(
                "error performing fallback: no pod is ready to divide the total by",
            )),
        };
        Self {
            value,
            active: replicas > 0,
        }
    }

    fn withheld(name: &str, trouble: &Trouble) -> Self {
        Self {
            value: Err(Trouble {
                text: format!("{name}: {}", trouble.text).into(),
                configuration: trouble.configuration,
            }),
            active: false,
        }
    }
}

/// The replicas a fallback asks for, unless the formula itself deals with what is missing.
fn replicas(
    plan: &Plan,
    metrics: &[Metric],
    around: &Surroundings,
    memory: &Memory,
) -> Option<i64> {
    let asked = plan.fallback()?;
    if asked.behavior.as_deref() == Some("scalingModifiers") {
        return None;
    }
    let mut fallen = metrics.iter().filter(|m| m.fallback.is_some());
    let known = memory.triggers.get(&fallen.next()?.index)?;
    known.failures.replicas(asked, around.replicas)
}

fn older(a: Moment, b: Moment) -> Moment {
    if a.at <= b.at { a } else { b }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "formulas compute in floats, as KEDA's do"
)]
fn as_float(value: i64) -> f64 {
    value as f64
}
