//! The events that a change of status is worth, with KEDA's reasons and texts. They follow from
//! two statuses, so that a restart tells nothing twice.

use std::collections::BTreeSet;

use crate::{
    resources::{Condition, KAFKA_REACHABLE, ScaledObjectStatus},
    scaling::{Move, Plan},
};

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

/// The event of a step from `from` replicas that was taken, or failed; `kind` is the workload's, as a status tells it.
#[must_use]
pub fn step_event(
    plan: &Plan,
    step: &Move,
    kind: &str,
    from: i32,
    failure: Option<&str>,
) -> Option<Event> {
    let (to, why) = match step {
        Move::Wake(to, _) if plan.forced => (to, ", caused by forced activation annotation".into()),
        Move::Wake(to, metrics) => (to, format!(", triggered by {}", metrics.join(";"))),
        Move::Sleep(to) => (to, String::new()),
        Move::Floor(_) | Move::Hold(_) | Move::Stay | Move::CoolDown => return None,
    };
    let (namespace, name) = (&plan.namespace, &plan.object.spec.scale_target_ref.name);
    let moved = format!("{kind} {namespace}/{name} from {from} to {to}");
    let slept = matches!(step, Move::Sleep(_));
    Some(match (slept, failure) {
        (false, None) => Event::normal("KEDAScaleTargetActivated", format!("Scaled {moved}{why}")),
        (true, None) => Event::normal("KEDAScaleTargetDeactivated", format!("Deactivated {moved}")),
        (false, Some(error)) => Event::warning(
            "KEDAScaleTargetActivationFailed",
            format!("Failed to scale {moved}: {error}"),
        ),
        (true, Some(error)) => Event::warning(
            "KEDAScaleTargetDeactivationFailed",
            format!("Failed to deactivate {moved}: {error}"),
        ),
    })
}

/// The words of `Ready` for a step that failed.
#[must_use]
pub fn step_error(step: &Move, error: &str) -> String {
    let stage = match step {
        Move::Wake(..) => "error activating ScaleTarget",
        Move::Sleep(_) => "error deactivating ScaleTarget",
        Move::Hold(_) => "error setting ScaleTarget replicas count to the paused replicas",
        Move::Floor(_) | Move::Stay | Move::CoolDown => {
            "error setting ScaleTarget replicas count to ScaledObject minReplicaCount"
        }
    };
    format!("{stage}: {error}")
}

/// The events between two statuses of `plan`'s object.
#[must_use]
pub fn events(plan: &Plan, before: &ScaledObjectStatus, after: &ScaledObjectStatus) -> Vec<Event> {
    let mut events = Vec::new();
    let [was, is] = [before, after].map(|status| status.condition("Ready"));
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
    let [was, is] = [before, after].map(|status| status.condition(KAFKA_REACHABLE));
    let fails = |c: Option<&Condition>| c.is_some_and(|c| c.status == "False");
    let is_told = events
        .iter()
        .any(|event| event.reason == "KEDAScalerFailed");
    match is {
        Some(is) if is.status == "False" && !fails(was) && !is_told => {
            events.push(Event::warning("KEDAScalerFailed", &*is.message));
        }
        Some(is) if is.status == "True" && fails(was) && events.is_empty() => {
            events.push(Event::normal(KAFKA_REACHABLE, "the lag can be read again"));
        }
        _ => {}
    }
    let turned = |kind: &str, to: bool| {
        let holds = |status: &ScaledObjectStatus| {
            status.condition(kind).is_some_and(|c| c.status == "True")
        };
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

/// Events of an object that is seen for the first time.
fn started(plan: &Plan) -> Vec<Event> {
    let kinds: BTreeSet<&str> = plan.triggers.iter().map(|t| t.kind.as_str()).collect();
    let built = kinds.iter().map(|kind| format!("Scaler {kind} is built"));
    built
        .chain(["Started scalers watch".into()])
        .map(|note| Event::normal("KEDAScalersStarted", note))
        .collect()
}
