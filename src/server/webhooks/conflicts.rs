//! Two who scale one workload: another ScaledObject of the namespace, or an HPA of somebody else.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::ResourceExt;

use super::{Surroundings, target::Target};
use crate::{
    resources::{ScaleTarget, ScaledObject, names::TRANSFER},
    scaling::{Ownership, hpa_name, ownership},
};

/// On an HPA of somebody else: `false` lets a ScaledObject stand beside it.
const OWNERSHIP: &str = "validations.keda.sh/hpa-ownership";

/// The one that scales its workload or has its HPA already. The HPA of another ScaledObject needs no line of its own.
pub(super) fn conflict(object: &ScaledObject, around: &Surroundings) -> Option<String> {
    managed(object, around).or_else(|| foreign_hpa(object, around))
}

fn managed(object: &ScaledObject, around: &Surroundings) -> Option<String> {
    let target = Target::of(object);
    let (workload, hpa) = (&object.spec.scale_target_ref.name, hpa_name(object));
    let others = || {
        around.others.iter().filter(|o| {
            o.metadata.name != object.metadata.name && o.metadata.deletion_timestamp.is_none()
        })
    };
    let same_target = others().find(|other| {
        other.spec.scale_target_ref.name == *workload && Target::of(other).is(&target)
    });
    if let Some(other) = same_target {
        let name = other.name_any();
        return Some(format!(
            "the workload '{workload}' of type '{target}' is already managed by the ScaledObject '{name}'"
        ));
    }
    let name = others().find(|other| hpa_name(other) == hpa)?.name_any();
    Some(format!(
        "the HPA '{hpa}' is already managed by the ScaledObject '{name}'"
    ))
}

fn foreign_hpa(object: &ScaledObject, around: &Surroundings) -> Option<String> {
    let target = Target::of(object);
    let workload = &object.spec.scale_target_ref.name;
    let transfer = object.annotations().get(TRANSFER).map(String::as_str) == Some("true");
    let foreign = around.hpas.iter().find(|hpa| {
        let reference = hpa.spec.as_ref().map(|s| &s.scale_target_ref);
        reference.is_some_and(|r| {
            let referred = ScaleTarget {
                api_version: r.api_version.clone(),
                kind: Some(r.kind.clone()),
                ..ScaleTarget::default()
            };
            r.name == *workload && Target::named(&referred).is(&target)
        }) && hpa.annotations().get(OWNERSHIP).map(String::as_str) != Some("false")
            && hpa.metadata.deletion_timestamp.is_none()
            && !is_own(object, hpa)
            && !(transfer && hpa.name_any() == hpa_name(object))
    });
    let hpa = foreign?.name_any();
    Some(if transfer {
        format!(
            "the existing hpa '{hpa}' for workload '{workload}' of type '{target}' must be specified by name in advanced settings to enable ownership transfer"
        )
    } else {
        format!(
            "the workload '{workload}' of type '{target}' is already managed by the hpa '{hpa}'"
        )
    })
}

/// Whether an HPA is this object's, or left by one of its name.
fn is_own(object: &ScaledObject, hpa: &HorizontalPodAutoscaler) -> bool {
    let whose = ownership(object, hpa);
    matches!(whose, Ownership::Ours | Ownership::Going | Ownership::Left)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn object(spec: &Value) -> ScaledObject {
        let mut object = json!({
            "metadata": {"name": "so", "namespace": "shop"},
            "spec": {"scaleTargetRef": {"name": "app"}, "triggers": []},
        });
        for (key, value) in spec.as_object().into_iter().flatten() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn hpa(metadata: &Value) -> Surroundings {
        let hpa = json!({
            "metadata": metadata,
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "app"}, "maxReplicas": 3},
        });
        Surroundings {
            hpas: vec![Arc::new(serde_json::from_value(hpa).unwrap())],
            ..Surroundings::default()
        }
    }

    #[test]
    fn an_hpa_that_is_its_own_named_for_transfer_or_going_is_nobody_else_s() {
        let mine = json!({"advanced": {"horizontalPodAutoscalerConfig": {"name": "theirs"}}});
        let mut transfer = object(&mine);
        let annotation = (TRANSFER.to_owned(), "true".to_owned());
        transfer.metadata.annotations = Some([annotation].into());
        let theirs = hpa(&json!({"name": "theirs"}));
        assert_eq!(conflict(&transfer, &theirs), None);
        assert!(conflict(&object(&mine), &theirs).is_some());

        let owner = json!([{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "so", "uid": "u"}]);
        let keda = json!({"app.kubernetes.io/managed-by": "keda-operator"});
        for metadata in [
            json!({"name": "old", "ownerReferences": owner}),
            json!({"name": "keda-hpa-so", "labels": keda}),
            // A report from outside (R21): a Helm release's labels lie over KEDA's.
            json!({"name": "keda-hpa-so", "labels": {"app.kubernetes.io/managed-by": "Helm", "scaledobject.keda.sh/name": "so"}}),
            json!({"name": "keda-hpa-so", "labels": {
                "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": "so", "app.kubernetes.io/name": "keda-hpa-so",
            }}),
            json!({"name": "old", "deletionTimestamp": "2026-01-01T00:00:00Z"}),
        ] {
            let around = hpa(&metadata);
            assert_eq!(conflict(&object(&json!({})), &around), None, "{metadata}");
        }
        for other in [
            json!({"name": "keda-hpa-other", "labels": keda}),
            json!({"name": "keda-hpa-so", "labels": {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": "so"}}),
            json!({"name": "keda-hpa-so", "labels": {"scaledobject.keda.sh/name": "another"}}),
        ] {
            let around = hpa(&other);
            assert!(conflict(&object(&json!({})), &around).is_some(), "{other}");
        }
    }

    #[test]
    fn two_objects_never_share_an_hpa_and_one_that_goes_holds_nothing() {
        let mut around = Surroundings::default();
        let named = json!({
            "scaleTargetRef": {"name": "elsewhere"},
            "advanced": {"horizontalPodAutoscalerConfig": {"name": "keda-hpa-so"}},
        });
        let mut other = object(&named);
        other.metadata.name = Some("other".into());
        around.others.push(Arc::new(other.clone()));
        let said = conflict(&object(&json!({})), &around).unwrap();
        assert_eq!(
            said,
            "the HPA 'keda-hpa-so' is already managed by the ScaledObject 'other'"
        );
        other.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        around.others = vec![Arc::new(other)];
        assert_eq!(conflict(&object(&json!({})), &around), None);
    }
}
