//! KEDA's operator as its Deployment describes it: the Lease that it holds, or that it holds none, and which objects it handles.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Container, EnvVar},
};
use kube::ResourceExt;

use crate::{
    controller::scope::{Labels, Scope},
    resources::names::OPERATOR,
};

/// KEDA's `--leader-election-id` where nothing else is said.
pub const KEDA_LEASE: &str = "operator.keda.sh";
const LEASE_FLAG: &str = "leader-election-id";
const ELECTS_FLAG: &str = "leader-elect";

/// `true` where the operator's Deployment proves, by its namespaces or labels, that no object of `scope` is the operator's.
pub(super) fn is_apart(deployment: &Deployment, scope: &Scope) -> bool {
    let Some(operator) = keda_operator(deployment) else {
        return false;
    };
    let variable = |name: &str| {
        let found = variable(operator, name)?;
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
pub(super) fn lease_of(deployment: &Deployment) -> Option<String> {
    let lease = flag(keda_operator(deployment)?, LEASE_FLAG);
    Some(lease.unwrap_or(KEDA_LEASE).to_owned())
}

/// `true` for an operator that writes only while it holds its Lease, as KEDA's manifests and chart have it. A value that is not
/// known, such as one of a variable, is no promise.
pub(super) fn elects(deployment: &Deployment) -> bool {
    // pflag's booleans take a value after `=` only, and the last one counts.
    const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];
    let said = keda_operator(deployment).and_then(|operator| {
        let said = words(operator).filter_map(|word| undashed(word)?.strip_prefix(ELECTS_FLAG));
        let said = said.filter_map(|rest| match rest.strip_prefix('=') {
            Some(value) => Some(TRUE.contains(&value)),
            None => rest.is_empty().then_some(true),
        });
        said.last()
    });
    said.unwrap_or(false)
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
    let mut words = words(container);
    while let Some(word) = words.next() {
        let Some(rest) = undashed(word).and_then(|w| w.strip_prefix(name)) else {
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

/// A variable that is written in a container; of several, the last one counts as for the kubelet.
#[must_use]
pub fn variable<'a>(container: &'a Container, name: &str) -> Option<&'a EnvVar> {
    container.env.iter().flatten().rfind(|v| v.name == name)
}

fn words(container: &Container) -> impl Iterator<Item = &str> {
    let words = container.command.iter().chain(&container.args).flatten();
    words.map(String::as_str)
}

/// Go's flags take one dash or two.
fn undashed(word: &str) -> Option<&str> {
    word.strip_prefix("--").or_else(|| word.strip_prefix('-'))
}

fn is_operator(container: &Container) -> bool {
    let command = container.command.iter().flatten().next();
    container.name == OPERATOR || command.is_some_and(|program| program == "/keda")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn deployed(container: &Value) -> Deployment {
        let template = json!({"spec": {"containers": [{"name": "proxy"}, container]}});
        let spec = json!({"selector": {}, "template": template});
        serde_json::from_value(json!({"spec": spec})).unwrap()
    }

    fn lease(container: &Value) -> Option<String> {
        lease_of(&deployed(container))
    }

    #[test]
    fn an_operator_elects_where_its_flag_says_so_for_certain() {
        for (args, elects) in [
            (&["--leader-elect"][..], true),
            (&["-leader-elect", "--zap-log-level=info"], true),
            (&["--leader-elect=true"], true),
            (&["--leader-elect=1", "--leader-elect=T"], true),
            (&[], false),
            (&["--leader-elect=false"], false),
            (&["--leader-elect", "--leader-elect=0"], false),
            (&["--leader-elect=$(ELECT)"], false),
            (&["--leader-election-id=team.keda.sh"], false),
            (&["leader-elect"], false),
        ] {
            let operator = json!({"name": "keda-operator", "command": ["/keda"], "args": args});
            assert_eq!(super::elects(&deployed(&operator)), elects, "{args:?}");
        }
        let sidecar = json!({"name": "keda-operator", "command": ["/keda"]});
        let mut deployment = deployed(&sidecar);
        let spec = deployment.spec.as_mut().unwrap().template.spec.as_mut();
        spec.unwrap().containers[0].args = Some(vec!["--leader-elect".into()]);
        assert!(!super::elects(&deployment), "another container's flag");
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
