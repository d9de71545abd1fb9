//! The conditions of an object: KEDA's with KEDA's texts, our cause appended.

use crate::{
    resources::Condition,
    scaling::{
        Activity, Evaluation, Live, Plan, Settings,
        decision::{
            moves::Move,
            trouble::{Obstacle, before, cause, obstacle, reachable},
        },
    },
};

const READY: &str = "ScaledObject is defined correctly and is ready for scaling";
const PAUSED: &str = "ScaledObject is paused";
const BROKEN: &str = "Triggers defined in ScaledObject are not working correctly";
const PRUNED: &str = "where its groups stand will be forgotten in a restart, because the ScaledObject CRD of this cluster drops status.remembered: apply lagscale's CRDs";
const PARTLY_BROKEN: &str = "Some triggers defined in ScaledObject are not working correctly";

/// Obstacles of an object, from outside its triggers.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// The scale target is missing or can't be scaled, in KEDA's words for that stage.
    pub target: Option<String>,
    /// The last write of the HPA failed.
    pub write: Option<String>,
    /// The last change of the workload's replicas failed, as [`step_error`](super::events::step_error) tells it.
    pub step: Option<String>,
    /// The API server did not store what the status remembers.
    pub pruned: bool,
}

/// Ready, Active, Fallback, Paused and, once it was observed, HPAActive, in KEDA's order; then ours, whether Kafka can be read.
#[must_use]
pub fn conditions(
    plan: &Plan,
    evaluation: &Evaluation,
    activity: &Activity,
    step: &Move,
    health: &Health,
    live: Option<&Live>,
    settings: Settings,
) -> Vec<Condition> {
    let ready = ready(plan, evaluation, activity, health, settings);
    let checked = ready.reason != "ScaledObjectCheckFailed";
    let mut conditions = vec![
        ready,
        active(plan, activity, step, checked),
        fallback(evaluation),
        paused(plan),
    ];
    conditions.extend(hpa_active(plan, live));
    conditions.extend(reachable(plan, evaluation));
    conditions
}

/// The HPA's own word; while it says nothing, what it said before.
fn hpa_active(plan: &Plan, live: Option<&Live>) -> Option<Condition> {
    let Some((status, reason, message)) = live.and_then(|l| l.scaling_active.as_ref()) else {
        return before(plan, "HPAActive").cloned();
    };
    let said =
        |status, reason: &str, text: String| Condition::new("HPAActive", status, reason, text);
    Some(match (status.as_str(), reason.as_str()) {
        ("True", _) => said("True", "HPAActive", "HPA is actively scaling".into()),
        (_, "ScalingDisabled") => said("True", "ScalingDisabled", message.clone()),
        (_, "") => said(
            "False",
            "HPAMetricsUnavailable",
            format!("HPA is not actively scaling: {message}"),
        ),
        (_, reason) => said(
            "False",
            reason,
            format!("HPA is not actively scaling: {message}"),
        ),
    })
}

fn ready(
    plan: &Plan,
    evaluation: &Evaluation,
    activity: &Activity,
    health: &Health,
    settings: Settings,
) -> Condition {
    let failed = |text: String| Condition::new("Ready", "False", "ScaledObjectCheckFailed", text);
    if let Some(text) = health.target.as_ref().or(plan.problem.as_ref()) {
        return failed(text.clone());
    }
    let stage = "failed to ensure HPA is correctly created for ScaledObject";
    let broken = plan.triggers.iter().enumerate();
    let mut broken = broken.filter_map(|(i, t)| t.source.as_ref().err().map(|e| (i, t, e)));
    if let Some((index, trigger, error)) = broken.next() {
        let text = format!("{stage}: {error} (trigger {index}, type {})", trigger.kind);
        return failed(text);
    }
    if let Some(text) = &health.write {
        return failed(format!("{stage}: {text}"));
    }
    if let Some(text) = &health.step {
        return Condition::new("Ready", "False", "ErrorScalingTarget", text.clone());
    }
    if !evaluation.answered {
        return Condition::new("Ready", "Unknown", "", "");
    }
    if let Some(Obstacle {
        mut cause,
        needs_a_person,
    }) = obstacle(plan, evaluation)
    {
        // A missing part of an authentication may be why.
        if let Some(missing) = plan.triggers.iter().find_map(|t| t.notice.as_ref()) {
            cause = format!("{cause}; {missing}");
        }
        if plan.fallback().is_some() {
            let text = format!("{READY}; a fallback is asked for: {cause}");
            return Condition::new("Ready", "True", "ScaledObjectReady", text);
        }
        if !needs_a_person && !settings.ready_follows_outages {
            let text = format!("{READY}; the reading is withheld: {cause}");
            return Condition::new("Ready", "True", "ScaledObjectReady", text);
        }
        return if matches!(activity, Activity::Active(_)) {
            let text = format!("{PARTLY_BROKEN}: {cause}");
            Condition::new("Ready", "Unknown", "PartialTriggerError", text)
        } else {
            Condition::new(
                "Ready",
                "False",
                "TriggerError",
                format!("{BROKEN}: {cause}"),
            )
        };
    }
    let partial = evaluation
        .metrics
        .iter()
        .find_map(|m| m.partial.as_ref().map(|t| cause(m, t)));
    let notice = evaluation
        .metrics
        .iter()
        .find_map(|m| Some(format!("{}: {}", m.name, m.notice.as_ref()?)))
        .or_else(|| health.pruned.then(|| PRUNED.to_owned()));
    let well = if plan.pause.whole { PAUSED } else { READY };
    let message = match (partial, notice) {
        (Some(cause), _) => format!("{well}; reading is partial: {cause}"),
        (None, Some(notice)) => format!("{well}; {notice}"),
        (None, None) => well.into(),
    };
    Condition::new("Ready", "True", "ScaledObjectReady", message)
}

fn fallback(evaluation: &Evaluation) -> Condition {
    if evaluation.falls_back() {
        return Condition::new(
            "Fallback",
            "True",
            "FallbackExists",
            "At least one trigger is falling back on this scaled object",
        );
    }
    Condition::new(
        "Fallback",
        "False",
        "NoFallbackFound",
        "No fallbacks are active on this scaled object",
    )
}

fn paused(plan: &Plan) -> Condition {
    if plan.pause.any() {
        return Condition::new("Paused", "True", "ScaledObjectPaused", PAUSED);
    }
    if before(plan, "Paused")
        .is_some_and(|c| c.status == "True" || c.reason == "ScaledObjectUnpaused")
    {
        return Condition::new(
            "Paused",
            "False",
            "ScaledObjectUnpaused",
            "pause annotation removed for ScaledObject",
        );
    }
    Condition::new("Paused", "False", "", "")
}

fn active(plan: &Plan, activity: &Activity, step: &Move, checked: bool) -> Condition {
    if !checked {
        return Condition::new(
            "Active",
            "Unknown",
            "UnknownState",
            "ScaledObject check failed",
        );
    }
    if plan.pause.whole {
        // Nobody scales: what was said last stands.
        let unknown = || Condition::new("Active", "Unknown", "", "");
        return before(plan, "Active").cloned().unwrap_or_else(unknown);
    }
    match (activity, step) {
        _ if plan.forced => Condition::new(
            "Active",
            "True",
            "ScalerActive",
            "Scaling is performed because activation is being forced by annotation",
        ),
        (Activity::Active(_), _) => Condition::new(
            "Active",
            "True",
            "ScalerActive",
            "Scaling is performed because triggers are active",
        ),
        (_, Move::CoolDown) => Condition::new(
            "Active",
            "False",
            "ScalerCooldown",
            "Scaler cooling down because triggers are not active",
        ),
        _ => Condition::new(
            "Active",
            "False",
            "ScalerNotActive",
            "Scaling is not performed because triggers are not active",
        ),
    }
}
