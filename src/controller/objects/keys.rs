//! The keys of objects.

use std::sync::Arc;

/// The kinds that are planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controller) enum Kind {
    #[default]
    ScaledObject,
    LagMetric,
    /// A trigger that a KEDA asks about.
    External,
}

/// One object of these kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controller) struct ObjectKey {
    pub(in crate::controller) kind: Kind,
    pub(in crate::controller) namespace: Arc<str>,
    pub(in crate::controller) name: Arc<str>,
}

/// Namespace and name of anything else that is watched.
pub(in crate::controller) type NamespacedName = (String, String);

impl ObjectKey {
    /// The key of a ScaledObject.
    pub(in crate::controller) fn scaled_object(namespace: &str, name: &str) -> Self {
        Self::new(Kind::ScaledObject, namespace, name)
    }

    /// The key of a LagMetric.
    pub(in crate::controller) fn lag_metric(namespace: &str, name: &str) -> Self {
        Self::new(Kind::LagMetric, namespace, name)
    }

    /// The key of a trigger that a KEDA asks about.
    pub(in crate::controller) fn external(namespace: &str, name: &str) -> Self {
        Self::new(Kind::External, namespace, name)
    }

    fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}
