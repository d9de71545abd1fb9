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
    let name = &object.spec.scale_target_ref.name;
    let said = |error: kube::Error| api_error(&error);
    let pod = if Target::of(object).kind == "StatefulSet" {
        let api: Api<StatefulSet> = Api::namespaced(client.clone(), namespace);
        api.get(name).await.map(|s| s.spec.map(|s| s.template))
    } else {
        let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        api.get(name).await.map(|d| d.spec.map(|s| s.template))
    };
    let pod = pod.map_err(said)?.and_then(|t| t.spec).unwrap_or_default();
    let ranges: Api<LimitRange> = Api::namespaced(client.clone(), namespace);
    let ranges = ranges.list(&ListParams::default()).await.map_err(said)?;
    Ok(Template {
        pod,
        limit_ranges: ranges.items,
    })
}
