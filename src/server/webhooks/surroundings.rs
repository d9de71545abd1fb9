//! The surroundings that a ScaledObject is judged in: the controller's watched objects and HPAs of its namespace, and the pods of its
//! workload where a trigger needs their requests.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{LimitRange, PodSpec},
};
use kube::{Api, Client, Resource, api::ListParams, runtime::reflector::Store};

use super::target::Target;
use crate::{controller::Scope, resources::ScaledObject, text::api_error};

/// Within the three seconds of the manifests.
const PATIENCE: Duration = Duration::from_secs(2);
/// A list waits until the API server's cache is as new as etcd, which takes long where that server is busy: after so long, the cache is
/// enough as it is.
const FRESH: Duration = Duration::from_secs(1);

/// The rest of the namespace, as far as it is known.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Every ScaledObject, the judged one too.
    pub others: Vec<Arc<ScaledObject>>,
    /// Every HPA.
    pub hpas: Vec<Arc<HorizontalPodAutoscaler>>,
    /// The workload's pods, or why they could not be read; `None` where nobody needs them.
    pub template: Option<Result<Template, String>>,
    /// Fields that no trigger reads are let in without a warning.
    pub tolerates_unmatched: bool,
}

/// Everything that decides the requests of a workload's containers.
#[derive(Debug, Default)]
pub struct Template {
    /// The template of its pods.
    pub pod: PodSpec,
    /// The LimitRanges of its namespace.
    pub limit_ranges: Vec<LimitRange>,
}

/// The watched objects, to read. Every replica has its own.
#[derive(Clone)]
pub struct Neighbours {
    /// ScaledObjects.
    pub objects: Store<ScaledObject>,
    /// HPAs.
    pub hpas: Store<HorizontalPodAutoscaler>,
    /// The objects that are handled here: no others are judged.
    pub scope: Scope,
    /// Whether fields that no trigger reads are warned of.
    pub warns_of_unmatched: bool,
}

impl Neighbours {
    pub(super) async fn around(
        &self,
        client: &Client,
        object: &ScaledObject,
        template: bool,
    ) -> Surroundings {
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let template = if template {
            let reading = tokio::time::timeout(PATIENCE, read(client, namespace, object)).await;
            let late = |_| Err(format!("no answer within {PATIENCE:?}"));
            Some(reading.unwrap_or_else(late))
        } else {
            None
        };
        Surroundings {
            others: of(&self.objects, namespace),
            hpas: of(&self.hpas, namespace),
            template,
            tolerates_unmatched: !self.warns_of_unmatched,
        }
    }
}

/// Nothing while the first list is not in: nobody waits for it.
fn of<K>(store: &Store<K>, namespace: &str) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    if !matches!(store.wait_until_ready().now_or_never(), Some(Ok(()))) {
        return Vec::new();
    }
    store.state_filter(|k| k.meta().namespace.as_deref() == Some(namespace))
}

async fn read(client: &Client, namespace: &str, object: &ScaledObject) -> Result<Template, String> {
    let (pod, limit_ranges) = futures::try_join!(
        pod(client, namespace, object),
        limit_ranges(client, namespace)
    )
    .map_err(|error| api_error(&error))?;
    Ok(Template { pod, limit_ranges })
}

/// The newest template: what was applied just before counts.
async fn pod(client: &Client, namespace: &str, object: &ScaledObject) -> kube::Result<PodSpec> {
    let name = &object.spec.scale_target_ref.name;
    let template = if Target::of(object).kind == "StatefulSet" {
        let api: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
        api.get(name).await?.spec.map(|s| s.template)
    } else {
        let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        api.get(name).await?.spec.map(|d| d.template)
    };
    Ok(template.and_then(|t| t.spec).unwrap_or_default())
}

async fn limit_ranges(client: &Client, namespace: &str) -> kube::Result<Vec<LimitRange>> {
    let api: Api<LimitRange> = Api::namespaced(client.clone(), namespace);
    let (newest, cached) = (ListParams::default(), ListParams::default().match_any());
    let listed = match tokio::time::timeout(FRESH, api.list(&newest)).await {
        Ok(listed) => listed,
        Err(_) => api.list(&cached).await,
    };
    Ok(listed?.items)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tokio::sync::Notify;

    use super::*;

    fn answer(body: &Value) -> Response<Body> {
        Response::new(Body::from(body.to_string().into_bytes()))
    }

    /// A LimitRange by its name, in a list.
    fn ranges(name: &str) -> Value {
        json!({"metadata": {}, "items": [{"metadata": {"name": name}}]})
    }

    /// The template of a workload, read from an API server that tells its LimitRanges only from its cache where it is `busy`, and the
    /// workload only once it was asked for them.
    async fn template(busy: bool) -> Template {
        let asked = Arc::new(Notify::new());
        let service = tower::service_fn(move |request: Request<Body>| {
            let asked = asked.clone();
            async move {
                if request.uri().path().ends_with("/deployments/app") {
                    asked.notified().await;
                    let pod = json!({"nodeName": "here", "containers": []});
                    let spec = json!({"selector": {}, "template": {"spec": pod}});
                    return Ok::<_, Infallible>(answer(&json!({"metadata": {}, "spec": spec})));
                }
                asked.notify_one();
                let query = request.uri().query().unwrap_or_default();
                if query.contains("resourceVersion=0") {
                    return Ok(answer(&ranges("cached")));
                }
                if busy {
                    std::future::pending::<()>().await;
                }
                Ok(answer(&ranges("newest")))
            }
        });
        let object = json!({
            "metadata": {"name": "o", "namespace": "shop"},
            "spec": {"scaleTargetRef": {"name": "app"}, "triggers": []},
        });
        let object: ScaledObject = serde_json::from_value(object).unwrap();
        let client = Client::new(service, "shop");
        let read = tokio::time::timeout(PATIENCE, read(&client, "shop", &object));
        read.await.expect("an answer in time").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_api_server_tells_limit_ranges_from_its_cache_beside_the_workload() {
        for (busy, expected) in [(false, "newest"), (true, "cached")] {
            let template = template(busy).await;
            assert_eq!(template.pod.node_name.as_deref(), Some("here"));
            let names = template.limit_ranges.iter().map(|l| &l.metadata.name);
            let names: Vec<_> = names.map(Option::as_deref).collect();
            assert_eq!(names, [Some(expected)]);
        }
    }
}
