//! Where a KEDA may be, and what its Lease is called. Only what no tenant can write says so: flags, the Helm release of
//! KEDA's CRD, KEDA's webhooks. Whoever may create a Lease in a namespace of their own stops nobody by it.

use std::collections::BTreeSet;

use k8s_openapi::api::{
    admissionregistration::v1::ValidatingWebhookConfiguration, apps::v1::Deployment,
    core::v1::Container,
};
use kube::{
    Api, Client, Error, ResourceExt,
    api::{ApiResource, ListParams, PartialObjectMeta},
    core::GroupVersionKind,
};

use crate::resources::names::OPERATOR;

/// KEDA's `--leader-election-id` where nothing else is said.
pub const KEDA_LEASE: &str = "operator.keda.sh";
/// Where KEDA's documentation and OLM's catalogues put it.
const USUAL: [&str; 2] = ["keda", "openshift-keda"];
const CRD: &str = "scaledobjects.keda.sh";
const WEBHOOKS: &str = "keda-admission";
const RELEASED_IN: &str = "meta.helm.sh/release-namespace";
const FLAG: &str = "leader-election-id";
/// Deployments of a namespace that are looked at.
const MOST: u32 = 500;

/// Which KEDA counts, as the flags say.
#[derive(Clone, Debug, Default)]
pub struct KedaRules {
    /// Where it is; empty: where KEDA's documentation puts it, and where its CRD and its webhooks say that it is.
    pub namespaces: Vec<String>,
    /// The name of its Lease; `None`: what its Deployment says, or KEDA's default.
    pub lease: Option<String>,
}

/// Namespace and name of a Lease.
pub type Place = (String, String);

/// The Leases that a KEDA would hold. What may not be read is done without.
///
/// # Errors
///
/// The API server's, but for what is not there or may not be read.
pub async fn find(client: &Client, rules: &KedaRules) -> Result<BTreeSet<Place>, Error> {
    let mut namespaces: BTreeSet<String> = rules.namespaces.iter().cloned().collect();
    if namespaces.is_empty() {
        namespaces.extend(USUAL.map(str::to_owned));
        namespaces.extend(of_release(client).await?);
        namespaces.extend(of_webhooks(client).await?);
    }
    let mut places = BTreeSet::new();
    for namespace in namespaces {
        let leases = match &rules.lease {
            Some(lease) => vec![lease.clone()],
            None => of_operator(client, &namespace).await?,
        };
        places.extend(leases.into_iter().map(|lease| (namespace.clone(), lease)));
    }
    Ok(places)
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

async fn of_operator(client: &Client, namespace: &str) -> Result<Vec<String>, Error> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let found = api.list(&ListParams::default().limit(MOST)).await;
    let found = readable(found.map(Some))?;
    let mut leases: Vec<String> = found.iter().flatten().filter_map(lease_of).collect();
    if leases.is_empty() {
        leases.push(KEDA_LEASE.to_owned());
    }
    Ok(leases)
}

/// The name of the Lease of KEDA's operator, if this is one.
fn lease_of(deployment: &Deployment) -> Option<String> {
    let lease = flag(keda_operator(deployment)?, FLAG);
    Some(lease.unwrap_or(KEDA_LEASE).to_owned())
}

/// The container of KEDA's operator, if the Deployment has it.
#[must_use]
pub fn keda_operator(deployment: &Deployment) -> Option<&Container> {
    let template = &deployment.spec.as_ref()?.template;
    let mut containers = template.spec.as_ref()?.containers.iter();
    containers.find(|c| is_operator(c))
}

/// The value of a flag of this name, without dashes, in a container's command line; `None` also where it is empty.
#[must_use]
pub fn flag<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    let words = container.command.iter().chain(&container.args).flatten();
    let mut words = words.map(String::as_str);
    while let Some(word) = words.next() {
        // Go's flags take one dash or two.
        let word = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
        let Some(rest) = word.and_then(|w| w.strip_prefix(name)) else {
            continue;
        };
        let value = match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None if rest.is_empty() => words.next(),
            None => None,
        };
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            return Some(value);
        }
    }
    None
}

fn is_operator(container: &Container) -> bool {
    let command = container.command.iter().flatten().next();
    container.name == OPERATOR || command.is_some_and(|program| program == "/keda")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lease(container: &Value) -> Option<String> {
        let template = json!({"spec": {"containers": [{"name": "proxy"}, container]}});
        let spec = json!({"selector": {}, "template": template});
        lease_of(&serde_json::from_value(json!({"spec": spec})).unwrap())
    }

    #[test]
    fn the_operator_s_deployment_says_what_its_lease_is_called() {
        let chart = |args: &[&str]| {
            lease(&json!({"name": "keda-operator", "command": ["/keda"], "args": args}))
        };
        for (args, expected) in [
            (&["--leader-elect", "--zap-log-level=info"][..], KEDA_LEASE),
            (
                &["--leader-election-id=team.keda.sh", "--leader-elect"],
                "team.keda.sh",
            ),
            (&["-leader-election-id=team.keda.sh"], "team.keda.sh"),
            (
                &["--leader-elect", "--leader-election-id", "team.keda.sh"],
                "team.keda.sh",
            ),
            (&["--leader-election-id="], KEDA_LEASE),
            (&["--leader-election-id"], KEDA_LEASE),
            (&["--leader-election-id-of-another=x"], KEDA_LEASE),
        ] {
            assert_eq!(chart(args).as_deref(), Some(expected), "{args:?}");
        }
        let renamed = json!({"name": "manager", "command": ["/keda", "--leader-election-id=x"]});
        assert_eq!(lease(&renamed).as_deref(), Some("x"));
        let other = json!({"name": "operator", "args": ["--leader-election-id=http.keda.sh"]});
        assert_eq!(lease(&other), None, "another operator beside it");
    }
}
