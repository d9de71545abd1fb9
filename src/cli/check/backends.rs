//! The other servers of external metrics that lagscale asks: each is asked once, through kube-apiserver and lagscale as an HPA would.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, Client};

use super::{super::answers::ask, Finding};
use crate::{
    controller::flag,
    delegation::{Example, backends},
    server::{GROUP, VERSION},
};

const VARIABLE: &str = "LAGSCALE_BACKENDS";
const FIX: &str = "is its Service there, and does its certificate fit? LAGSCALE_BACKENDS says whom lagscale asks, and the APIService's annotation lagscale.io/predecessor: take that off once the server is gone for good";

pub(super) async fn look(client: &Client, namespace: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, example) in named(client, namespace).await {
        let what = format!("backend {name}");
        findings.extend(asked(client, &what, example, namespace).await);
    }
    // A metric of this name is nobody's.
    let what = "metrics that are not lagscale's own";
    findings.extend(asked(client, what, Example::default(), namespace).await);
    findings
}

/// The backends that lagscale's Deployment names, each with a question that is its.
async fn named(client: &Client, namespace: &str) -> Vec<(String, Example)> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let found = api.get_opt("lagscale").await.ok().flatten();
    let text = found.as_ref().and_then(setting).unwrap_or_default();
    // A list that can't be read ends the process, which `replicas` tells.
    let all = backends(text).unwrap_or_default();
    all.iter().map(|b| (b.name.clone(), b.example())).collect()
}

fn setting(deployment: &Deployment) -> Option<&str> {
    let template = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let container = template.containers.iter().find(|c| c.name == "lagscale")?;
    let mut variables = container.env.iter().flatten();
    let variable = variables.find(|v| v.name == VARIABLE);
    flag(container, "backends").or_else(|| variable?.value.as_deref())
}

async fn asked(client: &Client, what: &str, example: Example, own: &str) -> Option<Finding> {
    let Example {
        namespace,
        metric,
        selector_key,
    } = example;
    let namespace = namespace.unwrap_or_else(|| own.to_owned());
    let mut path = format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{metric}");
    if let Some(key) = selector_key {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("labelSelector", &format!("{key}=lagscale-check"))
            .finish();
        path = format!("{path}?{query}");
    }
    let reply = match ask(client, &path).await {
        Err(error) => return Some(Finding::warn(what, error, "look again")),
        Ok(reply) => reply,
    };
    if let Some(name) = reply.backend() {
        return Some(Finding::ok(what, format!("backend {name} answers")));
    }
    reply.troubled()?;
    Some(Finding::warn(what, reply.said, FIX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_list_is_the_flag_s_before_the_variable_s() {
        let deployment = |args: &[&str], env: &[(&str, &str)]| -> Deployment {
            let env: Vec<_> = env
                .iter()
                .map(|(n, v)| json!({"name": n, "value": v}))
                .collect();
            let container = json!({"name": "lagscale", "args": args, "env": env});
            serde_json::from_value(json!({
                "spec": {"selector": {}, "template": {"spec": {"containers": [container]}}},
            }))
            .unwrap()
        };
        let env = [("OTHER", "a"), (VARIABLE, "b")];
        assert_eq!(setting(&deployment(&[], &env)), Some("b"));
        assert_eq!(setting(&deployment(&["--backends=c"], &env)), Some("c"));
        assert_eq!(setting(&deployment(&[], &[])), None);
    }
}
