//! Changes that come in, and the objects that have to be looked at for them.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    keys::{NamespacedName, ObjectKey},
    lag_metric::StatusWritten,
    work::Outcome,
};
use crate::{
    controller::credentials::Reference,
    snapshot::{ClusterKey, Snapshot},
};

/// One change.
pub(in crate::controller) enum Change {
    /// A watch brought a ScaledObject or a LagMetric, or says that it is gone.
    Object(ObjectKey),
    /// A watch brought a TriggerAuthentication.
    Authentication(NamespacedName),
    /// A watch brought a ClusterTriggerAuthentication.
    ClusterAuthentication(String),
    /// A watch brought an HPA.
    Hpa(NamespacedName),
    /// A list came anew: anything may have changed or gone.
    Everything,
    /// A Secret, or whatever else triggers name, was read.
    Content(Reference),
    /// A cluster was read.
    Snapshot(ClusterKey, Arc<Snapshot>),
    /// The work for a ScaledObject has ended.
    Worked(Box<Outcome>),
    /// A LagMetric's status was written, or could not be.
    StatusWritten(StatusWritten),
    /// Time has passed: what is due is evaluated.
    Beat,
    /// No finalizer is being taken off the object of this uid any more.
    Released(String),
    /// This replica writes from here on.
    Leading,
}

/// The objects that have to be looked at.
#[derive(Default)]
pub(super) struct Dirty {
    /// To be planned and evaluated.
    pub(super) plan: BTreeSet<ObjectKey>,
    /// To be evaluated only.
    pub(super) evaluate: BTreeSet<ObjectKey>,
}

impl Dirty {
    pub(super) fn plan<'a>(&mut self, keys: impl IntoIterator<Item = &'a ObjectKey>) {
        self.plan.extend(keys.into_iter().cloned());
    }

    pub(super) fn evaluate<'a>(&mut self, keys: impl IntoIterator<Item = &'a ObjectKey>) {
        self.evaluate.extend(keys.into_iter().cloned());
    }
}
