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

use crate::{
    controller::scope::{Labels, Scope},
    resources::names::OPERATOR,
};

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
    /// The objects that are handled here: a KEDA that can't have any of them is in nobody's way.
    pub scope: Scope,
}

/// Namespace and name of a Lease.
pub type Place = (String, String);

/// Where KEDAs may be.
#[derive(Debug, Default)]
pub struct Places {
    /// The Leases that a KEDA of the same objects would hold.
    pub leases: BTreeSet<Place>,
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
            .filter(|d| keda_operator(d).is_some());
        let (apart, same): (Vec<_>, Vec<_>) = operators.partition(|d| is_apart(d, &rules.scope));
        // One that is not in a Deployment may be there all the same.
        if same.is_empty() && !apart.is_empty() {
            places.apart.insert(namespace);
            continue;
        }
        let mut leases: Vec<String> = match &rules.lease {
            Some(lease) => vec![lease.clone()],
            None => same.into_iter().filter_map(lease_of).collect(),
        };
        if leases.is_empty() {
            leases.push(KEDA_LEASE.to_owned());
        }
        let leases = leases.into_iter().map(|lease| (namespace.clone(), lease));
        places.leases.extend(leases);
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

/// `true` where the operator's Deployment proves, by its namespaces or labels, that no object of `scope` is the operator's.
fn is_apart(deployment: &Deployment, scope: &Scope) -> bool {
    let Some(operator) = keda_operator(deployment) else {
        return false;
    };
    let variable = |name: &str| {
        let mut all = operator.env.iter().flatten();
        let found = all.find(|variable| variable.name == name)?;
        // A value from elsewhere is not known, so it may be any.
        found.value.clone().filter(|_| found.value_from.is_none())
    };
    let namespaces = variable("WATCH_NAMESPACE").unwrap_or_default();
    let labels = variable("WATCH_LABEL_SELECTOR").unwrap_or_default();
    let other = Scope {
        namespaces: Scope::namespaces(&namespaces),
        objects: Labels::parse(&labels).unwrap_or_default(),
        authentications: Labels::default(),
    };
    // A variable in the pod goes over one that is written here.
    let whole = operator.env_from.iter().flatten().next().is_none();
    whole && scope.excludes(&other, reads_labels(deployment, operator))
}

/// `true` for KEDA 2.21 or later, which reads `WATCH_LABEL_SELECTOR`.
fn reads_labels(deployment: &Deployment, operator: &Container) -> bool {
    let image = operator.image.as_deref().unwrap_or_default();
    let tag = image
        .split('@')
        .next()
        .and_then(|image| image.rsplit_once(':'));
    let label = deployment.labels().get("app.kubernetes.io/version");
    let tag = tag.map(|(_, tag)| tag).filter(|tag| !tag.contains('/'));
    let version = |text: &str| {
        let mut numbers = text.trim_start_matches('v').split('.');
        let major: u32 = numbers.next()?.parse().ok()?;
        let minor: u32 = numbers.next()?.parse().ok()?;
        Some((major, minor))
    };
    let found = tag.and_then(version).or_else(|| version(label?));
    found.is_some_and(|version| version >= (2, 21))
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
    fn a_keda_is_apart_where_its_deployment_proves_it() {
        let labels = "lagscale.io/owner";
        let ours = |namespaces: &str, objects: &str| Scope {
            namespaces: Scope::namespaces(namespaces),
            objects: Labels::parse(objects).unwrap(),
            authentications: Labels::default(),
        };
        let env = |name: &str, value: &str| json!({"name": name, "value": value});
        let without = env("WATCH_LABEL_SELECTOR", "!lagscale.io/owner");
        let from =
            json!({"name": "WATCH_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "x"}}});
        for (scope, image, variables, apart) in [
            (ours("", labels), "keda:2.21.0", json!([without]), true),
            (
                ours("", labels),
                "ghcr.io:443/kedacore/keda:v2.21.1@sha256:0",
                json!([without]),
                true,
            ),
            (ours("", labels), "keda:3.0", json!([without]), true),
            (ours("", labels), "keda:2.20.2", json!([without]), false),
            (ours("", labels), "keda:main", json!([without]), false),
            (ours("", labels), "host:5000/keda", json!([without]), false),
            (ours("", labels), "keda:2.21.0", json!([]), false),
            (ours("", ""), "keda:2.21.0", json!([without]), false),
            (
                ours("a", ""),
                "keda:2.10.0",
                json!([env("WATCH_NAMESPACE", "b,c")]),
                true,
            ),
            (
                ours("a", ""),
                "keda:2.10.0",
                json!([env("WATCH_NAMESPACE", "b,a")]),
                false,
            ),
            (ours("a", ""), "keda:2.10.0", json!([from]), false),
            (
                ours("a", ""),
                "keda:2.10.0",
                json!([env("WATCH_NAMESPACE", "")]),
                false,
            ),
        ] {
            let container = json!({"name": "keda-operator", "image": image, "env": variables});
            let template = json!({"spec": {"containers": [container]}});
            let spec = json!({"selector": {}, "template": template});
            let deployment = serde_json::from_value(json!({"spec": spec})).unwrap();
            assert_eq!(
                is_apart(&deployment, &scope),
                apart,
                "{image} {variables} {scope:?}"
            );
        }
        let unknown = json!({
            "name": "keda-operator", "image": "mirror/keda@sha256:0", "env": [without],
        });
        let deployment = |more: Value| -> Deployment {
            let mut container = unknown.clone();
            container["envFrom"] = more;
            serde_json::from_value(json!({
                "metadata": {"labels": {"app.kubernetes.io/version": "2.21.0"}},
                "spec": {"selector": {}, "template": {"spec": {"containers": [container]}}},
            }))
            .unwrap()
        };
        assert!(is_apart(&deployment(Value::Null), &ours("", labels)));
        let more = json!([{"configMapRef": {"name": "x"}}]);
        assert!(!is_apart(&deployment(more), &ours("", labels)));
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
