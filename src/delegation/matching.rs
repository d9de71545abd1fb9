//! The questions of a backend: those that it takes, and one of them to try it with. Pure.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::selector::Selector;

/// The questions of a backend: all conditions hold. Without one, every question is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Matching {
    /// The label selector names this key.
    pub selector_key: Option<String>,
    /// The metric's name begins so.
    pub name_prefix: Option<String>,
    /// The namespace is one of these.
    pub namespaces: Option<BTreeSet<String>>,
}

/// A question that is not answered here.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The metric's name as it was asked for.
    pub metric: &'a str,
    /// Its label selector.
    pub selector: &'a Selector,
}

/// A question of a certain backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The namespace; `None`: any.
    pub namespace: Option<String>,
    /// The metric.
    pub metric: String,
    /// A key that the label selector has to name.
    pub selector_key: Option<String>,
}

impl Default for Example {
    /// A question of whoever is asked for the rest.
    fn default() -> Self {
        Self {
            namespace: None,
            metric: "lagscale-check".into(),
            selector_key: None,
        }
    }
}

impl Matching {
    pub fn example(&self) -> Example {
        let Self {
            selector_key,
            name_prefix,
            namespaces,
        } = self.clone();
        Example {
            namespace: namespaces.into_iter().flatten().next(),
            metric: format!("{}lagscale-check", name_prefix.unwrap_or_default()),
            selector_key,
        }
    }

    pub fn takes(&self, question: &Question<'_>) -> bool {
        let Self {
            selector_key,
            name_prefix,
            namespaces,
        } = self;
        let key = |key: &String| question.selector.names(key);
        // Metrics are found whatever their case, as everywhere in this API.
        let prefix = |prefix: &String| {
            let name = question.metric.get(..prefix.len());
            name.is_some_and(|name| name.eq_ignore_ascii_case(prefix))
        };
        selector_key.as_ref().is_none_or(key)
            && name_prefix.as_ref().is_none_or(prefix)
            && namespaces
                .as_ref()
                .is_none_or(|all| all.contains(question.namespace))
    }
}
