//! One evaluation of a ScaledObject, and whether something is being done for it meanwhile.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use crate::{
    lag::Moment,
    scaling::{Evaluation, Settings},
    snapshot::Snapshots,
};

/// Everything that one evaluation of an object is judged with.
pub(super) struct Round<'a> {
    pub(super) evaluation: &'a Evaluation,
    pub(super) snapshots: &'a Snapshots,
    /// The live HPA of its name.
    pub(super) hpa: Option<&'a HorizontalPodAutoscaler>,
    /// One of its own that has a name which it had before.
    pub(super) former: Option<&'a HorizontalPodAutoscaler>,
    /// Whether this replica writes.
    pub(super) leads: bool,
    pub(super) settings: Settings,
    pub(super) now: Moment,
}

/// State of the work for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    Idle,
    Working,
    /// And it was evaluated meanwhile, which came to nothing.
    Missed,
}
