//! An AdmissionReview of `admission.k8s.io/v1`, read no further than what is judged: its other parts are skipped over,
//! not kept.

use std::collections::BTreeMap;

use serde::{
    Deserialize,
    de::{DeserializeOwned, Error as _},
};
use serde_json::{Value, json, value::RawValue};

use super::{Hook, Surroundings, Verdict, authentication, scaled_object};
use crate::{
    controller::Scope,
    resources::{ScaledObject, ScaledObjectSpec, names::TRANSFER},
};

const API_VERSION: &str = "admission.k8s.io/v1";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    api_version: String,
    #[serde(borrow)]
    request: Request<'a>,
}

/// The request of a review.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    uid: String,
    operation: String,
    #[serde(default)]
    namespace: String,
    #[serde(borrow)]
    object: Option<Object<'a>>,
    #[serde(borrow)]
    old_object: Option<Object<'a>>,
    #[serde(default)]
    pub(super) dry_run: bool,
}

#[derive(Deserialize)]
struct Object<'a> {
    metadata: Metadata,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<Annotations>,
}

/// Those that are judged.
#[derive(Default, Deserialize)]
struct Annotations {
    #[serde(rename = "scaledobject.keda.sh/transfer-hpa-ownership")]
    transfer: Option<String>,
}

impl Metadata {
    fn annotations(&self) -> Option<BTreeMap<String, String>> {
        let transfer = self.annotations.as_ref()?.transfer.clone()?;
        Some([(TRANSFER.to_owned(), transfer)].into())
    }
}

impl<'a> Request<'a> {
    /// Reads the request of a review.
    pub fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        let review: Review<'a> = serde_json::from_slice(body)?;
        if review.api_version == API_VERSION {
            Ok(review.request)
        } else {
            let found = review.api_version;
            let text = format!("apiVersion: expected {API_VERSION}, found {found}");
            Err(serde_json::Error::custom(text))
        }
    }

    /// Whether it is about an object that is handled here.
    #[must_use]
    pub fn is_in(&self, scope: &Scope, hook: Hook) -> bool {
        let labels = match hook {
            Hook::ScaledObject => &scope.objects,
            Hook::TriggerAuthentication | Hook::ClusterTriggerAuthentication => {
                &scope.authentications
            }
        };
        let (namespaces, of) = (&scope.namespaces, &self.namespace);
        let place = of.is_empty() || namespaces.is_empty() || namespaces.contains(of);
        let object = self.object.as_ref();
        place && object.is_none_or(|o| labels.matches(o.metadata.labels.as_ref()))
    }

    /// The review with the answer to this request.
    #[must_use]
    pub fn reply(&self, verdict: &Verdict) -> Value {
        let mut response = json!({"uid": self.uid, "allowed": verdict.is_ok()});
        match verdict {
            Ok(warnings) if warnings.is_empty() => {}
            Ok(warnings) => response["warnings"] = json!(warnings),
            Err(text) => {
                response["status"] = json!({
                    "status": "Failure", "reason": "Forbidden", "code": 403, "message": text,
                });
            }
        }
        json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})
    }
}

/// The object that is to be judged.
pub enum Subject {
    /// Nothing: a deletion, or an update that leaves the spec as it is, so that finalizers, labels and annotations of
    /// stored objects can always be changed.
    Unchanged,
    /// A new spec of a ScaledObject.
    ScaledObject(Box<ScaledObject>),
    /// A new spec of an authentication; whether it is the cluster's.
    Authentication(Box<authentication::Spec>, bool),
    /// A spec that the CRD in this cluster lets through and the types here do not.
    Unreadable(String),
}

impl Subject {
    /// The subject of `request`.
    #[must_use]
    pub fn of(hook: Hook, request: &Request<'_>) -> Self {
        let Some(object) = &request.object else {
            return Self::Unchanged;
        };
        if !matches!(request.operation.as_str(), "CREATE" | "UPDATE") {
            return Self::Unchanged;
        }
        let old = request.old_object.as_ref().and_then(|o| o.spec);
        let new = object.spec.map_or("{}", RawValue::get);
        if old.is_some_and(|old| old.get() == new) {
            return Self::Unchanged;
        }
        match hook {
            Hook::ScaledObject => changed(old, new, |spec: ScaledObjectSpec| {
                let mut scaled = ScaledObject::new(&object.metadata.name, spec);
                scaled.metadata.namespace = Some(request.namespace.clone());
                scaled.metadata.annotations = object.metadata.annotations();
                Self::ScaledObject(Box::new(scaled))
            }),
            Hook::TriggerAuthentication => {
                changed(old, new, |spec| Self::Authentication(Box::new(spec), false))
            }
            Hook::ClusterTriggerAuthentication => {
                changed(old, new, |spec| Self::Authentication(Box::new(spec), true))
            }
        }
    }

    /// Whether it may be stored.
    pub fn verdict(&self, around: &Surroundings) -> Verdict {
        match self {
            Self::Unchanged => Ok(Vec::new()),
            Self::ScaledObject(object) => scaled_object::check(object, around),
            Self::Authentication(spec, cluster) => {
                let refused = authentication::check(spec, *cluster);
                refused.map_or(Ok(Vec::new()), Err)
            }
            Self::Unreadable(error) => Ok(vec![format!("lagscale can't read this spec: {error}")]),
        }
    }
}

/// The subject of a spec, unless all that is read of it is as it was.
fn changed<T: DeserializeOwned + PartialEq>(
    old: Option<&RawValue>,
    new: &str,
    subject: impl FnOnce(T) -> Subject,
) -> Subject {
    let spec: T = match serde_json::from_str(new) {
        Ok(spec) => spec,
        Err(error) => return Subject::Unreadable(error.to_string()),
    };
    let old = old.and_then(|old| serde_json::from_str::<T>(old.get()).ok());
    if old.is_some_and(|old| old == spec) {
        Subject::Unchanged
    } else {
        subject(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVALID: &str = r#"{"triggers":[],"scaleTargetRef":{"name":"a"}}"#;

    /// A request for a ScaledObject; `object` and `old` are specs as they are written.
    fn verdict(operation: &str, object: &str, old: Option<&str>) -> Result<Verdict, String> {
        let whole = |spec: &str| format!(r#"{{"metadata":{{"name":"a"}},"spec":{spec}}}"#);
        let old = old.map_or_else(|| "null".into(), whole);
        let object = if object == "null" {
            object.into()
        } else {
            whole(object)
        };
        let review = format!(
            r#"{{"apiVersion":"{API_VERSION}","request":
            {{"uid":"u","operation":"{operation}","object":{object},"oldObject":{old}}}}}"#
        );
        let request = Request::parse(review.as_bytes()).map_err(|e| e.to_string())?;
        Ok(Subject::of(Hook::ScaledObject, &request).verdict(&Surroundings::default()))
    }

    #[test]
    fn a_spec_is_judged_only_where_it_changes() {
        let reordered = r#"{ "scaleTargetRef": {"name": "a"}, "triggers": [] }"#;
        assert_eq!(verdict("UPDATE", reordered, Some(INVALID)), Ok(Ok(vec![])));
        assert_eq!(verdict("DELETE", "null", Some(INVALID)), Ok(Ok(vec![])));
        let other = r#"{"triggers":[],"scaleTargetRef":{"name":"b"}}"#;
        assert!(verdict("UPDATE", other, Some(INVALID)).unwrap().is_err());
        assert!(verdict("CREATE", INVALID, None).unwrap().is_err());
    }

    #[test]
    fn a_spec_that_only_its_crd_understands_is_let_in_with_a_warning() {
        let warnings = verdict("CREATE", r#"{"triggers":5}"#, None)
            .unwrap()
            .unwrap();
        assert!(
            warnings[0].starts_with("lagscale can't read this spec"),
            "{warnings:?}"
        );
    }

    #[test]
    fn what_is_no_review_is_an_error() {
        let deep = "[".repeat(100_000);
        for body in [
            "",
            "{}",
            "[]",
            r#"{"apiVersion":"admission.k8s.io/v1"}"#,
            &deep,
        ] {
            assert!(Request::parse(body.as_bytes()).is_err(), "{body:.40}");
        }
        assert!(verdict("CREATE", &deep, None).is_err());
        let old = r#"{"apiVersion":"admission.k8s.io/v1beta1","request":{"uid":"u","operation":"CREATE"}}"#;
        let error = Request::parse(old.as_bytes()).err().map(|e| e.to_string());
        assert!(error.is_some_and(|e| e.contains("expected admission.k8s.io/v1, found")));
    }
}
