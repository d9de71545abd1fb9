//! Which authentication each trigger of an object names, in which version.

use kube::ResourceExt;

use crate::{controller::resolve::Lookup, resources::ScaledObject, scaling::limits};

/// By trigger, which authentication it names in which version: uid and generation, which rises with the specification.
pub(super) type Origins = Vec<Option<(String, Option<i64>)>>;

/// The origins of every trigger as they are now.
pub(super) fn origins(namespace: &str, object: &ScaledObject, lookup: &impl Lookup) -> Origins {
    let triggers = limits::readable(object).iter();
    triggers
        .map(|trigger| {
            let reference = trigger.authentication_ref.as_ref()?;
            let name = &reference.name;
            if reference.is_cluster_wide() {
                let found = lookup.cluster_authentication(name)?;
                Some(version(&*found))
            } else {
                let found = lookup.authentication(namespace, name)?;
                Some(version(&*found))
            }
        })
        .collect()
}

fn version(object: &impl ResourceExt) -> (String, Option<i64>) {
    (object.uid().unwrap_or_default(), object.meta().generation)
}
