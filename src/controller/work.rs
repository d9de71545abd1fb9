//! The work for one object and its outcome: between the engine and the tasks that write.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec};

use super::{keys::ObjectKey, target::Target};
use crate::{
    resources::ScaledObjectStatus,
    scaling::{Event, Move, Plan},
};

/// How long a write may take to come back over the watch before it is looked at again.
pub(super) const ECHO: Duration = Duration::from_secs(5);
/// A write of an HPA.
#[derive(Debug)]
pub(super) enum HpaWrite {
    Create(Box<HorizontalPodAutoscaler>),
    Replace(Box<HorizontalPodAutoscaler>),
    /// The one of a former name, since two on one workload would stop both; or of a paused object.
    Delete(Box<HorizontalPodAutoscaler>),
}

/// What to do for one object, in this order.
pub(super) struct Work {
    pub(super) plan: Arc<Plan>,
    /// Read the workload.
    pub(super) look: bool,
    /// Count its ready pods with it.
    pub(super) count_pods: bool,
    /// A merge patch of the object's labels and finalizers.
    pub(super) metadata: Option<serde_json::Value>,
    pub(super) hpa: Option<HpaWrite>,
    pub(super) step: Option<Step>,
    pub(super) status: Option<ScaledObjectStatus>,
    /// Whether this process wrote a status of it before. Where it did not, another may just have done so.
    pub(super) confirmed: bool,
    /// Told once the status is written.
    pub(super) events: Vec<Event>,
}

/// A change of the workload's replicas.
pub(super) struct Step {
    pub(super) from: i32,
    pub(super) to: i32,
    pub(super) why: Move,
}

impl Work {
    /// The work of a replica that does not lead.
    pub(super) fn look(plan: Arc<Plan>, count_pods: bool) -> Self {
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

    pub(super) fn is_empty(&self) -> bool {
        !self.look
            && self.metadata.is_none()
            && self.hpa.is_none()
            && self.step.is_none()
            && self.status.is_none()
    }
}

/// Nothing where it was not tried; else why it failed, if it did.
type Tried = Option<Result<(), String>>;

/// What came of it.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) key: ObjectKey,
    /// The object it was done for; another may have its name by now.
    pub(super) uid: Option<String>,
    pub(super) target: Option<Result<Target, String>>,
    pub(super) replicas: Option<i32>,
    /// The HPA's spec as the API server stored it.
    pub(super) stored: Option<HorizontalPodAutoscalerSpec>,
    /// The status as the API server stored it.
    pub(super) status: Option<ScaledObjectStatus>,
    /// The object's version since.
    pub(super) version: Option<String>,
    /// Whether the HPA could be written, if that was tried.
    pub(super) hpa: Tried,
    /// The status, or labels and finalizers, could not be written.
    pub(super) failed: bool,
    /// Whether the workload could be scaled, if that was tried.
    pub(super) step: Tried,
    /// Whether HPA or status was written at all.
    pub(super) wrote: bool,
    /// The object's version was older than the server's: no failure, a fresh look.
    pub(super) conflict: bool,
}
