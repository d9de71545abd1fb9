//! The one metric of a formula: what it comes to over the cut values of the triggers, and what stands in for it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    lag::Moment,
    scaling::{
        COMPOSITE, Composite, Metric, Modifiers, Plan, Surroundings,
        plan::modifiers::thousandths,
        signal::{evaluation::from_milli, memory::Memory},
    },
    snapshot::Trouble,
    triggers::MetricType,
};

/// The formula of `modifiers` over `metrics`, or what stands in for it.
pub(in crate::scaling) fn compose(
    plan: &Plan,
    modifiers: &Modifiers,
    metrics: &[Metric],
    around: &Surroundings,
    memory: &mut Memory,
) -> Composite {
    if let Some(replicas) = replicas(plan, metrics, around, memory) {
        return fallback(modifiers, replicas, around);
    }
    let mut values: BTreeMap<Arc<str>, Option<f64>> = BTreeMap::new();
    let mut oldest: Option<Moment> = None;
    for metric in metrics {
        let name = plan.triggers.get(metric.index).map(|t| t.name.clone());
        let value = match &metric.value {
            Ok(value) => {
                oldest = Some(oldest.map_or(value.at, |o| older(o, value.at)));
                Some(from_milli(value.cut_milli))
            }
            // Handed over as nil, for `??`.
            Err(_) if metric.fallback.is_some() => None,
            Err(trouble) => return withheld(&metric.name, trouble),
        };
        values.insert(name.unwrap_or_default(), value);
    }
    if let Some(error) = plan.triggers.iter().find_map(|t| t.source.as_ref().err()) {
        return withheld(COMPOSITE, &Trouble::configuration(error.clone()));
    }
    match modifiers.formula.evaluate(&values) {
        Ok(number) => match thousandths(number) {
            Some(milli) => {
                // A formula may fall when a trigger rises, so a partial reading keeps the last complete result as its floor.
                let generation = plan.object.metadata.generation;
                let partial = metrics.iter().any(|m| m.partial.is_some());
                if !partial {
                    memory.composite = Some((generation, milli));
                }
                let last = memory.composite.filter(|(of, _)| *of == generation);
                let milli = milli.max(0).max(last.map_or(0, |(_, last)| last));
                Composite {
                    value: Ok((milli, oldest)),
                    active: if partial { from_milli(milli) } else { number } > modifiers.activation,
                }
            }
            None => withheld(
                COMPOSITE,
                &Trouble::passing(format!(
                    "the formula comes to {number}, which no quantity holds"
                )),
            ),
        },
        Err(error) => withheld(COMPOSITE, &Trouble::passing(error.to_string())),
    }
}

fn fallback(modifiers: &Modifiers, replicas: i64, around: &Surroundings) -> Composite {
    let total = replicas.saturating_mul(modifiers.target_milli);
    let ready = around.ready.map(i64::from).filter(|r| *r > 0);
    let value = match (modifiers.metric_type, ready) {
        (MetricType::AverageValue, _) => Ok((total, None)),
        (MetricType::Value, Some(ready)) => Ok((total / ready, None)),
        (MetricType::Value, None) => Err(Trouble::passing(
            "error performing fallback: no pod is ready to divide the total by",
        )),
    };
    Composite {
        value,
        active: replicas > 0,
    }
}

fn withheld(name: &str, trouble: &Trouble) -> Composite {
    Composite {
        value: Err(Trouble {
            text: format!("{name}: {}", trouble.text).into(),
            ..trouble.clone()
        }),
        active: false,
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
    let known = memory.triggers.get(fallen.next()?.index)?;
    known.failures.replicas(asked, around.replicas)
}

fn older(a: Moment, b: Moment) -> Moment {
    if a.at <= b.at { a } else { b }
}
