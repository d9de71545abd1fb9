//! An item of a list or a watch that is parsed on its own: one that a foreign CRD let through although it can't be read, or
//! that is nested too deep, must not hold up the others.

use std::borrow::Cow;

use kube::{Resource, core::ObjectMeta};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::value::RawValue;

/// An object, or what there is to know of it where it can't be read.
#[derive(Clone, Debug)]
pub(super) struct Guarded<K>(pub(super) Result<K, Unreadable>);

/// An object that can't be read.
#[derive(Clone, Debug)]
pub(super) struct Unreadable {
    pub(super) error: String,
    pub(super) metadata: ObjectMeta,
}

/// The part that is read of any object. Whatever else is there is skipped over, however deep.
#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: Option<String>,
    uid: Option<String>,
    generation: Option<i64>,
    resource_version: Option<String>,
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As it is written: serde_json's limit of depth then counts from the item, and stops no list.
        let written = Box::<RawValue>::deserialize(deserializer)?;
        let read = serde_json::from_str(written.get()).map(Ok);
        read.or_else(|error| {
            let Named { metadata } =
                serde_json::from_str(written.get()).map_err(D::Error::custom)?;
            Ok(Err(Unreadable {
                error: error.to_string(),
                metadata: ObjectMeta {
                    name: Some(metadata.name),
                    namespace: metadata.namespace,
                    uid: metadata.uid,
                    generation: metadata.generation,
                    resource_version: metadata.resource_version,
                    ..ObjectMeta::default()
                },
            }))
        })
        .map(Self)
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn metadata_api() -> bool {
        K::metadata_api()
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|u| &u.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0
            .as_mut()
            .map_or_else(|u| &mut u.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscaler as Hpa, core::v1::Secret};
    use kube::{
        ResourceExt,
        core::{ObjectList, PartialObjectMeta, WatchEvent},
    };

    use super::*;
    use crate::resources::{
        ClusterTriggerAuthentication, LagMetric, ScaledObject, TriggerAuthentication,
    };

    /// Three items, the second of which has `field` nested `deep` times.
    fn list(field: &str, deep: usize) -> String {
        let nested = format!("{}1{}", r#"{"a":"#.repeat(deep), "}".repeat(deep));
        let item = |name: &str, more: &str| {
            format!(
                r#"{{"metadata":{{"name":"{name}","namespace":"n","resourceVersion":"7"{more}}},"spec":{{}}}}"#
            )
        };
        let managed = format!(r#","managedFields":[{{"fieldsV1":{nested}}}]"#);
        let second = match field {
            "managedFields" => item("b", &managed),
            field => item("b", "").replace(r#""spec":{}"#, &format!(r#""{field}":{nested}"#)),
        };
        let items = [item("a", ""), second, item("c", "")].join(",");
        format!(r#"{{"kind":"List","apiVersion":"v1","metadata":{{}},"items":[{items}]}}"#)
    }

    fn names<K: DeserializeOwned + Resource<DynamicType = ()> + Clone>(list: &str) {
        let read: ObjectList<Guarded<K>> = serde_json::from_str(list).unwrap();
        let names: Vec<_> = read.items.iter().map(|i| i.meta().name.clone()).collect();
        let expected = ["a", "b", "c"].map(|n| Some(n.to_owned()));
        assert_eq!(names, expected, "{}", K::kind(&()));
    }

    #[test]
    fn an_item_that_is_too_deep_or_no_object_of_its_kind_holds_up_no_other_whatever_the_kind() {
        for deep in [0, 100, 200, 9_000] {
            for field in ["spec", "status", "managedFields", "data"] {
                let list = list(field, deep);
                names::<ScaledObject>(&list);
                names::<TriggerAuthentication>(&list);
                names::<ClusterTriggerAuthentication>(&list);
                names::<LagMetric>(&list);
                names::<Hpa>(&list);
                names::<PartialObjectMeta<Secret>>(&list);
            }
        }
    }

    #[test]
    fn an_event_of_a_watch_is_as_tolerant_and_tells_the_version() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(9_000), "}".repeat(9_000));
        let event = format!(
            r#"{{"type":"MODIFIED","object":{{"metadata":{{"name":"s","namespace":"n","uid":"u","resourceVersion":"9",
            "managedFields":[{{"fieldsV1":{deep}}}]}}}}}}"#
        );
        let read: WatchEvent<Guarded<PartialObjectMeta<Secret>>> =
            serde_json::from_str(&event).unwrap();
        let WatchEvent::Modified(secret) = read else {
            panic!("{read:?}");
        };
        assert!(
            secret
                .0
                .as_ref()
                .is_err_and(|u| u.error.contains("recursion"))
        );
        assert_eq!(secret.resource_version().as_deref(), Some("9"));
        assert_eq!(secret.uid().as_deref(), Some("u"));
    }
}
