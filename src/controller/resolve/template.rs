//! A pod template, as far as the environment of its containers can be known from it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, PodTemplateSpec};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize as _;
use serde_json::Value;

/// The pod template of a scale target. Literal values may be secret, so it has no `Debug`.
pub(in crate::controller) struct Template {
    pub(super) containers: Vec<Container>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) service_account: String,
}

/// One container.
pub(super) struct Container {
    pub(super) name: String,
    /// `envFrom`, in order.
    pub(super) bags: Vec<Bag>,
    /// `env`, in order.
    pub(super) variables: Vec<(String, Variable)>,
}

/// All keys of a Secret or ConfigMap.
pub(super) struct Bag {
    pub(super) from: Holder,
    pub(super) prefix: String,
    pub(super) optional: bool,
}

/// Sources of keys, by name.
pub(super) enum Holder {
    Secret(String),
    ConfigMap(String),
}

/// Where a variable's value comes from.
pub(super) enum Variable {
    /// With `$(VARIABLE)` in it.
    Literal(SecretString),
    Key {
        from: Holder,
        key: String,
        optional: bool,
    },
    /// The path of a pod's field.
    Field(String),
    /// Nothing that stands in a template.
    Unknowable,
}

impl Template {
    /// From `spec.template` of a workload, if that is a pod template.
    pub(in crate::controller) fn of(template: &Value) -> Option<Self> {
        let template = PodTemplateSpec::deserialize(template).ok()?;
        let (metadata, spec) = (template.metadata.unwrap_or_default(), template.spec?);
        let containers = spec.containers.into_iter().map(|container| Container {
            name: container.name,
            bags: container
                .env_from
                .unwrap_or_default()
                .into_iter()
                .filter_map(|source| {
                    let prefix = source.prefix.unwrap_or_default();
                    let (from, optional) = match (source.config_map_ref, source.secret_ref) {
                        (Some(map), _) => (Holder::ConfigMap(map.name), map.optional),
                        (None, Some(secret)) => (Holder::Secret(secret.name), secret.optional),
                        (None, None) => return None,
                    };
                    Some(Bag {
                        from,
                        prefix,
                        optional: optional == Some(true),
                    })
                })
                .collect(),
            variables: container
                .env
                .unwrap_or_default()
                .into_iter()
                .map(variable)
                .collect(),
        });
        let containers: Vec<_> = containers.collect();
        if containers.is_empty() {
            return None;
        }
        let account = spec.service_account_name.filter(|name| !name.is_empty());
        Some(Self {
            containers,
            labels: metadata.labels.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            service_account: account.unwrap_or_else(|| "default".into()),
        })
    }
}

impl Template {
    /// About how many bytes it holds.
    pub(in crate::controller) fn size(&self) -> usize {
        let words = self.labels.iter().chain(&self.annotations);
        let words = words.map(|(key, value)| key.len() + value.len());
        let containers = self.containers.iter().flat_map(|c| &c.variables);
        let variables = containers.map(|(name, variable)| {
            let value = match variable {
                Variable::Literal(text) => text.expose_secret().len(),
                Variable::Key { key, .. } => key.len(),
                Variable::Field(path) => path.len(),
                Variable::Unknowable => 0,
            };
            name.len() + value
        });
        words.chain(variables).sum()
    }
}

fn variable(variable: EnvVar) -> (String, Variable) {
    let Some(from) = variable.value_from else {
        let literal = variable.value.unwrap_or_default();
        return (variable.name, Variable::Literal(literal.into()));
    };
    let value = if let Some(secret) = from.secret_key_ref {
        Variable::Key {
            from: Holder::Secret(secret.name),
            key: secret.key,
            optional: secret.optional == Some(true),
        }
    } else if let Some(map) = from.config_map_key_ref {
        Variable::Key {
            from: Holder::ConfigMap(map.name),
            key: map.key,
            optional: map.optional == Some(true),
        }
    } else if let Some(field) = from.field_ref {
        Variable::Field(field.field_path)
    } else {
        Variable::Unknowable
    };
    (variable.name, value)
}
