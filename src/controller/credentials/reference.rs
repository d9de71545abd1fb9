//! The sources of a credential or of a trigger's field, and what is kept of each.

use std::{fmt, path::PathBuf, time::Duration};

use serde_json::Value;

use super::{tokens::TokenPolicy, values::Values};
use crate::{controller::resolve::Template, resources::ScaleTarget};

/// Namespace and name.
pub(in crate::controller) type Name = (String, String);

/// One thing outside of the triggers and authentications that name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controller) enum Reference {
    Secret(Name),
    ConfigMap(Name),
    /// The pod template of a scale target.
    Workload(Workload),
    /// A token of a service account.
    Token(Name),
    /// A file of parameters, relative to the root of such files.
    File(String),
}

/// A scale target, with KEDA's defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::controller) struct Workload {
    pub(in crate::controller) namespace: String,
    pub(in crate::controller) api_version: String,
    pub(in crate::controller) kind: String,
    pub(in crate::controller) name: String,
}

/// The content of a reference. It may be secret, so it has no `Debug`.
pub(in crate::controller) enum Content {
    /// Values of a Secret, ConfigMap or file by key; a token under `token`.
    Values(Values),
    /// The pod template of a workload; `None` where it has none.
    Template(Option<Template>),
}

impl Content {
    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Values(values) => values.size(),
            Self::Template(template) => template.as_ref().map_or(0, Template::size),
        }
    }
}

/// The state of a reference.
pub(in crate::controller) enum Found<'a> {
    /// It is being read for the first time.
    Waiting,
    /// There is no such thing.
    Missing,
    /// It could not be read, and never was.
    Failed(&'a str),
    Here(&'a Content),
}

/// Where credentials may come from, as the flags say.
#[derive(Clone, Debug)]
pub struct CredentialRules {
    /// Watches look at one namespace each: only some are watched.
    pub by_namespace: bool,
    /// Where a ClusterTriggerAuthentication's references are looked for.
    pub cluster_namespace: String,
    /// Secrets are read in `cluster_namespace` only.
    pub restricted: bool,
    /// A ClusterTriggerAuthentication without a list of hosts is not used.
    pub cluster_needs_hosts: bool,
    /// Below which files of parameters may lie; `None`: there are none.
    pub files: Option<PathBuf>,
    /// For how long a token of a service account is asked for.
    pub token_life: Duration,
    /// Which tokens may be asked for, and for whom they are.
    pub tokens: TokenPolicy,
}

#[cfg(test)]
impl<'a> Found<'a> {
    /// The state of a reference where everything that is not here is missing, and `None` is being read.
    pub(in crate::controller) fn among(
        contents: &'a std::collections::BTreeMap<Reference, Option<Content>>,
        reference: &Reference,
    ) -> Self {
        match contents.get(reference) {
            Some(Some(content)) => Self::Here(content),
            Some(None) => Self::Waiting,
            None => Self::Missing,
        }
    }
}

#[cfg(test)]
impl CredentialRules {
    /// Every namespace, a cluster object namespace `own`, and nothing held back.
    pub(in crate::controller) fn open() -> Self {
        Self {
            by_namespace: false,
            cluster_namespace: "own".into(),
            restricted: false,
            cluster_needs_hosts: false,
            files: None,
            token_life: Duration::from_secs(3600),
            tokens: TokenPolicy::new("legacy", "").unwrap(),
        }
    }
}

impl Workload {
    pub(in crate::controller) fn of(namespace: &str, target: &ScaleTarget) -> Self {
        Self {
            namespace: namespace.to_owned(),
            api_version: target.api_version().to_owned(),
            kind: target.kind().to_owned(),
            name: target.name.clone(),
        }
    }
}

impl Reference {
    pub(super) fn namespace(&self) -> Option<&str> {
        match self {
            Self::Secret((namespace, _))
            | Self::ConfigMap((namespace, _))
            | Self::Token((namespace, _))
            | Self::Workload(Workload { namespace, .. }) => Some(namespace),
            Self::File(_) => None,
        }
    }
}

impl Workload {
    /// The workload whose pods this one takes over (`spec.workloadRef` of an Argo Rollout), where it has no pod template of its
    /// own.
    pub(in crate::controller) fn referred(namespace: &str, spec: &Value) -> Option<Self> {
        let reference = spec
            .get("workloadRef")
            .filter(|_| !spec["template"].is_object())?;
        let text = |key: &str| reference[key].as_str().filter(|t| !t.is_empty());
        Some(Self {
            namespace: namespace.to_owned(),
            api_version: text("apiVersion").unwrap_or("apps/v1").to_owned(),
            kind: text("kind").unwrap_or("Deployment").to_owned(),
            name: text("name")?.to_owned(),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, namespace, name) = match self {
            Self::Secret((namespace, name)) => ("Secret", namespace, name),
            Self::ConfigMap((namespace, name)) => ("ConfigMap", namespace, name),
            Self::Token((namespace, name)) => ("ServiceAccount", namespace, name),
            Self::Workload(workload) => {
                (workload.kind.as_str(), &workload.namespace, &workload.name)
            }
            Self::File(path) => return write!(f, "file {path}"),
        };
        write!(f, "{kind} {namespace}/{name}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A report from outside (R12).
    #[test]
    fn a_rollout_without_a_template_refers_to_the_workload_that_has_it() {
        let reference = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"});
        let referred = |spec: Value| Workload::referred("shop", &spec).map(|w| (w.kind, w.name));
        let deployment = Some(("Deployment".to_owned(), "app".to_owned()));
        assert_eq!(referred(json!({"workloadRef": reference})), deployment);
        assert_eq!(
            referred(json!({"workloadRef": reference, "template": null})),
            deployment
        );
        assert_eq!(
            referred(json!({"workloadRef": reference, "template": {}})),
            None
        );
        assert_eq!(
            referred(json!({"workloadRef": {"kind": "Deployment"}})),
            None
        );
        assert_eq!(referred(json!({})), None);
    }
}
