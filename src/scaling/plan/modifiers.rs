//! `advanced.scalingModifiers`: a formula over the triggers, served as one metric instead of theirs.

use crate::{
    resources::{ScaledObjectSpec, ScalingModifiers, Trigger},
    scaling::Formula,
    triggers::MetricType,
};

/// The metric a formula is served as; KEDA's name.
pub const COMPOSITE: &str = "composite-metric";

/// A formula with what it is compared with.
#[derive(Clone, Debug)]
pub struct Modifiers {
    /// Over the names of triggers.
    pub formula: Formula,
    /// In thousandths, above 0.
    pub target_milli: i64,
    /// A value above it wakes the workload.
    pub activation: f64,
    /// How the HPA compares it.
    pub metric_type: MetricType,
}

impl Modifiers {
    /// The modifiers of an object, `None` without any; an error in KEDA's words.
    pub(in crate::scaling) fn of(spec: &ScaledObjectSpec) -> Result<Option<Self>, String> {
        let advanced = spec.advanced.as_ref();
        let Some(written) = advanced
            .and_then(|a| a.scaling_modifiers.as_ref())
            .filter(|m| **m != ScalingModifiers::default())
        else {
            return Ok(None);
        };
        let text = |field: &Option<String>| {
            let text = field.as_deref().map(str::trim).filter(|t| !t.is_empty());
            text.map(str::to_owned)
        };
        let formula =
            text(&written.formula).ok_or("error ScalingModifiers.Formula is mandatory")?;
        let target = text(&written.target).ok_or(
            "error validating formula in ScalingModifiers\nformula is given but target is empty",
        )?;
        let names: Vec<&str> = spec.triggers.iter().filter_map(usable).collect();
        let formula = Formula::parse(&formula, &names)
            .map_err(|e| format!("error validating formula in ScalingModifiers\n{e}"))?;
        let target_milli = milli(&target).filter(|t| *t > 0).ok_or_else(|| {
            format!(
                "error validating target in ScalingModifiers\nerror converting target for scalingModifiers (string->float) to valid target: expected a number above 0, found {target:?}"
            )
        })?;
        let activation = match text(&written.activation_target) {
            None => 0.0,
            Some(text) => number(&text).ok_or_else(|| {
                format!(
                    "error converting activationTarget for scalingModifiers (string->float): expected a number, found {text:?}"
                )
            })?,
        };
        Ok(Some(Self {
            formula,
            target_milli,
            activation,
            metric_type: match written.metric_type.as_deref() {
                Some("Value") => MetricType::Value,
                _ => MetricType::AverageValue,
            },
        }))
    }

    /// KEDA falls back only to whole targets; another one switches fallback off without a word.
    pub(in crate::scaling) fn can_fall_back(&self) -> bool {
        self.target_milli % 1000 == 0
    }
}

/// The name a formula may use: what an HPA reads by itself has no value here.
fn usable(trigger: &Trigger) -> Option<&str> {
    let name = trigger.name.as_deref().filter(|n| !n.is_empty())?;
    (!trigger.is_resource()).then_some(name)
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

/// Thousandths of a number that is written as text, as KEDA cuts them.
fn milli(text: &str) -> Option<i64> {
    number(text).and_then(thousandths)
}

/// A number as a quantity carries it, cut to thousandths; nothing where that can't hold it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "checked against the largest quantity that is served"
)]
pub(in crate::scaling) fn thousandths(number: f64) -> Option<i64> {
    let milli = number * 1000.0;
    let largest = crate::scaling::table::MAX_MILLI as f64;
    (milli.abs() <= largest).then_some(milli as i64)
}
