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

/// The path of its discovery.
pub const DISCOVERY: &str = "/apis/external.metrics.k8s.io/v1beta1";

/// The group of lagscale's own: its metrics alone, under an APIService that nobody contests.
pub const OWN_GROUP: &str = "external.metrics.lagscale.io";
/// The name of an APIService for that.
pub const OWN_API_SERVICE: &str = "v1beta1.external.metrics.lagscale.io";

/// A group that is served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Group {
    /// Kubernetes', which a cluster has one server of.
    External,
    /// lagscale's own.
    Own,
}

impl Group {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::External, Self::Own];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::External => GROUP,
            Self::Own => OWN_GROUP,
        }
    }

    /// Group and version, as objects carry them.
    pub const fn version(self) -> &'static str {
        match self {
            Self::External => "external.metrics.k8s.io/v1beta1",
            Self::Own => "external.metrics.lagscale.io/v1beta1",
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }
}

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
    Group(Group),
    /// `/apis/external.metrics.k8s.io/v1beta1`.
    Resources(Group),
    /// The values of one metric in one namespace.
    Metric {
        group: Group,
        namespace: &'a str,
        metric: &'a str,
    },
    /// Why a ScaledObject has the replicas it has.
    Explanation { namespace: &'a str, name: &'a str },
    /// The metrics of all namespaces, for a person.
    Everywhere,
    /// `/openapi/v2`.
    OpenApi2,
    /// `/openapi/v3`: where the documents are.
    OpenApi3,
    /// The document of a group's version.
    OpenApi3Version(Group),
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
    pub group: Group,
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
        ["apis", group, ref rest @ ..] => {
            Group::of(group).map_or(Route::Unknown, |group| of_group(group, rest))
        }
        ["openapi", "v2"] => Route::OpenApi2,
        ["openapi", "v3"] => Route::OpenApi3,
        ["openapi", "v3", "apis", group, VERSION] => {
            Group::of(group).map_or(Route::Unknown, Route::OpenApi3Version)
        }
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

/// The words behind a group.
fn of_group<'a>(group: Group, words: &[&'a str]) -> Route<'a> {
    match *words {
        [] => Route::Group(group),
        [VERSION] => Route::Resources(group),
        [VERSION, "externalmetrics"] => Route::Everywhere,
        [VERSION, "namespaces", namespace, metric]
            if !namespace.is_empty() && !metric.is_empty() =>
        {
            Route::Metric {
                group,
                namespace,
                metric,
            }
        }
        [VERSION, "namespaces", namespace, "scaledobjects", name]
            if !namespace.is_empty() && !name.is_empty() =>
        {
            Route::Explanation { namespace, name }
        }
        _ => Route::Unknown,
    }
}

fn place<'a>(words: &[&'a str]) -> Option<Place<'a>> {
    let ["apis", group, VERSION, ref words @ ..] = *words else {
        return None;
    };
    let group = Group::of(group)?;
    let of = |namespace, resource, rest: &[&'a str]| {
        let name = rest.first().copied().unwrap_or_default();
        Some(Place {
            group,
            namespace,
            resource,
            name,
        })
    };
    match *words {
        ["namespaces", namespace, resource, ref rest @ ..] => of(namespace, resource, rest),
        ["namespaces", ref rest @ ..] => of("", "namespaces", rest),
        [resource, ref rest @ ..] => of("", resource, rest),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, Hook, OWN_GROUP, Path, Place, Probe, Route, decode};

    #[test]
    fn a_path_is_decoded_before_it_is_read_and_may_end_in_a_slash() {
        let metric = Route::Metric {
            group: Group::External,
            namespace: "shop",
            metric: "s0-kafka-a b",
        };
        let base = "/apis/external.metrics.k8s.io/v1beta1";
        for (path, route) in [
            (format!("{base}/namespaces/shop/s0-kafka-a%20b"), metric),
            (format!("{base}/namespaces/shop/s0%2Dkafka-a%20b/"), metric),
            (base.into(), Route::Resources(Group::External)),
            (format!("/apis/{OWN_GROUP}"), Route::Group(Group::Own)),
            ("/apis/apps".into(), Route::Unknown),
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
                group: Group::External,
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
