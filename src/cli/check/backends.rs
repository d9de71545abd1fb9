//! The other servers of external metrics that lagscale asks: each is asked once, through kube-apiserver and lagscale as an HPA would.

use kube::Client;

use super::{super::answers::ask, Finding, own::Own};
use crate::{
    delegation::{Example, backends},
    server::{GROUP, VERSION},
};

const FIX: &str = "is its Service there, and does its certificate fit? LAGSCALE_BACKENDS says whom lagscale asks, and the APIService's annotation lagscale.io/predecessor: take that off once the server is gone for good";

pub(super) async fn look(client: &Client, namespace: &str, own: &Own) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, example) in named(own) {
        let what = format!("backend {name}");
        findings.extend(asked(client, &what, example, namespace).await);
    }
    // A metric of this name is nobody's.
    let what = "metrics that are not lagscale's own";
    findings.extend(asked(client, what, Example::default(), namespace).await);
    findings
}

/// The backends that lagscale's Deployment names, each with a question that is its.
fn named(own: &Own) -> Vec<(String, Example)> {
    let text = own.setting("backends", "LAGSCALE_BACKENDS");
    let text = text.unwrap_or_default();
    // A list that can't be read ends the process, which `replicas` tells.
    let all = backends(text).unwrap_or_default();
    all.iter().map(|b| (b.name.clone(), b.example())).collect()
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
