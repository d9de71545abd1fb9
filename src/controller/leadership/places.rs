//! Where a KEDA may be, and by which Lease or pods it shows that it is alive. Only what no tenant can write says so: flags, the Helm
//! release of KEDA's CRD, KEDA's webhooks. Whoever may create a Lease in a namespace of their own stops nobody by it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    admissionregistration::v1::ValidatingWebhookConfiguration, apps::v1::Deployment, core::v1::Pod,
};
use kube::{
    Api, Client, Error, ResourceExt,
    api::{ApiResource, ListParams, PartialObjectMeta},
    core::{GroupVersionKind, Selector},
};

use super::operator::{self, KEDA_LEASE};
use crate::controller::scope::Scope;

/// Where KEDA's documentation and OLM's catalogues put it.
const USUAL: [&str; 2] = ["keda", "openshift-keda"];
const CRD: &str = "scaledobjects.keda.sh";
const WEBHOOKS: &str = "keda-admission";
const RELEASED_IN: &str = "meta.helm.sh/release-namespace";
/// Deployments of a namespace that are looked at.
const MOST: u32 = 500;

/// Which KEDA counts, as the flags say.
#[derive(Clone, Debug, Default)]
pub struct KedaRules {
    /// Where it is; empty: where KEDA's documentation puts it, and where its CRD and its webhooks say that it is.
    pub namespaces: Vec<String>,
    /// The name of its Lease; `None`: what its Deployment says, or KEDA's default.
    pub lease: Option<String>,
    /// The objects that are handled here: a KEDA that can't have any of them is in nobody's way.
    pub scope: Scope,
}

/// Namespace and name, of a Lease or a Deployment.
pub type Place = (String, String);

/// A Deployment of a KEDA that holds no Lease.
#[derive(Debug)]
pub struct Unelected {
    /// The labels of its pods.
    labels: Selector,
    /// Where one goes, the next comes.
    wants_pods: bool,
}

/// Where KEDAs may be.
#[derive(Debug, Default)]
pub struct Places {
    /// The Leases that a KEDA of the objects that are handled here would hold.
    pub leases: BTreeSet<Place>,
    /// The Deployments of such KEDAs that hold no Lease.
    pub unelected: BTreeMap<Place, Unelected>,
    /// The namespaces of KEDAs that handle other objects, as their Deployments say.
    pub apart: BTreeSet<String>,
}

/// The Leases that a KEDA would hold. What may not be read is done without.
///
/// # Errors
///
/// The API server's, but for what is not there or may not be read.
pub async fn find(client: &Client, rules: &KedaRules) -> Result<Places, Error> {
    let mut namespaces: BTreeSet<String> = rules.namespaces.iter().cloned().collect();
    if namespaces.is_empty() {
        namespaces.extend(USUAL.map(str::to_owned));
        namespaces.extend(of_release(client).await?);
        namespaces.extend(of_webhooks(client).await?);
    }
    let mut places = Places::default();
    for namespace in namespaces {
        let api: Api<Deployment> = Api::namespaced(client.clone(), &namespace);
        let found = api.list(&ListParams::default().limit(MOST)).await;
        let found = readable(found.map(Some))?;
        let operators = found
            .iter()
            .flatten()
            .filter(|d| operator::keda_operator(d).is_some());
        let (apart, same): (Vec<_>, Vec<_>) =
            operators.partition(|d| operator::is_apart(d, &rules.scope));
        // One that is not in a Deployment may be there all the same.
        if same.is_empty() && !apart.is_empty() {
            places.apart.insert(namespace);
            continue;
        }
        let unelected = same.iter().filter(|d| !operator::elects(d));
        let unelected = unelected.filter_map(|deployment| {
            let spec = deployment.spec.as_ref()?;
            let unelected = Unelected {
                labels: Selector::try_from(spec.selector.clone()).ok()?,
                wants_pods: spec.replicas != Some(0),
            };
            Some(((namespace.clone(), deployment.name_any()), unelected))
        });
        places.unelected.extend(unelected);
        let mut leases: Vec<String> = match &rules.lease {
            Some(lease) => vec![lease.clone()],
            None => same.into_iter().filter_map(operator::lease_of).collect(),
        };
        if leases.is_empty() {
            leases.push(KEDA_LEASE.to_owned());
        }
        let leases = leases.into_iter().map(|lease| (namespace.clone(), lease));
        places.leases.extend(leases);
    }
    Ok(places)
}

/// A Deployment of a KEDA that holds no Lease and wants pods, or still has some: each of them may write.
///
/// # Errors
///
/// The API server's.
pub async fn unelected(client: &Client, places: &Places) -> Result<Option<Place>, Error> {
    for (place, found) in &places.unelected {
        if found.wants_pods {
            return Ok(Some(place.clone()));
        }
        let api: Api<Pod> = Api::namespaced(client.clone(), &place.0);
        let unfinished = "status.phase!=Succeeded,status.phase!=Failed";
        let params = ListParams::default()
            .labels_from(&found.labels)
            .fields(unfinished);
        let pods = api.list_metadata(&params.limit(1)).await?;
        if !pods.items.is_empty() {
            return Ok(Some(place.clone()));
        }
    }
    Ok(None)
}

/// The object that was asked for, unless it is not there or may not be read.
fn readable<T>(answer: Result<Option<T>, Error>) -> Result<Option<T>, Error> {
    match answer {
        Err(Error::Api(status)) if matches!(status.code, 403 | 404) => Ok(None),
        answer => answer,
    }
}

async fn of_release(client: &Client) -> Result<Option<String>, Error> {
    let kind = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let kind = ApiResource::from_gvk(&kind);
    let api: Api<PartialObjectMeta<kube::core::DynamicObject>> =
        Api::all_with(client.clone(), &kind);
    let found = readable(api.get_metadata_opt(CRD).await)?;
    Ok(found.and_then(|crd| crd.annotations().get(RELEASED_IN).cloned()))
}

async fn of_webhooks(client: &Client) -> Result<BTreeSet<String>, Error> {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(client.clone());
    let found = readable(api.get_opt(WEBHOOKS).await)?;
    let webhooks = found.and_then(|found| found.webhooks).unwrap_or_default();
    let services = webhooks.into_iter().filter_map(|w| w.client_config.service);
    Ok(services.map(|service| service.namespace).collect())
}
