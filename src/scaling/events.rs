//! The events that a change of status is worth, with KEDA's reasons and texts (keda-behaviour.md §2.14). They follow from
//! two statuses, so that a restart tells nothing twice.

use std::collections::BTreeSet;

use super::Plan;
use crate::resources::{Condition, ScaledObjectStatus};

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// A `Warning`, else `Normal`.
    pub warning: bool,
    /// One word.
    pub reason: &'static str,
    /// For people.
    pub note: String,
}

impl Event {
    /// A `Normal` event.
    #[must_use]
    pub fn normal(reason: &'static str, note: impl Into<String>) -> Self {
        Self {
            warning: false,
            reason,
            note: note.into(),
        }
    }

    /// A `Warning`.
    #[must_use]
    pub fn warning(reason: &'static str, note: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::normal(reason, note)
        }
    }
}

/// What happened between two statuses of `plan`'s object.
#[must_use]
pub fn events(plan: &Plan, before: &ScaledObjectStatus, after: &ScaledObjectStatus) -> Vec<Event> {
    let mut events = Vec::new();
    let [was, is] = [before, after].map(|status| condition(status, "Ready"));
    let said = |c: Option<&Condition>| c.map(|c| (c.status.clone(), c.reason.clone()));
    if said(was) != said(is)
        && let Some(is) = is
    {
        match is.reason.as_str() {
            "ScaledObjectReady" => {
                if before.triggers_types.is_none() {
                    events.extend(started(plan));
                }
                events.push(Event::normal(
                    "ScaledObjectReady",
                    "ScaledObject is ready for scaling",
                ));
            }
            "ScaledObjectCheckFailed" => {
                events.push(Event::warning("ScaledObjectCheckFailed", &*is.message));
            }
            "TriggerError" | "PartialTriggerError" => {
                events.push(Event::warning("KEDAScalerFailed", &*is.message));
            }
            _ => {}
        }
    }
    let turned = |kind: &str, to: bool| {
        let holds = |status| condition(status, kind).is_some_and(|c| c.status == "True");
        holds(before) != to && holds(after) == to
    };
    for (kind, to, reason, note) in [
        (
            "Paused",
            true,
            "ScaledObjectPaused",
            "ScaledObject is paused",
        ),
        (
            "Paused",
            false,
            "ScaledObjectUnpaused",
            "pause annotation removed for ScaledObject",
        ),
        (
            "Fallback",
            true,
            "ScaledObjectFallbackActivated",
            "ScaledObject fallback is active",
        ),
        (
            "Fallback",
            false,
            "ScaledObjectFallbackDeactivated",
            "ScaledObject fallback is no longer active",
        ),
    ] {
        if turned(kind, to) {
            events.push(Event::normal(reason, note));
        }
    }
    events
}

/// Of an object that is seen for the first time.
fn started(plan: &Plan) -> Vec<Event> {
    let kinds: BTreeSet<&str> = plan.triggers.iter().map(|t| t.kind.as_str()).collect();
    let built = kinds.iter().map(|kind| format!("Scaler {kind} is built"));
    built
        .chain(["Started scalers watch".into()])
        .map(|note| Event::normal("KEDAScalersStarted", note))
        .collect()
}

fn condition<'a>(status: &'a ScaledObjectStatus, kind: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|c| c.kind == kind)
}
