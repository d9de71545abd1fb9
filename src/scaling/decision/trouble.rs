//! The obstacle of an object's readings: what a person has to change makes it not ready; an outage passes by itself, and is told by a
//! condition of its own.

use crate::{
    resources::{Condition, KAFKA_REACHABLE},
    scaling::{COMPOSITE, Evaluation, Metric, Plan},
    snapshot::Trouble,
};

/// Reasons of its condition: what was read before, or never yet.
const READ: &str = "Read";
const UNREACHABLE: &str = "Unreachable";
const NEVER_READ: &str = "NeverRead";

/// Why something is withheld, or soon will be.
pub(super) struct Obstacle {
    pub cause: String,
    /// It lasts until a person changes something.
    pub needs_a_person: bool,
}

/// The obstacle of an evaluation. One that only a person can mend goes first, and is told even while the last reading is still fresh enough to
/// serve. An object that nothing was ever read for is taken for one: its addresses may be wrong.
pub(super) fn obstacle(plan: &Plan, evaluation: &Evaluation) -> Option<Obstacle> {
    let metrics = || evaluation.metrics.iter();
    let withheld = || metrics().filter_map(|m| Some((m, m.value.as_ref().err()?)));
    let told = |(metric, trouble): (&Metric, &Trouble)| cause(metric, trouble);
    let mended = withheld()
        .find(|(_, trouble)| trouble.needs_a_person())
        .or_else(|| {
            metrics().find_map(|m| Some((m, m.partial.as_ref().filter(|t| t.configuration)?)))
        });
    let composite = evaluation.composite.as_ref();
    let composite = composite.and_then(|c| c.value.as_ref().err());
    let formula = |trouble: &Trouble| format!("{COMPOSITE}: {}", trouble.text);
    if let Some(cause) = mended.map(told).or_else(|| {
        let refused = composite.filter(|trouble| trouble.configuration);
        refused.map(formula)
    }) {
        return Some(Obstacle {
            cause,
            needs_a_person: true,
        });
    }
    let cause = withheld()
        .next()
        .map(told)
        .or_else(|| composite.map(formula))?;
    Some(Obstacle {
        cause,
        needs_a_person: was_never_read(plan, evaluation),
    })
}

/// A condition as the status has it.
pub(super) fn before<'a>(plan: &'a Plan, kind: &str) -> Option<&'a Condition> {
    plan.object.status.as_ref()?.condition(kind)
}

fn was_never_read(plan: &Plan, evaluation: &Evaluation) -> bool {
    let before = before(plan, KAFKA_REACHABLE);
    let was_read = before.is_some_and(|c| c.reason == READ || c.reason == UNREACHABLE);
    evaluation.unread && !was_read
}

/// The condition that says if the lag of every Kafka trigger can be read; there is none where no trigger asks Kafka.
pub(super) fn reachable(plan: &Plan, evaluation: &Evaluation) -> Option<Condition> {
    plan.kafka_sources().next()?;
    let said =
        |status, reason, text: &str| Some(Condition::new(KAFKA_REACHABLE, status, reason, text));
    if !evaluation.answered {
        return said("Unknown", "", "");
    }
    let of_kafka = |metric: &&Metric| {
        plan.triggers
            .get(metric.index)
            .is_some_and(|t| t.kafka().is_some())
    };
    let kafka = || evaluation.metrics.iter().filter(of_kafka);
    let withheld = || kafka().filter_map(|m| Some((m, m.value.as_ref().err()?)));
    if let Some((metric, trouble)) = withheld().find(|(_, t)| !t.needs_a_person()) {
        let reason = if was_never_read(plan, evaluation) {
            NEVER_READ
        } else {
            UNREACHABLE
        };
        return said("False", reason, &cause(metric, trouble));
    }
    match withheld().next() {
        // A refused login is an answer, and says nothing of the lag.
        Some((metric, trouble)) => said("Unknown", "Misconfigured", &cause(metric, trouble)),
        None => said("True", READ, ""),
    }
}

pub(super) fn cause(metric: &Metric, trouble: &Trouble) -> String {
    format!("{}: {}", metric.name, trouble.text)
}
