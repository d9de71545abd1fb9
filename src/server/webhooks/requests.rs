//! The resource requests of a workload's pods, which a cpu or memory trigger is a part of.

use k8s_openapi::{
    api::core::v1::{Container, LimitRangeItem, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use super::Template;
use crate::{
    quantity::parse_milli,
    resources::{ScaledObjectSpec, Trigger},
};

/// Each container a cpu or memory trigger looks at has that request, or gets it: from its limit, from its pod, or from a
/// LimitRange of the namespace.
pub(super) fn requests(spec: &ScaledObjectSpec, template: &Template) -> Option<String> {
    let mut resources = spec.triggers.iter().filter(|t| t.is_resource());
    resources.find_map(|trigger| {
        let kind = trigger.kind.as_str();
        let given = |item: &LimitRangeItem| {
            let defaults = [&item.default_request, &item.default];
            item.type_ == "Container" && defaults.into_iter().flatten().any(|m| counts(m.get(kind)))
        };
        let ranges = template.limit_ranges.iter().filter_map(|l| l.spec.as_ref());
        if ranges.flat_map(|s| &s.limits).any(given) {
            return None;
        }
        let one = one_container(trigger);
        if one.is_none() && asks(template.pod.resources.as_ref(), kind) {
            return None;
        }
        let looked_at = |c: &&Container| one.is_none_or(|name| name == c.name);
        let mut containers = template.pod.containers.iter().filter(looked_at);
        let without = containers.find(|c| !asks(c.resources.as_ref(), kind))?;
        Some(format!(
            "the scaledobject has a {kind} trigger but the container {} doesn't have the {kind} request defined",
            without.name
        ))
    })
}

fn one_container(trigger: &Trigger) -> Option<&str> {
    let name = trigger.metadata.get("containerName").map(|n| n.trim());
    name.filter(|n| !n.is_empty())
}

/// A limit without a request is the request.
fn asks(resources: Option<&ResourceRequirements>, kind: &str) -> bool {
    resources.is_some_and(|r| {
        [&r.requests, &r.limits]
            .into_iter()
            .flatten()
            .any(|m| counts(m.get(kind)))
    })
}

fn counts(quantity: Option<&Quantity>) -> bool {
    quantity.is_some_and(|q| parse_milli(&q.0).is_ok_and(|milli| milli > 0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn missing(trigger: &Value, pod: &Value, limits: &Value) -> Option<String> {
        let spec = json!({"scaleTargetRef": {"name": "app"}, "triggers": [trigger]});
        let template = Template {
            pod: serde_json::from_value(pod.clone()).unwrap(),
            limit_ranges: vec![
                serde_json::from_value(json!({"spec": {"limits": limits}})).unwrap(),
            ],
        };
        requests(&serde_json::from_value(spec).unwrap(), &template)
    }

    #[test]
    fn a_request_may_come_from_a_limit_the_pod_or_a_limit_range() {
        let cpu = json!({"type": "cpu", "metadata": {"value": "50"}});
        let bare = json!({"containers": [{"name": "c"}]});
        let said = missing(&cpu, &bare, &json!([])).unwrap();
        assert_eq!(
            said,
            "the scaledobject has a cpu trigger but the container c doesn't have the cpu request defined"
        );
        let limited = json!({"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]});
        assert_eq!(missing(&cpu, &limited, &json!([])), None);
        let whole = json!({"containers": [{"name": "c"}], "resources": {"requests": {"cpu": "1"}}});
        assert_eq!(missing(&cpu, &whole, &json!([])), None);
        let default = json!([{"type": "Container", "default": {"cpu": "1"}}]);
        assert_eq!(missing(&cpu, &bare, &default), None);
        let pods = json!([{"type": "Pod", "max": {"cpu": "1"}}]);
        assert!(missing(&cpu, &bare, &pods).is_some());
        // A share of one container is a share of that container's own request.
        let one = json!({"type": "cpu", "metadata": {"value": "50", "containerName": "c"}});
        assert!(missing(&one, &whole, &json!([])).is_some());
    }

    #[test]
    fn only_the_container_that_a_trigger_names_is_looked_at() {
        let memory =
            json!({"type": "memory", "metadata": {"value": "50", "containerName": "main"}});
        let asking = json!({"name": "main", "resources": {"requests": {"memory": "1Gi"}}});
        let pod = json!({"containers": [{"name": "sidecar"}, asking]});
        assert_eq!(missing(&memory, &pod, &json!([])), None);
    }
}
