//! Before KEDA is replaced: what would not be served here, and what its uninstall would take along.

use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
    core::GroupVersionKind,
};

use super::{Finding, authentications::Authentications, full_name, list};
use crate::{
    certificates::RELEASE,
    resources::{ScaledObject, Trigger},
    server::webhooks::{Subject, Surroundings},
    triggers,
};

const OTHERS: [(&str, &str, &str); 3] = [
    ("keda.sh", "v1alpha1", "ScaledJob"),
    ("eventing.keda.sh", "v1alpha1", "CloudEventSource"),
    ("eventing.keda.sh", "v1alpha1", "ClusterCloudEventSource"),
];
const KEEP: &str = "leave it to KEDA for now: docs/from-keda.md has what is missing";

pub(super) async fn look(client: &Client) -> Vec<Finding> {
    let mut findings = vec![crds(client).await];
    findings.extend(scaled_objects(client).await);
    for (group, version, kind) in OTHERS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        let Ok(list) = api.list(&ListParams::default()).await else {
            continue;
        };
        findings.extend(list.items.iter().map(|object| {
            Finding::fail(
                format!("{kind} {}", full_name(object)),
                "this kind is not looked at here",
                KEEP,
            )
        }));
    }
    findings
}

/// The trap: they are part of the Helm release, and with them go all objects and their HPAs.
async fn crds(client: &Client) -> Finding {
    let what = "CRDs of KEDA";
    let api = super::crds(client);
    let found = match api.get_opt("scaledobjects.keda.sh").await {
        Err(error) => return Finding::unseen(what, &error),
        Ok(found) => found,
    };
    let Some(crd) = found else {
        return Finding::ok(what, "there are none");
    };
    match crd.annotations().get(RELEASE) {
        None => Finding::ok(
            what,
            "no Helm release has them, so no uninstall takes them along",
        ),
        Some(release) => Finding::warn(
            what,
            format!(
                "Helm release {release} has them: `helm uninstall` deletes them, every ScaledObject and every HPA with them, unless the release itself says keep"
            ),
            "docs/from-keda.md, step 1, before anything is uninstalled",
        ),
    }
}

async fn scaled_objects(client: &Client) -> Vec<Finding> {
    let what = "ScaledObjects";
    let objects = match list::<ScaledObject>(client, what, &ListParams::default()).await {
        Ok(objects) => objects,
        Err(unseen) => return unseen,
    };
    let known = Authentications::list(client).await;
    let bad = objects.iter().filter_map(|object| {
        let why = why_not(object, &known);
        (!why.is_empty()).then(|| (object, why.join("; ")))
    });
    let bad: Vec<_> = bad.collect();
    let (count, served) = (objects.len(), objects.len() - bad.len());
    let mut findings = vec![Finding::ok(
        what,
        format!("{served} of {count} would be served here as they are"),
    )];
    findings.extend(bad.into_iter().map(|(object, why)| {
        Finding::fail(format!("ScaledObject {}", full_name(object)), why, KEEP)
    }));
    findings
}

fn why_not(object: &ScaledObject, known: &Authentications) -> Vec<String> {
    let subject = Subject::ScaledObject(Box::new(object.clone()));
    let refused = subject.verdict(&Surroundings::default()).err();
    let triggers = object.spec.triggers.iter().enumerate();
    let triggers = triggers.flat_map(|(index, trigger)| {
        let namespace = object.namespace().unwrap_or_default();
        of_trigger(trigger, &namespace, known)
            .into_iter()
            .map(move |why| format!("trigger {index}: {why}"))
    });
    triggers.chain(refused).collect()
}

fn of_trigger(trigger: &Trigger, namespace: &str, known: &Authentications) -> Vec<String> {
    let mut why = Vec::new();
    if !triggers::knows(&trigger.kind) {
        why.push(format!("type {} is not read here", trigger.kind));
        return why;
    }
    let written = |name: &str| trigger.metadata.get(name).map(|v| v.trim().to_owned());
    for (field, value) in [
        ("sasl", "gssapi"),
        ("sasl", "aws_msk_iam"),
        ("saslTokenProvider", "aws_msk_iam"),
    ] {
        if written(field).as_deref() == Some(value) {
            why.push(format!("{field} {value} can't be connected with"));
        }
    }
    why.extend(known.why_not(trigger, namespace));
    why
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_that_would_not_be_served_is_told_with_its_reason() {
        let object = |trigger: serde_json::Value| -> ScaledObject {
            serde_json::from_value(json!({
                "metadata": {"name": "o", "namespace": "shop"},
                "spec": {"scaleTargetRef": {"name": "app"}, "triggers": [trigger]},
            }))
            .unwrap()
        };
        let kafka = |more: serde_json::Value| {
            let mut metadata =
                json!({"bootstrapServers": "b:9092", "consumerGroup": "g", "topic": "t"});
            metadata
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            json!({"type": "kafka", "metadata": metadata, "authenticationRef": {"name": "a"}})
        };
        let mut known = Authentications::default();
        assert!(why_not(&object(kafka(json!({}))), &known).is_empty());
        let why =
            |object: &ScaledObject, known: &Authentications| why_not(object, known).join("; ");
        let said = why(
            &object(json!({"type": "prometheus", "metadata": {}})),
            &known,
        );
        assert!(
            said.contains("trigger 0: type prometheus is not read here"),
            "{said}"
        );
        let said = why(&object(kafka(json!({"sasl": "gssapi"}))), &known);
        assert!(
            said.contains("sasl gssapi can't be connected with"),
            "{said}"
        );
        let said = why(&object(kafka(json!({"lagThreshold": "x"}))), &known);
        assert!(said.contains("lagThreshold"), "{said}");
        let vault = json!({"hashiCorpVault": {}});
        known.add("shop", "a", &serde_json::from_value(vault).unwrap());
        let said = why(&object(kafka(json!({}))), &known);
        assert!(
            said.contains("hashiCorpVault of a is not supported"),
            "{said}"
        );
    }
}
