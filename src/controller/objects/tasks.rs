//! Tasks that follow from changes, for others to do.

use std::{collections::BTreeSet, sync::Arc};

use super::{demand::Order, keys::ObjectKey, lag_metric::StatusWrite, work::Work};
use crate::{
    controller::credentials::Reference,
    resources::{ClusterTriggerAuthentication, ScaledObject, TriggerAuthentication},
    scaling::Event,
};

/// One task.
pub(in crate::controller) enum Task {
    /// Read a workload, or write for its ScaledObject.
    Work(ObjectKey, Box<Work>),
    /// Write the status of a LagMetric.
    WriteStatus(Box<StatusWrite>),
    /// Give a ScaledObject that is being deleted its workload back, and take KEDA's finalizer off.
    End(Arc<ScaledObject>),
    /// Take KEDA's finalizer off.
    Release(Arc<TriggerAuthentication>),
    /// Take KEDA's finalizer off.
    ReleaseCluster(Arc<ClusterTriggerAuthentication>),
    /// Record an event about a ScaledObject.
    Record(Arc<ScaledObject>, Event),
    /// Record it if the object is not there any more.
    RecordIfGone(Arc<ScaledObject>, Event),
    /// Read and watch exactly these from here on.
    Follow(BTreeSet<Reference>),
    /// Change what is asked of Kafka.
    Poll(Box<Order>),
}
