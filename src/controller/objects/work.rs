//! The work for one object and its outcome: between the engine and the tasks that write.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec};

use super::keys::ObjectKey;
use crate::{
    controller::write::target::Target,
    resources::ScaledObjectStatus,
    scaling::{Event, Move, Plan},
};

/// How long a write may take to come back over the watch before it is looked at again.
pub(in crate::controller) const ECHO: Duration = Duration::from_secs(5);
/// A write of an HPA.
#[derive(Debug)]
pub(in crate::controller) enum HpaWrite {
    Create(Box<HorizontalPodAutoscaler>),
    Replace(Box<HorizontalPodAutoscaler>),
    /// The one of a former name, since two on one workload would stop both; or of a paused object.
    Delete(Box<HorizontalPodAutoscaler>),
}

/// The work for one object, in this order.
pub(in crate::controller) struct Work {
    pub(in crate::controller) plan: Arc<Plan>,
    /// Read the workload.
    pub(in crate::controller) look: bool,
    /// Count its ready pods with it.
    pub(in crate::controller) count_pods: bool,
    /// A merge patch of the object's labels and finalizers.
    pub(in crate::controller) metadata: Option<serde_json::Value>,
    pub(in crate::controller) hpa: Option<HpaWrite>,
    pub(in crate::controller) step: Option<Step>,
    pub(in crate::controller) status: Option<ScaledObjectStatus>,
    /// Whether this process wrote a status of it before. Where it did not, another may just have done so.
    pub(in crate::controller) confirmed: bool,
    /// Told once the status is written.
    pub(in crate::controller) events: Vec<Event>,
}

/// A change of the workload's replicas.
pub(in crate::controller) struct Step {
    pub(in crate::controller) from: i32,
    pub(in crate::controller) to: i32,
    pub(in crate::controller) why: Move,
}

impl Work {
    /// The work of a replica that does not lead.
    pub(in crate::controller) fn look(plan: Arc<Plan>, count_pods: bool) -> Self {
        Self {
            plan,
            look: true,
            count_pods,
            metadata: None,
            hpa: None,
            step: None,
            status: None,
            confirmed: true,
            events: Vec::new(),
        }
    }

    pub(in crate::controller) fn is_empty(&self) -> bool {
        !self.look && !self.writes()
    }

    /// Whether something is to be written.
    pub(in crate::controller) fn writes(&self) -> bool {
        self.metadata.is_some()
            || self.hpa.is_some()
            || self.step.is_some()
            || self.status.is_some()
    }
}

/// Nothing where it was not tried; else why it failed, if it did.
type Tried = Option<Result<(), String>>;

/// The outcome of some work.
#[derive(Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each answers a question of another part of the record"
)]
pub(in crate::controller) struct Outcome {
    pub(in crate::controller) key: ObjectKey,
    /// The object it was done for; another may have its name by now.
    pub(in crate::controller) uid: Option<String>,
    pub(in crate::controller) target: Option<Result<Target, String>>,
    pub(in crate::controller) replicas: Option<i32>,
    /// The HPA's spec as the API server stored it.
    pub(in crate::controller) stored: Option<HorizontalPodAutoscalerSpec>,
    /// The status as the API server stored it.
    pub(in crate::controller) status: Option<ScaledObjectStatus>,
    /// The object's version since.
    pub(in crate::controller) version: Option<String>,
    /// Whether the HPA could be written, if that was tried.
    pub(in crate::controller) hpa: Tried,
    /// The HPA was refused for what is in it.
    pub(in crate::controller) refused: bool,
    /// The status, or labels and finalizers, could not be written.
    pub(in crate::controller) failed: bool,
    /// Whether the workload could be scaled, if that was tried.
    pub(in crate::controller) step: Tried,
    /// There was something to write.
    pub(in crate::controller) tried_a_write: bool,
    /// The object's version was older than the server's: no failure, a fresh look.
    pub(in crate::controller) conflict: bool,
}
