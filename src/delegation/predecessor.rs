//! The predecessor: whom the APIService led to before it was taken over. It is noted in an annotation of the APIService, as the merge
//! patch that gives the APIService back, so that a person can do so with kubectl alone. Pure.

use k8s_openapi::{
    ByteString,
    kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec},
};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{
    PREDECESSOR,
    backend::{Backend, ServiceRef, Trust},
};

/// The annotation.
pub const ANNOTATION: &str = "lagscale.io/predecessor";
/// By which cert-manager writes its CA into an APIService, whoever that leads to.
pub const CA_INJECTION: &str = "cert-manager.io/inject-ca-from";
const DEFAULT_PORT: i32 = 443;

/// The merge patch that leads this APIService where it leads now; `None` where that is kube-apiserver itself.
#[must_use]
pub fn note(found: &APIService) -> Option<String> {
    let spec = found.spec.as_ref()?;
    let service = spec.service.as_ref()?;
    let injected = found.annotations().get(CA_INJECTION);
    let insecure = spec.insecure_skip_tls_verify == Some(true);
    let patch = json!({
        "metadata": {"annotations": {ANNOTATION: null, CA_INJECTION: injected}},
        "spec": {
            "service": service,
            "caBundle": spec.ca_bundle.as_ref().filter(|_| !insecure),
            "insecureSkipTLSVerify": insecure.then_some(true),
            "groupPriorityMinimum": spec.group_priority_minimum,
            "versionPriority": spec.version_priority,
        },
    });
    Some(patch.to_string())
}

/// `note` with another CA: the predecessor goes on to write its own into the APIService.
///
/// # Errors
/// The note can't be read.
pub fn with_ca(note: &str, ca: &ByteString) -> Result<String, String> {
    let mut patch: Value = serde_json::from_str(note).map_err(|error| error.to_string())?;
    patch["spec"]["caBundle"] = json!(ca);
    Ok(patch.to_string())
}

/// The backend of an APIService's note; `None` without one.
///
/// # Errors
/// The note can't be read.
pub fn backend(found: &APIService) -> Result<Option<Backend>, String> {
    let Some(note) = found.annotations().get(ANNOTATION) else {
        return Ok(None);
    };
    let wrong = |what: String| format!("annotation {ANNOTATION}: {what}");
    let mut patch: Value = serde_json::from_str(note).map_err(|e| wrong(e.to_string()))?;
    let spec: APIServiceSpec =
        serde_json::from_value(patch["spec"].take()).map_err(|e| wrong(e.to_string()))?;
    let service = spec.service.unwrap_or_default();
    let (Some(namespace), Some(name)) = (service.namespace, service.name) else {
        return Err(wrong("it names no Service".into()));
    };
    let port = u16::try_from(service.port.unwrap_or(DEFAULT_PORT));
    let service = ServiceRef {
        namespace,
        name,
        port: port.map_err(|_| wrong("service.port is none".into()))?,
    };
    let trust = match spec.ca_bundle.map(|bundle| String::from_utf8(bundle.0)) {
        _ if spec.insecure_skip_tls_verify == Some(true) => Trust::Anyone,
        Some(Ok(pem)) => Trust::Bundle(pem),
        Some(Err(_)) => return Err(wrong("caBundle is no PEM".into())),
        None => Trust::Roots,
    };
    Ok(Some(Backend::of_the_rest(PREDECESSOR, service, trust)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api_service(annotations: &Value, spec: &Value) -> APIService {
        let mut spec = spec.clone();
        spec["groupPriorityMinimum"] = 100.into();
        spec["versionPriority"] = 200.into();
        let object = json!({"metadata": {"annotations": annotations}, "spec": spec});
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_note_is_a_backend_and_a_patch_that_gives_everything_back() {
        let service = json!({"namespace": "keda", "name": "keda-metrics", "port": 6443});
        let spec = json!({"service": service, "caBundle": "UEVN"});
        let injected = json!({CA_INJECTION: "keda/tls"});
        let noted = note(&api_service(&injected, &spec)).unwrap();
        let patch: Value = serde_json::from_str(&noted).unwrap();
        assert_eq!(
            patch,
            json!({
                "metadata": {"annotations": {ANNOTATION: null, CA_INJECTION: "keda/tls"}},
                "spec": {
                    "service": service, "caBundle": "UEVN", "insecureSkipTLSVerify": null,
                    "groupPriorityMinimum": 100, "versionPriority": 200,
                },
            })
        );
        let found = backend(&api_service(&json!({ANNOTATION: noted}), &json!({}))).unwrap();
        let found = found.unwrap();
        assert_eq!(
            found.to_string(),
            "backend predecessor (Service keda/keda-metrics)"
        );
        assert_eq!(found.service.host(), "keda-metrics.keda.svc");
        assert_eq!(found.service.port, 6443);
        assert_eq!(found.trust, Trust::Bundle("PEM".into()));
        let later = with_ca(&noted, &ByteString(b"CA".to_vec())).unwrap();
        let found = backend(&api_service(&json!({ANNOTATION: later}), &json!({}))).unwrap();
        assert_eq!(found.unwrap().trust, Trust::Bundle("CA".into()));
    }

    #[test]
    fn a_server_that_was_trusted_blindly_still_is_and_kube_apiserver_itself_is_nobody() {
        let spec = json!({
            "service": {"namespace": "m", "name": "a"}, "insecureSkipTLSVerify": true,
        });
        let noted = note(&api_service(&json!({}), &spec)).unwrap();
        let found = backend(&api_service(&json!({ANNOTATION: noted}), &json!({}))).unwrap();
        let found = found.unwrap();
        assert_eq!((found.trust, found.service.port), (Trust::Anyone, 443));
        assert_eq!(note(&api_service(&json!({}), &json!({}))), None);
        let none = backend(&api_service(&json!({}), &json!({}))).unwrap();
        assert_eq!(none, None);
    }

    #[test]
    fn a_note_that_somebody_has_broken_is_told() {
        for (note, said) in [
            ("{", "EOF"),
            ("{}", "annotation lagscale.io/predecessor: "),
            (
                r#"{"spec":{"groupPriorityMinimum":1,"versionPriority":1}}"#,
                "it names no Service",
            ),
        ] {
            let found = backend(&api_service(&json!({ANNOTATION: note}), &json!({})));
            let error = found.unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
