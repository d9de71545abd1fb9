//! The part of a cluster's objects that are handled here: by namespace, and by label as several KEDA operators share a cluster
//! (`WATCH_LABEL_SELECTOR`, KEDA 2.21's `pkg/util/watch.go`).

use std::collections::BTreeMap;

use crate::selector::Selector;

/// A label selector with its text. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    text: String,
    selector: Selector,
}

/// Namespaces and selectors of the objects that are handled here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Namespaces; empty: all.
    pub namespaces: Vec<String>,
    /// ScaledObjects.
    pub objects: Labels,
    /// TriggerAuthentications and ClusterTriggerAuthentications, whatever `objects` says.
    pub authentications: Labels,
}

impl Labels {
    /// Reads a selector. Nothing, and two quotes as KEDA has it, are everything.
    ///
    /// # Errors
    /// apimachinery's text.
    pub fn parse(text: &str) -> Result<Self, crate::selector::SelectorError> {
        let text = text.trim();
        let text = if text == "\"\"" { "" } else { text };
        Ok(Self {
            selector: Selector::parse(text)?,
            text: text.to_owned(),
        })
    }

    /// As a watch is asked for it; `None`: everything.
    pub(super) fn asked(&self) -> Option<&str> {
        Some(self.text.as_str()).filter(|text| !text.is_empty())
    }

    /// `true` for the labels of an object that the selector takes.
    #[must_use]
    pub fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        let value = |key: &str| labels.and_then(|l| l.get(key)).map(String::as_str);
        self.selector.matches(value)
    }

    /// `true` where no object can match both selectors.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        self.selector.excludes(&other.selector)
    }
}

impl Scope {
    /// Reads `WATCH_NAMESPACE`: names with commas between; empty: all.
    #[must_use]
    pub fn namespaces(text: &str) -> Vec<String> {
        let names = text.split(',').map(str::trim).filter(|n| !n.is_empty());
        let mut names: Vec<String> = names.filter(|n| *n != "\"\"").map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    /// `true` where labels decide which objects are handled here.
    #[must_use]
    pub fn is_by_label(&self) -> bool {
        self.objects.asked().is_some()
    }

    /// `true` where no object can be in both scopes. The selectors count only with `by_labels`: a KEDA before 2.21 does not read its own.
    #[must_use]
    pub fn excludes(&self, other: &Self, by_labels: bool) -> bool {
        let (ours, others) = (&self.namespaces, &other.namespaces);
        let apart =
            !ours.is_empty() && !others.is_empty() && !ours.iter().any(|n| others.contains(n));
        apart || by_labels && self.objects.excludes(&other.objects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(namespaces: &str, objects: &str) -> Scope {
        Scope {
            namespaces: Scope::namespaces(namespaces),
            objects: Labels::parse(objects).unwrap(),
            authentications: Labels::default(),
        }
    }

    #[test]
    fn namespaces_are_a_list_and_nothing_is_all() {
        assert_eq!(Scope::namespaces(" b, a,,b "), ["a", "b"]);
        assert!(Scope::namespaces("").is_empty() && Scope::namespaces("\"\"").is_empty());
    }

    #[test]
    fn two_parts_are_apart_by_namespaces_or_by_labels_that_count() {
        let ours = "lagscale.io/owner";
        for (one, other, by_labels, apart) in [
            (scope("", ""), scope("", ""), true, false),
            (scope("a,b", ""), scope("c", ""), false, true),
            (scope("a,b", ""), scope("b,c", ""), true, false),
            (scope("a", ""), scope("", ""), true, false),
            (scope("", ours), scope("", "!lagscale.io/owner"), true, true),
            // A KEDA before 2.21 does not read the variable.
            (
                scope("", ours),
                scope("", "!lagscale.io/owner"),
                false,
                false,
            ),
            (scope("", ours), scope("", ""), true, false),
            (scope("", "team=a"), scope("", "team=b"), true, true),
        ] {
            assert_eq!(one.excludes(&other, by_labels), apart, "{one:?} {other:?}");
            assert_eq!(other.excludes(&one, by_labels), apart, "{one:?} {other:?}");
        }
    }
}
