//! What a path means, decoded once: the same reading decides what is authorized and what is answered.

use percent_encoding::percent_decode_str;

use super::webhooks::Hook;

/// The group this server is for.
pub const GROUP: &str = "external.metrics.k8s.io";
/// Its one version.
pub const VERSION: &str = "v1beta1";
/// The name of an APIService for it; Kubernetes allows no other.
pub const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";

/// A path of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/healthz`, `/livez`, `/readyz`: open to everybody.
    Health(Probe),
    /// `/apis`: the groups.
    Groups,
    /// `/apis/external.metrics.k8s.io`.
    Group,
    /// `/apis/external.metrics.k8s.io/v1beta1`.
    Resources,
    /// The values of one metric in one namespace.
    Metric { namespace: String, metric: String },
    /// `/openapi/v2`.
    OpenApi2,
    /// `/openapi/v3`: where the documents are.
    OpenApi3,
    /// The document of our version.
    OpenApi3Version,
    /// `/version`.
    Version,
    /// A validating admission webhook: open to everybody.
    Webhook(Hook),
    /// Nothing is here.
    Unknown,
}

/// A health endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// `/livez` and `/healthz`: the process turns.
    Live,
    /// `/readyz`: it may be asked.
    Ready,
}

/// A path in decoded parts, with what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Decoded, as a SubjectAccessReview names it.
    pub text: String,
    parts: Vec<String>,
    pub route: Route,
}

impl Path {
    /// Reads the path of a request; a trailing slash is allowed, nothing else is cleaned.
    pub fn of(raw: &str) -> Self {
        let text = percent_decode_str(raw).decode_utf8_lossy().into_owned();
        let trimmed = text.strip_suffix('/').unwrap_or(&text);
        let parts: Vec<String> = trimmed.split('/').skip(1).map(str::to_owned).collect();
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        let route = match words.as_slice() {
            ["healthz" | "livez"] => Route::Health(Probe::Live),
            ["readyz"] => Route::Health(Probe::Ready),
            ["apis"] => Route::Groups,
            ["apis", GROUP] => Route::Group,
            ["apis", GROUP, VERSION] => Route::Resources,
            ["apis", GROUP, VERSION, "namespaces", namespace, metric]
                if !namespace.is_empty() && !metric.is_empty() =>
            {
                Route::Metric {
                    namespace: (*namespace).into(),
                    metric: (*metric).into(),
                }
            }
            ["openapi", "v2"] => Route::OpenApi2,
            ["openapi", "v3"] => Route::OpenApi3,
            ["openapi", "v3", "apis", GROUP, VERSION] => Route::OpenApi3Version,
            ["version"] => Route::Version,
            _ => Hook::ALL
                .into_iter()
                .find(|hook| hook.path() == trimmed)
                .map_or(Route::Unknown, Route::Webhook),
        };
        Self { text, parts, route }
    }

    /// Namespace, resource and name of a path under our version, as Kubernetes' RequestInfo reads it; `None` for any other path.
    pub fn resource(&self) -> Option<(&str, &str, &str)> {
        let words: Vec<&str> = self.parts.iter().map(String::as_str).collect();
        match words.as_slice() {
            [
                "apis",
                GROUP,
                VERSION,
                "namespaces",
                namespace,
                resource,
                rest @ ..,
            ] => Some((
                *namespace,
                *resource,
                rest.first().copied().unwrap_or_default(),
            )),
            ["apis", GROUP, VERSION, "namespaces", namespace] => {
                Some(("", "namespaces", *namespace))
            }
            ["apis", GROUP, VERSION, resource, rest @ ..] => {
                Some(("", *resource, rest.first().copied().unwrap_or_default()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Hook, Path, Probe, Route};

    #[test]
    fn a_path_is_decoded_before_it_is_read_and_may_end_in_a_slash() {
        let metric = Route::Metric {
            namespace: "shop".into(),
            metric: "s0-kafka-a b".into(),
        };
        let base = "/apis/external.metrics.k8s.io/v1beta1";
        for (path, route) in [
            (
                format!("{base}/namespaces/shop/s0-kafka-a%20b"),
                metric.clone(),
            ),
            (format!("{base}/namespaces/shop/s0%2Dkafka-a%20b/"), metric),
            (base.into(), Route::Resources),
            ("/apis/".into(), Route::Groups),
            ("/readyz".into(), Route::Health(Probe::Ready)),
            ("/readyz/ping".into(), Route::Unknown),
            (format!("{base}/namespaces/shop"), Route::Unknown),
            (format!("{base}/namespaces/shop/m/x"), Route::Unknown),
            (format!("{base}/namespaces//m"), Route::Unknown),
            (format!("{base}//namespaces/shop/m"), Route::Unknown),
            (format!("{base}/m"), Route::Unknown),
            ("/".into(), Route::Unknown),
            (
                "/validate-keda-sh-v1alpha1-scaledobject".into(),
                Route::Webhook(Hook::ScaledObject),
            ),
            (
                "/validate-keda-sh-v1alpha1-scaledobject/x".into(),
                Route::Unknown,
            ),
        ] {
            assert_eq!(Path::of(&path).route, route, "{path}");
        }
    }

    #[test]
    fn what_is_authorized_is_what_requestinfo_would_say() {
        let base = "/apis/external.metrics.k8s.io/v1beta1";
        for (path, resource) in [
            (format!("{base}/namespaces/shop/m"), Some(("shop", "m", ""))),
            (
                format!("{base}/namespaces/shop/m/x"),
                Some(("shop", "m", "x")),
            ),
            (
                format!("{base}/externalmetrics"),
                Some(("", "externalmetrics", "")),
            ),
            (base.into(), None),
            ("/openapi/v2".into(), None),
        ] {
            assert_eq!(Path::of(&path).resource(), resource, "{path}");
        }
    }
}
