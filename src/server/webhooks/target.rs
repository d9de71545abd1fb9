//! A scaled workload by its kind, with KEDA's defaults.

use std::fmt;

use crate::resources::{ScaleTarget, ScaledObject};

/// A scaled workload by kind; in another version it is the same.
pub(super) struct Target {
    group: String,
    version: String,
    pub(super) kind: String,
}

impl Target {
    pub(super) fn of(object: &ScaledObject) -> Self {
        Self::named(&object.spec.scale_target_ref)
    }

    pub(super) fn named(target: &ScaleTarget) -> Self {
        let version = target.api_version();
        let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
        Self {
            group: group.into(),
            version: version.into(),
            kind: target.kind().into(),
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        (&self.group, &self.kind) == (&other.group, &other.kind)
    }

    pub(super) fn has_requests(&self) -> bool {
        self.group == "apps" && matches!(self.kind.as_str(), "Deployment" | "StatefulSet")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.group, self.version, self.kind)
    }
}
