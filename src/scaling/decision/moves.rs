//! The steps an HPA does not take: from zero, to zero, and up to the minimum. Errors never lead to zero, and neither does
//! a part of the truth.

use std::sync::Arc;

use jiff::Timestamp;

use crate::scaling::{COMPOSITE, Evaluation, Plan};

/// Whether there is work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// The metrics above their activation threshold, or nothing but cpu and memory.
    Active(Vec<Arc<str>>),
    /// Everything was read, nothing is above its threshold.
    Idle,
    /// The last poll found it idle and something is above its threshold now: it is not put to sleep, and the next poll wakes it.
    Stirring,
    /// Nothing known is above it, and not everything is known.
    Unknown,
}

impl Activity {
    /// The activity of an evaluated object.
    #[must_use]
    pub fn of(plan: &Plan, evaluation: &Evaluation) -> Self {
        let mut sources = plan.triggers.iter().map(|t| t.source.as_ref().ok());
        if sources.all(|source| source.is_some_and(|s| s.resource().is_some())) {
            return Self::Active(Vec::new());
        }
        // A formula decides alone, and only over the whole truth: more of one trigger may be less of it.
        let active: Vec<_> = match &evaluation.composite {
            Some(composite) if composite.active => vec![COMPOSITE.into()],
            Some(_) => Vec::new(),
            None => {
                let active = evaluation.metrics.iter().filter(|m| m.active);
                active.map(|m| m.name.clone()).collect()
            }
        };
        if !active.is_empty() {
            return Self::Active(active);
        }
        let parsed = plan.triggers.iter().all(|t| t.source.is_ok());
        // A fallback to 0 replicas wants none while nothing is known.
        let none = plan.object.spec.fallback.as_ref();
        let errs_to_none = evaluation.fails() && none.is_some_and(|f| f.replicas == 0);
        let mut metrics = evaluation.metrics.iter();
        let read =
            !evaluation.fails() && metrics.all(|m| m.fallback.is_some() || m.partial.is_none());
        if parsed && (read || errs_to_none) {
            Self::Idle
        } else {
            Self::Unknown
        }
    }
}

/// A write to the scale subresource, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Leave it.
    Stay,
    /// Down to rest soon: the cool-down runs until then.
    CoolDown,
    /// Up to this many, because of these metrics; without any because an annotation says so.
    Wake(i32, Vec<Arc<str>>),
    /// Down to rest: zero, or `idleReplicaCount`.
    Sleep(i32),
    /// Up to the minimum.
    Floor(i32),
    /// To the number that it is paused at.
    Hold(i32),
}

/// The move of a workload of `replicas`. `last_active` is when it was active the last time.
#[must_use]
pub fn next_move(
    plan: &Plan,
    activity: &Activity,
    replicas: i32,
    last_active: Option<Timestamp>,
    now: Timestamp,
) -> Move {
    let pause = plan.pause;
    if pause.whole {
        let held = pause.replicas.filter(|held| *held != replicas);
        return held.map_or(Move::Stay, Move::Hold);
    }
    if plan.forced || matches!(activity, Activity::Active(_)) {
        let asleep = replicas == 0 || plan.idle.is_some() && replicas < plan.min;
        return match activity {
            _ if !asleep || pause.scale_out => Move::Stay,
            Activity::Active(metrics) => Move::Wake(plan.min.max(1), metrics.clone()),
            Activity::Idle | Activity::Stirring | Activity::Unknown => {
                Move::Wake(plan.min.max(1), Vec::new())
            }
        };
    }
    if *activity == Activity::Unknown {
        return Move::Stay;
    }
    let rest = plan.idle.unwrap_or(0);
    if plan.sleeps() && replicas > rest {
        let over = sleeps_at(plan, last_active).is_none_or(|at| at <= now);
        return match over {
            _ if pause.scale_in => Move::Stay,
            true if *activity == Activity::Idle => Move::Sleep(rest),
            _ => Move::CoolDown,
        };
    }
    if plan.idle.is_none() && replicas < plan.min && !pause.scale_out {
        return Move::Floor(plan.min);
    }
    Move::Stay
}

/// The `minReplicas` that the HPA is to have; `live` is what it has. Where `idleReplicaCount` is 1 or more the HPA holds that
/// count while there is no work: with the object's own minimum the two would take turns.
#[must_use]
pub fn floor(
    plan: &Plan,
    activity: &Activity,
    step: &Move,
    replicas: i32,
    live: Option<i32>,
) -> i32 {
    let least = plan.min.max(1);
    let Some(idle) = plan.idle.filter(|idle| *idle >= 1) else {
        return least;
    };
    match (activity, step) {
        _ if plan.forced => least,
        (Activity::Active(_), _) | (_, Move::Wake(..)) => least,
        (_, Move::Sleep(to)) => *to,
        (Activity::Idle, _) if replicas <= idle => idle,
        _ => live.map_or(least, |live| live.clamp(idle, least)),
    }
}

impl Move {
    /// The replicas it asks for; `None` where it asks for none.
    #[must_use]
    pub fn to(&self) -> Option<i32> {
        match self {
            Self::Wake(to, _) | Self::Sleep(to) | Self::Floor(to) | Self::Hold(to) => Some(*to),
            Self::Stay | Self::CoolDown => None,
        }
    }
}

/// Whether this poll restarts the cool-down. An active trigger does not while another one fails.
#[must_use]
pub fn keeps_awake(plan: &Plan, activity: &Activity, evaluation: &Evaluation) -> bool {
    let active = matches!(activity, Activity::Active(_)) && !evaluation.fails();
    !plan.pause.whole && plan.forced || active
}

/// When the cool-down of a workload is over that has had no work since `last_active`; `None`: it has none.
#[must_use]
pub fn sleeps_at(plan: &Plan, last_active: Option<Timestamp>) -> Option<Timestamp> {
    let (since, period) = match last_active {
        Some(at) => (at, plan.cooldown),
        None => (plan.created?, plan.initial_cooldown),
    };
    Some(since.checked_add(period).unwrap_or(Timestamp::MAX))
}
