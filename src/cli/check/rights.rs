//! RBAC: whether lagscale may do what it does, and whether the HPA controller may ask it.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};

use super::Finding;

/// Verb, group and resource; a resource may have a subresource behind a slash, and a name behind a space.
const OURS: [(&str, &str, &str); 21] = [
    ("list", "keda.sh", "scaledobjects"),
    ("watch", "keda.sh", "scaledobjects"),
    ("patch", "keda.sh", "scaledobjects"),
    ("patch", "keda.sh", "scaledobjects/status"),
    ("watch", "keda.sh", "triggerauthentications"),
    ("watch", "keda.sh", "clustertriggerauthentications"),
    ("watch", "lagscale.io", "lagmetrics"),
    ("patch", "lagscale.io", "lagmetrics/status"),
    ("watch", "autoscaling", "horizontalpodautoscalers"),
    ("create", "autoscaling", "horizontalpodautoscalers"),
    ("update", "autoscaling", "horizontalpodautoscalers"),
    ("delete", "autoscaling", "horizontalpodautoscalers"),
    ("patch", "apps", "deployments/scale"),
    ("get", "apps", "deployments/scale"),
    ("create", "events.k8s.io", "events"),
    ("get", "coordination.k8s.io", "leases operator.keda.sh"),
    ("create", "authentication.k8s.io", "tokenreviews"),
    ("create", "authorization.k8s.io", "subjectaccessreviews"),
    (
        "watch",
        "apiregistration.k8s.io",
        "apiservices v1beta1.external.metrics.k8s.io",
    ),
    (
        "update",
        "apiregistration.k8s.io",
        "apiservices v1beta1.external.metrics.k8s.io",
    ),
    (
        "update",
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations lagscale-admission",
    ),
];

/// In the namespace of the installation.
const HERE: [(&str, &str, &str); 3] = [
    ("get", "coordination.k8s.io", "leases lagscale"),
    ("update", "coordination.k8s.io", "leases lagscale"),
    ("create", "", "serviceaccounts/token lagscale-delegate"),
];

/// Secrets of the installation's own namespace are enough for credentials of the whole cluster (--restrict-secret-access).
const SECRETS: [(&str, &str, &str); 2] = [("get", "", "secrets"), ("watch", "", "secrets")];

pub(super) async fn look(client: &Client, namespace: &str) -> Vec<Finding> {
    let account = format!("system:serviceaccount:{namespace}:lagscale");
    let what = "RBAC of lagscale";
    let mut missing = Vec::new();
    let mut unseen = None;
    for (verb, group, resource) in OURS {
        match may(client, &account, None, (verb, group, resource)).await {
            Ok(true) => {}
            Ok(false) => missing.push(format!("{verb} {resource} ({group})")),
            Err(error) => unseen = Some(Finding::unseen(what, &error)),
        }
    }
    for right in HERE {
        match may(client, &account, Some(namespace), right).await {
            Ok(true) => {}
            Ok(false) => missing.push(format!("{} {} in {namespace}", right.0, right.2)),
            Err(error) => unseen = Some(Finding::unseen(what, &error)),
        }
    }
    let mut restricted = false;
    for right in SECRETS {
        let everywhere = may(client, &account, None, right).await;
        let here = may(client, &account, Some(namespace), right).await;
        match (everywhere, here) {
            (Ok(true), _) => {}
            (Ok(false), Ok(true)) => restricted = true,
            (Ok(false), Ok(false)) => missing.push(format!("{} secrets", right.0)),
            (Err(error), _) | (_, Err(error)) => unseen = Some(Finding::unseen(what, &error)),
        }
    }
    let own = match (unseen, missing.as_slice()) {
        (Some(unseen), _) => unseen,
        (None, []) if restricted => Finding::ok(
            what,
            format!("it may do everything it does, with Secrets of {namespace} only"),
        ),
        (None, []) => Finding::ok(what, "it may do everything it does, in all namespaces"),
        (None, some) => {
            let fix = "apply manifests/base/rbac.yaml; where one namespace is watched, RoleBindings there may grant it";
            Finding::warn(what, format!("it may not {}", some.join(", ")), fix)
        }
    };
    let what = "RBAC of the HPA controller";
    let hpa = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";
    let hpa = match may(client, hpa, None, ("get", "external.metrics.k8s.io", "*")).await {
        Ok(true) => Finding::ok(what, "it may read external metrics"),
        Ok(false) => {
            let fix = "apply manifests/base/rbac.yaml, or grant it to the identity that your controller manager has";
            Finding::fail(what, "it may not read external metrics", fix)
        }
        Err(error) => Finding::unseen(what, &error),
    };
    vec![own, hpa]
}

async fn may(
    client: &Client,
    user: &str,
    namespace: Option<&str>,
    (verb, group, resource): (&str, &str, &str),
) -> Result<bool, kube::Error> {
    let (resource, name) = resource.split_once(' ').unwrap_or((resource, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    let groups = ["system:serviceaccounts", "system:authenticated"].map(str::to_owned);
    let own = user
        .split(':')
        .nth(2)
        .map(|n| format!("system:serviceaccounts:{n}"));
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: some(user),
            groups: Some(groups.into_iter().chain(own).collect()),
            resource_attributes: Some(ResourceAttributes {
                verb: some(verb),
                group: some(group),
                resource: some(resource),
                subresource: some(subresource),
                name: some(name),
                namespace: namespace.map(str::to_owned),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &review).await?;
    Ok(answer.status.is_some_and(|s| s.allowed))
}
