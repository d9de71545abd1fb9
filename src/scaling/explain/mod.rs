//! The explanation of an object's replicas: the readings, the bounds and the HPA's own arithmetic, as data and as sentences. Pure:
//! it decides nothing, it retells what was decided.

mod sentences;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde::{Deserialize, Serialize};

use super::{Activity, Compared, Evaluation, Memory, Move, Plan, Surroundings};
use crate::lag::Moment;
use sentences::{bounds, hpa, step, trigger, would_change};

/// The controller manager's default where an HPA has none of its own.
const STABILIZATION_SECONDS: i64 = 300;

/// An object's account of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explanation {
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Kind and name of the workload.
    pub target: String,
    /// The replicas it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// `minReplicaCount`.
    pub min_replica_count: i32,
    /// `maxReplicaCount`.
    pub max_replica_count: i32,
    /// maxReplicas that the HPA is to have.
    pub wanted_max_replicas: i32,
    /// maxReplicas that it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_max_replicas: Option<i32>,
    /// The readings of its triggers.
    pub triggers: Vec<ExplainedTrigger>,
    /// The reasons of the replicas, a sentence each.
    pub because: Vec<String>,
    /// The changes that would change them.
    pub would_change: Vec<String>,
    /// Its metrics beside what its HPA was told by another server, where lagscale only looks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<Compared>,
}

/// One trigger of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExplainedTrigger {
    /// Its place in the object.
    pub index: usize,
    /// `kafka`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// The name it is served under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// The true lag, in records; of cron in replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag: Option<i64>,
    /// The value that the HPA is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<i64>,
    /// The target of one replica.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<i64>,
    /// How many consumers can work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i64>,
    /// Since the reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// For how long a part of it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete_seconds: Option<u64>,
    /// Whether it is above its activation threshold.
    pub active: bool,
    /// The obstacle of a reading, or of a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// The subject of an account.
pub struct Account<'a> {
    /// The object.
    pub plan: &'a Plan,
    /// The evaluation of its readings.
    pub evaluation: &'a Evaluation,
    /// Its HPA and workload.
    pub around: &'a Surroundings,
    /// Its HPA as it is.
    pub hpa: Option<&'a HorizontalPodAutoscaler>,
    /// The memory of it.
    pub memory: &'a Memory,
    /// Whether there is work.
    pub activity: &'a Activity,
    /// The step that is taken.
    pub step: &'a Move,
    /// The tolerance of the controller manager, in thousandths.
    pub tolerance_milli: i64,
}

/// Tells it.
#[must_use]
pub fn explain(account: &Account<'_>, now: Moment) -> Explanation {
    let Account {
        plan,
        evaluation,
        around,
        ..
    } = account;
    let target = &plan.object.spec.scale_target_ref;
    let mut explanation = Explanation {
        namespace: plan.namespace.to_string(),
        name: plan.name.to_string(),
        target: format!("{} {}", target.kind(), target.name),
        replicas: around.replicas,
        min_replica_count: plan.min,
        max_replica_count: plan.max,
        wanted_max_replicas: evaluation.max,
        live_max_replicas: around.live.as_ref().map(|live| live.max),
        ..Explanation::default()
    };
    let because = &mut explanation.because;
    if let Some(problem) = &plan.problem {
        because.push(format!("nothing is scaled: {problem}"));
    }
    if plan.pause.whole {
        let at = plan.pause.replicas;
        let at = at.map_or_else(|| "where it is".to_owned(), |at| format!("at {at}"));
        because.push(format!(
            "it is paused {at} by an annotation, and has no HPA"
        ));
    }
    for index in 0..plan.triggers.len() {
        let (trigger, sentence) = trigger(account, index, now);
        explanation.triggers.push(trigger);
        because.push(sentence);
    }
    because.extend(bounds(account));
    because.extend(hpa(account));
    because.extend(step(account));
    explanation.would_change = would_change(account);
    explanation
}
