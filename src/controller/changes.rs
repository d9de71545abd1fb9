//! Changes that a watch brought, and which objects have to be looked at for it.

use std::collections::BTreeSet;

use super::keys::ObjectKey;

/// A change that a watch brought.
#[derive(Debug)]
pub(super) enum Change {
    /// A ScaledObject, by namespace and name; or a LagMetric, by a key of its own.
    Object(ObjectKey),
    /// A TriggerAuthentication.
    Authentication(ObjectKey),
    /// A ClusterTriggerAuthentication.
    ClusterAuthentication(String),
    /// An HPA.
    Hpa(ObjectKey),
    /// A list anew: anything may have changed or gone.
    Everything,
}

/// The objects that have to be looked at.
#[derive(Default)]
pub(super) struct Dirty {
    /// To be resolved and evaluated.
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
