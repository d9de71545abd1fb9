//! The meaning of a path, decoded once: the same reading decides what is authorized and what is answered.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::server::webhooks::Hook;

/// The group this server is for.
pub const GROUP: &str = "external.metrics.k8s.io";
/// Its one version.
pub const VERSION: &str = "v1beta1";
/// The name of an APIService for it; Kubernetes allows no other.
pub const API_SERVICE: &str = "v1beta1.external.metrics.k8s.io";

/// A path of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Route<'a> {
    /// `/healthz`, `/livez`, `/readyz`: open to everybody.
    Health(Probe),
    /// One check of a health endpoint, which is not.
    Check(Probe, &'a str),
    /// `/` and `/index.html`: the paths there are.
    Index,
    /// `/apis`: the groups.
    Groups,
    /// `/apis/external.metrics.k8s.io`.
    Group,
    /// `/apis/external.metrics.k8s.io/v1beta1`.
    Resources,
    /// The values of one metric in one namespace.
    Metric { namespace: &'a str, metric: &'a str },
    /// Why a ScaledObject has the replicas it has.
    Explanation { namespace: &'a str, name: &'a str },
    /// The metrics of all namespaces, for a person.
    Everywhere,
    /// `/openapi/v2`.
    OpenApi2,
    /// `/openapi/v3`: where the documents are.
    OpenApi3,
    /// The document of our version.
    OpenApi3Version,
    /// `/version`.
    Version,
    /// `/metrics`, as kube-apiserver and metrics-server have it: for who may.
    Metrics,
    /// A validating admission webhook, open to everybody, and what follows its path.
    Webhook(Hook, &'a str),
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

/// The place where an object of our version would be: namespace, resource and name, each empty where the path has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Place<'a> {
    pub namespace: &'a str,
    pub resource: &'a str,
    pub name: &'a str,
}

/// A decoded path with what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Path<'a> {
    /// As a SubjectAccessReview names it.
    pub text: &'a str,
    pub route: Route<'a>,
    /// As Kubernetes' RequestInfo reads it; `None` for a path that is not under our version.
    pub place: Option<Place<'a>>,
}

/// A path of a request without its percent signs.
pub(in crate::server) fn decode(raw: &str) -> Cow<'_, str> {
    percent_decode_str(raw).decode_utf8_lossy()
}

impl<'a> Path<'a> {
    /// Reads a decoded path; a trailing slash is allowed, nothing else is cleaned.
    pub fn of(text: &'a str) -> Self {
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let mut words = [""; MOST_WORDS];
        let mut count = 0;
        for (at, word) in trimmed.split('/').skip(1).enumerate() {
            if let Some(place) = words.get_mut(at) {
                *place = word;
            }
            count = at + 1;
        }
        let words = words.get(..count.min(MOST_WORDS)).unwrap_or_default();
        Self {
            text,
            route: route(trimmed, words),
            place: place(words),
        }
    }
}

/// One more than any path here has, so that a longer one is none of them.
const MOST_WORDS: usize = 8;

fn route<'a>(text: &'a str, words: &[&'a str]) -> Route<'a> {
    match *words {
        [] | ["index.html"] => Route::Index,
        ["healthz" | "livez"] => Route::Health(Probe::Live),
        ["readyz"] => Route::Health(Probe::Ready),
        ["healthz" | "livez", check] => Route::Check(Probe::Live, check),
        ["readyz", check] => Route::Check(Probe::Ready, check),
        ["apis"] => Route::Groups,
        ["apis", GROUP] => Route::Group,
        ["apis", GROUP, VERSION] => Route::Resources,
        ["apis", GROUP, VERSION, "externalmetrics"] => Route::Everywhere,
        ["apis", GROUP, VERSION, "namespaces", namespace, metric]
            if !namespace.is_empty() && !metric.is_empty() =>
        {
            Route::Metric { namespace, metric }
        }
        [
            "apis",
            GROUP,
            VERSION,
            "namespaces",
            namespace,
            "scaledobjects",
            name,
        ] if !namespace.is_empty() && !name.is_empty() => Route::Explanation { namespace, name },
        ["openapi", "v2"] => Route::OpenApi2,
        ["openapi", "v3"] => Route::OpenApi3,
        ["openapi", "v3", "apis", GROUP, VERSION] => Route::OpenApi3Version,
        ["version"] => Route::Version,
        ["metrics"] => Route::Metrics,
        [_] | [_, _] => {
            Hook::ALL
                .into_iter()
                .find(|hook| hook.is_at(text))
                .map_or(Route::Unknown, |hook| {
                    let secret = words.get(1).copied().unwrap_or_default();
                    Route::Webhook(hook, secret)
                })
        }
        _ => Route::Unknown,
    }
}

fn place<'a>(words: &[&'a str]) -> Option<Place<'a>> {
    let of = |namespace, resource, rest: &[&'a str]| {
        let name = rest.first().copied().unwrap_or_default();
        Some(Place {
            namespace,
            resource,
            name,
        })
    };
    match *words {
        [
            "apis",
            GROUP,
            VERSION,
            "namespaces",
            namespace,
            resource,
            ref rest @ ..,
        ] => of(namespace, resource, rest),
        ["apis", GROUP, VERSION, "namespaces", ref rest @ ..] => of("", "namespaces", rest),
        ["apis", GROUP, VERSION, resource, ref rest @ ..] => of("", resource, rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Hook, Path, Place, Probe, Route, decode};

    #[test]
    fn a_path_is_decoded_before_it_is_read_and_may_end_in_a_slash() {
        let metric = Route::Metric {
            namespace: "shop",
            metric: "s0-kafka-a b",
        };
        let base = "/apis/external.metrics.k8s.io/v1beta1";
        for (path, route) in [
            (format!("{base}/namespaces/shop/s0-kafka-a%20b"), metric),
            (format!("{base}/namespaces/shop/s0%2Dkafka-a%20b/"), metric),
            (base.into(), Route::Resources),
            ("/apis/".into(), Route::Groups),
            ("/readyz".into(), Route::Health(Probe::Ready)),
            ("/readyz/ping".into(), Route::Check(Probe::Ready, "ping")),
            ("/index.html".into(), Route::Index),
            (format!("{base}/externalmetrics"), Route::Everywhere),
            (format!("{base}/namespaces/shop"), Route::Unknown),
            (format!("{base}/namespaces/shop/m/x"), Route::Unknown),
            (format!("{base}/namespaces//m"), Route::Unknown),
            (format!("{base}//namespaces/shop/m"), Route::Unknown),
            (format!("{base}/m"), Route::Unknown),
            ("/".into(), Route::Index),
            ("//".into(), Route::Unknown),
            ("/apis/../apis".into(), Route::Unknown),
            ("/a/b/c/d/e/f/g/h/i/j".into(), Route::Unknown),
            (String::new(), Route::Index),
            (
                "/validate-keda-sh-v1alpha1-scaledobject".into(),
                Route::Webhook(Hook::ScaledObject, ""),
            ),
            (
                "/validate-keda-sh-v1alpha1-scaledobject/x".into(),
                Route::Webhook(Hook::ScaledObject, "x"),
            ),
            (
                "/validate-keda-sh-v1alpha1-scaledobject/x/y".into(),
                Route::Unknown,
            ),
            (
                "/validate-keda-sh-v1alpha1-scaledobjects".into(),
                Route::Unknown,
            ),
        ] {
            assert_eq!(Path::of(&decode(&path)).route, route, "{path}");
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
            let resource = resource.map(|(namespace, resource, name)| Place {
                namespace,
                resource,
                name,
            });
            assert_eq!(Path::of(&path).place, resource, "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "[/a-z.%0-9]{0,80}") {
            let text = decode(&path);
            let _ = Path::of(&text);
        }
    }
}
