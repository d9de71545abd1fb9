//! Status writes have one way, for every kind: in the request's deadline, over no other object of the same name, and with
//! all that goes named, since a merge patch leaves what it does not name.

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{controller::deadline::bounded, telemetry::Counts};

/// A status and the one it follows.
pub(in crate::controller) struct StatusChange<'a, S> {
    pub(in crate::controller) before: Option<&'a S>,
    pub(in crate::controller) next: &'a S,
    /// The object's version that it may go over; any where there is none.
    pub(in crate::controller) over: Option<String>,
}

/// Writes the status of `object` and counts the write. Returns the object as it was stored, and nothing where it is gone.
pub(in crate::controller) async fn patch_status<K, S>(
    api: &Api<K>,
    object: &K,
    change: StatusChange<'_, S>,
    counts: &Counts,
) -> Result<Option<K>, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    S: Serialize,
{
    let patch = patch(object.meta().uid.as_deref(), &change);
    let (name, params) = (object.name_any(), PatchParams::default());
    let patched = bounded(api.patch_status(&name, &params, &Patch::Merge(patch))).await;
    counts.wrote(&format!("{}/status", K::plural(&())), &patched);
    match patched {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        result => result.map(Some),
    }
}

fn patch<S: Serialize>(uid: Option<&str>, change: &StatusChange<'_, S>) -> Value {
    let mut next = json!(change.next);
    name_what_goes(&json!(change.before), &mut next);
    let mut metadata = json!({ "uid": uid });
    if let Some(version) = &change.over {
        metadata["resourceVersion"] = json!(version);
    }
    json!({ "metadata": metadata, "status": next })
}

fn name_what_goes(before: &Value, next: &mut Value) {
    for (key, before) in before.as_object().into_iter().flatten() {
        match next.get_mut(key) {
            None => next[key] = Value::Null,
            Some(next) if next.is_object() => name_what_goes(before, next),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 7396 as the API server applies it.
    fn merge(target: &mut Value, patch: &Value) {
        let Some(fields) = patch.as_object() else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (key, patch) in fields {
            if patch.is_null() {
                target.as_object_mut().unwrap().remove(key);
            } else {
                merge(&mut target[key], patch);
            }
        }
    }

    /// Statuses as they are serialized: no field is null.
    fn status() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<i8>().prop_map(|n| json!(n)),
            "[a-c]".prop_map(|text| json!(text)),
            proptest::collection::vec(any::<i8>(), 0..3).prop_map(|list| json!(list)),
        ];
        let object = leaf.prop_recursive(3, 24, 4, |inner| {
            proptest::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| json!(map))
        });
        proptest::collection::btree_map("[a-d]", object, 0..4).prop_map(|map| json!(map))
    }

    proptest! {
        #[test]
        fn a_status_is_stored_as_it_was_written_over_whichever_was_before(
            before in proptest::option::of(status()), next in status(),
        ) {
            let change = StatusChange { before: before.as_ref(), next: &next, over: None };
            let mut stored = before.clone().unwrap_or(Value::Null);
            merge(&mut stored, &patch(None, &change)["status"]);
            prop_assert_eq!(stored, next);
        }
    }

    #[test]
    fn a_status_goes_over_no_other_object_and_no_other_version() {
        let over = Some("7".into());
        let next = &json!({});
        let (before, uid) = (None, Some("u"));
        let patch = patch(uid, &StatusChange { before, next, over });
        assert_eq!(
            patch["metadata"],
            json!({"uid": "u", "resourceVersion": "7"})
        );
    }
}
