//! Which objects depend on which Secrets, authentications and HPAs.

use std::collections::BTreeSet;

use super::{index::Index, keys::NamespacedName};
use crate::{controller::credentials::Reference, resources::ScaledObject, scaling::limits};

/// Which objects a change is about.
#[derive(Default)]
pub(super) struct Dependents {
    pub(super) references: Index<Reference>,
    pub(super) authentications: Index<Authentication>,
    pub(super) hpas: Index<NamespacedName>,
}

/// An authentication object that triggers name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Authentication {
    Namespaced(NamespacedName),
    Cluster(String),
}

/// The authentications that an object names.
pub(super) fn authentications(namespace: &str, object: &ScaledObject) -> BTreeSet<Authentication> {
    let references = limits::readable(object).iter();
    let references = references.filter_map(|t| t.authentication_ref.as_ref());
    references
        .map(|reference| {
            let name = reference.name.clone();
            if reference.is_cluster_wide() {
                Authentication::Cluster(name)
            } else {
                Authentication::Namespaced((namespace.to_owned(), name))
            }
        })
        .collect()
}
