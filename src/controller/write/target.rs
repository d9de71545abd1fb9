//! The scaled workload: anything with a scale subresource, found by kind, read and set through it.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
    core::{DynamicObject, GroupVersionKind},
    discovery::{self, ApiResource},
};

use crate::{
    controller::deadline::within, resources::GroupVersionKindResource, scaling::Plan,
    text::api_error,
};

/// Pods in one answer: whole ones are large.
const PAGE: u32 = 500;
/// HTTP status of a patch whose test failed.
const UNPROCESSABLE: u16 = 422;

/// The subresource through which anything is scaled, of whichever group and version it is.
const SCALE: &str = "scale";

/// A workload as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Target {
    pub(in crate::controller) gvkr: GroupVersionKindResource,
    /// `spec.replicas` of its scale; a missing field is 1.
    pub(in crate::controller) replicas: i32,
    /// Pods of it that run and are ready, where that was asked for.
    pub(in crate::controller) ready: Option<i32>,
}

/// Why it can't be scaled, in KEDA's words for that stage.
pub(in crate::controller) type TargetError = String;

/// Reads the workload of `plan`, and counts its ready pods if that is asked for.
pub(in crate::controller) async fn read(
    client: &Client,
    plan: &Plan,
    count_pods: bool,
) -> Result<Target, TargetError> {
    let reference = &plan.object.spec.scale_target_ref;
    let (resource, api) = workload(client, plan).await?;
    let scale = within(async {
        let scale = api.get_subresource(SCALE, &reference.name).await;
        scale.map_err(|e| explain(&e, plan, &resource))
    })
    .await?;
    let ready = match count_pods.then(|| ready_pods(client, plan, &scale)) {
        None => None,
        Some(counting) => match within(counting).await {
            Ok(ready) => Some(ready),
            Err(error) => {
                tracing::warn!(error, namespace = %plan.namespace, object = %plan.name);
                None
            }
        },
    };
    Ok(Target {
        ready,
        gvkr: GroupVersionKindResource {
            group: resource.group.clone(),
            version: resource.version.clone(),
            kind: resource.kind.clone(),
            resource: resource.plural.clone(),
        },
        replicas: replicas(&scale),
    })
}

/// The kind of a plan's workload, and how objects of it are asked for.
async fn workload(
    client: &Client,
    plan: &Plan,
) -> Result<(ApiResource, Api<DynamicObject>), TargetError> {
    let reference = &plan.object.spec.scale_target_ref;
    let kind = resource_of(client, reference.api_version(), reference.kind());
    let resource = within(kind).await?;
    let api = Api::namespaced_with(client.clone(), &plan.namespace, &resource);
    Ok((resource, api))
}

/// From `from` replicas, and from no others: the API server leaves 0 out of a scale.
fn steps<T: serde::de::DeserializeOwned>(from: i32, to: i32) -> Result<T, serde_json::Error> {
    let still = match from {
        0 => serde_json::json!({"op": "test", "path": "/spec", "value": {}}),
        _ => serde_json::json!({"op": "test", "path": "/spec/replicas", "value": from}),
    };
    let set = serde_json::json!({"op": "add", "path": "/spec/replicas", "value": to});
    serde_json::from_value(serde_json::json!([still, set]))
}

/// Sets the workload to `to` replicas if it still has `from`; returns what it has then.
///
/// `None`: somebody else wrote at the same moment, so it has to be looked at again.
pub(in crate::controller) async fn set(
    client: &Client,
    plan: &Plan,
    from: i32,
    to: i32,
) -> Result<Option<i32>, TargetError> {
    let reference = &plan.object.spec.scale_target_ref;
    let (resource, api) = workload(client, plan).await?;
    within(async {
        let failed = |e: kube::Error| explain(&e, plan, &resource);
        // A test instead of a version: whoever writes the workload's status meanwhile is in nobody's way.
        let patch = Patch::Json::<()>(steps(from, to).map_err(|e| e.to_string())?);
        let params = PatchParams::default();
        let name = &reference.name;
        match api.patch_subresource(SCALE, name, &params, &patch).await {
            Ok(_) => Ok(Some(to)),
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(None),
            Err(kube::Error::Api(status)) if status.code == UNPROCESSABLE => {
                let scale = api.get_subresource(SCALE, name).await;
                let now = replicas(&scale.map_err(failed)?);
                if now == from {
                    return Err(explain(&kube::Error::Api(status), plan, &resource));
                }
                Ok(Some(now))
            }
            Err(error) => Err(failed(error)),
        }
    })
    .await
}

/// Sets the workload to `to` replicas, whatever it has. One that is gone needs nothing.
pub(in crate::controller) async fn restore(
    client: &Client,
    plan: &Plan,
    to: i32,
) -> Result<(), TargetError> {
    let reference = &plan.object.spec.scale_target_ref;
    let (resource, api) = workload(client, plan).await?;
    let patch = serde_json::json!({"spec": {"replicas": to}});
    let params = PatchParams::default();
    within(async {
        match api.get_subresource(SCALE, &reference.name).await {
            Ok(scale) if replicas(&scale) == to => return Ok(()),
            _ => {}
        }
        let patched = api
            .patch_subresource(SCALE, &reference.name, &params, &Patch::Merge(patch))
            .await;
        match patched {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(explain(&error, plan, &resource)),
            Ok(_) => Ok(()),
        }
    })
    .await
}

/// As the HPA controller counts for a total: pods that the scale's selector names, running and ready.
async fn ready_pods(
    client: &Client,
    plan: &Plan,
    scale: &DynamicObject,
) -> Result<i32, TargetError> {
    let Some(selector) = selector(scale) else {
        return Ok(0);
    };
    let pods = Api::<Pod>::namespaced(client.clone(), &plan.namespace);
    let ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref());
        let mut conditions = conditions.into_iter().flatten();
        pod.metadata.deletion_timestamp.is_none()
            && conditions.any(|c| c.type_ == "Ready" && c.status == "True")
    };
    let mut params = ListParams::default().labels(&selector).limit(PAGE);
    let mut count = 0;
    loop {
        let page = pods.list(&params).await;
        let page =
            page.map_err(|e| format!("counting the ready pods of {selector}: {}", api_error(&e)))?;
        count += page.items.iter().filter(|p| ready(p)).count();
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => params = params.continue_token(&next),
            None => return Ok(i32::try_from(count).unwrap_or(i32::MAX)),
        }
    }
}

fn replicas(scale: &DynamicObject) -> i32 {
    let replicas = scale.data["spec"]["replicas"].as_i64();
    replicas.and_then(|r| r.try_into().ok()).unwrap_or(0)
}

/// The selector of a scale's pods as text. In `extensions/v1beta1`, which a DeploymentConfig has, it is a map beside its text.
fn selector(scale: &DynamicObject) -> Option<String> {
    let status = &scale.data["status"];
    let text = status["targetSelector"].as_str();
    if let Some(text) = text.or_else(|| status["selector"].as_str()) {
        return Some(text.to_owned());
    }
    let labels = status["selector"].as_object()?.iter();
    let labels = labels.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    Some(labels.collect::<Vec<_>>().join(","))
}

/// How objects of a kind are asked for.
pub(in crate::controller) async fn resource_of(
    client: &Client,
    api_version: &str,
    kind: &str,
) -> Result<ApiResource, TargetError> {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let gvk = GroupVersionKind::gvk(group, version, kind);
    if group == "apps" && matches!(kind, "Deployment" | "StatefulSet") {
        let plural = format!("{}s", kind.to_lowercase());
        return Ok(ApiResource::from_gvk_with_plural(&gvk, &plural));
    }
    match discovery::pinned_kind(client, &gvk).await {
        Ok((resource, _)) => Ok(resource),
        Err(error) => Err(unknown_kind(&gvk, &error)),
    }
}

/// The words for a kind that could not be asked for: not installed, as a rule.
fn unknown_kind(kind: &GroupVersionKind, error: &kube::Error) -> TargetError {
    let absent = match error {
        kube::Error::Api(status) => status.code == 404,
        error => matches!(error, kube::Error::Discovery(_)),
    };
    let cause = if absent {
        let ApiResource { plural, group, .. } = ApiResource::from_gvk(kind);
        format!(
            "nothing on this cluster serves it: install the CRD or API server that brings {plural}.{group}, which is then found by itself, or correct spec.scaleTargetRef"
        )
    } else {
        api_error(error)
    };
    let GroupVersionKind {
        group,
        version,
        kind,
    } = kind;
    format!(
        "ScaledObject doesn't have correct scaleTargetRef specification: unknown kind {kind} in {group}/{version}: {cause}"
    )
}

fn explain(error: &kube::Error, plan: &Plan, resource: &ApiResource) -> TargetError {
    let stage = "ScaledObject doesn't have correct scaleTargetRef specification";
    let name = &plan.object.spec.scale_target_ref.name;
    let (kind, namespace) = (&resource.kind, &plan.namespace);
    match error {
        kube::Error::Api(status) if status.is_not_found() => format!(
            "{stage}: {}.{} \"{name}\" not found: Target resource doesn't exist, or it doesn't expose /scale subresource ({kind} {namespace}/{name})",
            resource.plural, resource.group
        ),
        error => format!("{stage}: {kind} {namespace}/{name}: {}", api_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::ScaledObject;

    #[test]
    fn a_kind_that_is_not_installed_is_told_with_the_crd_that_is_missing() {
        let kind = GroupVersionKind::gvk("argoproj.io", "v1alpha1", "Rollout");
        let answer = |code, message: &str| {
            let mut status = kube::core::Status::failure(message, "");
            status.code = code;
            unknown_kind(&kind, &kube::Error::Api(Box::new(status)))
        };
        let said = answer(404, "404 page not found");
        assert!(said.contains("unknown kind Rollout in argoproj.io/v1alpha1"));
        assert!(said.contains("brings rollouts.argoproj.io"), "{said}");
        assert!(!said.contains("page not found"), "{said}");
        assert!(answer(503, "not now").ends_with("not now"));
    }

    /// A report from outside (R07): OpenShift answers `extensions/v1beta1` for its DeploymentConfigs.
    #[test]
    fn a_scale_of_any_group_and_version_is_read() {
        for (version, status, expected) in [
            (
                "autoscaling/v1",
                json!({"replicas": 3, "selector": "app=a"}),
                Some("app=a"),
            ),
            (
                "extensions/v1beta1",
                json!({"replicas": 3, "selector": {"app": "a"}, "targetSelector": "app=a"}),
                Some("app=a"),
            ),
            (
                "extensions/v1beta1",
                json!({"replicas": 3, "selector": {"app": "a", "b": "c"}}),
                Some("app=a,b=c"),
            ),
            ("autoscaling/v1", json!({"replicas": 0}), None),
        ] {
            let scale = json!({
                "kind": "Scale", "apiVersion": version, "metadata": {}, "spec": {"replicas": 3}, "status": status,
            });
            let scale: DynamicObject = serde_json::from_value(scale).unwrap();
            assert_eq!(
                (replicas(&scale), selector(&scale).as_deref()),
                (3, expected)
            );
        }
        let none =
            json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {}, "spec": {}});
        assert_eq!(replicas(&serde_json::from_value(none).unwrap()), 0);
    }

    /// A finding of the audit (26): whole pods are large, and a selector may name thousands.
    #[tokio::test]
    async fn ready_pods_are_counted_page_by_page() {
        let answer = tower::service_fn(|request: http::Request<kube::client::Body>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            assert!(query.contains("limit=500"), "{query}");
            let (first, next) = match query.split_once("continue=") {
                None => (0, "500"),
                Some((_, rest)) if rest.starts_with("500") => (500, "1000"),
                Some(_) => (1_000, ""),
            };
            let pods = (first..(first + 500).min(1_200)).map(|n| {
                let ready =
                    json!([{"type": "Ready", "status": if n % 2 == 0 { "True" } else { "False" }}]);
                json!({"metadata": {"name": n.to_string()}, "status": {"conditions": ready}})
            });
            let list = json!({"metadata": {"continue": next}, "items": pods.collect::<Vec<_>>()});
            let body = kube::client::Body::from(list.to_string().into_bytes());
            std::future::ready(Ok::<_, std::convert::Infallible>(http::Response::new(body)))
        });
        let client = Client::new(answer, "shop");
        let object = json!({
            "metadata": {"name": "o", "namespace": "shop"},
            "spec": {"scaleTargetRef": {"name": "app"}, "triggers": []},
        });
        let object: ScaledObject = serde_json::from_value(object).unwrap();
        let plan = Plan::new(std::sync::Arc::new(object), Vec::new());
        let scale = json!({"metadata": {}, "spec": {}, "status": {"selector": "app=a"}});
        let scale = serde_json::from_value(scale).unwrap();
        assert_eq!(ready_pods(&client, &plan, &scale).await, Ok(600));
    }
}
