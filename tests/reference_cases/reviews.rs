//! Rows about what is refused or warned of at apply, as reviews that stand in the rows themselves.

use lagscale::{
    resources,
    server::webhooks::{Hook, Verdict},
};
use serde_json::{Value, json};

use crate::{
    Outcome, Row,
    webhook::{Review, kafka, object, resource},
};

/// Compares a verdict with the row's: `accept`, or a refusal with an error.
fn judged(verdict: &Verdict, expected: &Row) -> Outcome {
    let wanted = expected["err"].as_str();
    let good = match (verdict, wanted) {
        (Ok(_), None) => expected.as_str() == Some("accept"),
        (Err(found), Some(wanted)) => found.contains(wanted),
        _ => false,
    };
    if good {
        Ok(())
    } else {
        Err(format!("expected {wanted:?}, found {verdict:?}"))
    }
}

/// The review of an object with one trigger, named `lag`, that a row's spec is laid over.
fn warned(row: &Row) -> Verdict {
    let mut spec = row["spec"].clone();
    let mut trigger = kafka("lag");
    if let Some(cached) = spec
        .as_object_mut()
        .and_then(|s| s.remove("useCachedMetrics"))
    {
        trigger["useCachedMetrics"] = cached;
    }
    if spec["minReplicaCount"].is_null() {
        spec["minReplicaCount"] = json!(0);
    }
    spec["triggers"] = json!([trigger]);
    Review::of(&object("so", &spec)).verdict()
}

/// Warnings of settings without effect.
pub fn warnings(row: &Row) -> Outcome {
    let told = row["expect"]["events"].as_array().map_or(0, Vec::len);
    if told > 0 {
        return Err("no event tells of a warning".into());
    }
    warnings_only(row)
}

/// As [`warnings`], whatever events are expected.
pub fn warnings_only(row: &Row) -> Outcome {
    let expected = &row["expect"]["warnings"];
    let found = json!(warned(row)?);
    if *expected == found {
        Ok(())
    } else {
        Err(format!("expected {}, found {found}", **expected))
    }
}

/// Nothing is warned of.
pub fn silent(row: &Row) -> Outcome {
    match warned(row)? {
        none if none.is_empty() => Ok(()),
        some => Err(format!("{some:?}")),
    }
}

/// An idle count of 1 or more is refused.
pub fn idle_is_refused(row: &Row) -> Outcome {
    match warned(row) {
        Err(said) if said.contains("spec.idleReplicaCount: Invalid value: 1: must be 0") => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// Requests of the containers that cpu and memory triggers look at.
pub fn requests(row: &Row) -> Outcome {
    let triggers = row["triggers"].as_array().unwrap().iter().map(|asked| {
        let mut trigger = resource(asked["type"].as_str().unwrap(), "Utilization");
        if let Some(name) = asked["containerName"].as_str() {
            trigger["metadata"]["containerName"] = name.into();
        }
        trigger
    });
    let kind = row["kind"].as_str().unwrap_or("Deployment");
    let spec = json!({
        "scaleTargetRef": {"kind": kind, "name": "app"},
        "triggers": triggers.collect::<Vec<_>>(),
    });
    let pod = json!({"containers": *row["containers"], "resources": *row["podResources"]});
    let review = Review::of(&object("so", &spec)).on_pod(&pod, &json!([]));
    judged(&review.verdict(), &row["expect"])
}

/// Two objects of one workload or with one HPA.
pub fn conflicts(row: &Row) -> Outcome {
    let others = row["others"].as_array().into_iter().flatten();
    let review = Review::of(&among(&row["new"]));
    let review = others.fold(review, |review, other| review.beside(&among(other)));
    judged(&review.verdict(), &row["expect"])
}

/// An object as a row has it: name, `Kind/name` of its workload, and maybe the name of its HPA.
fn among(told: &Value) -> Value {
    let (kind, workload) = told["target"].as_str().unwrap().split_once('/').unwrap();
    let mut spec = json!({"scaleTargetRef": {"kind": kind, "name": workload}});
    if let Some(name) = told["hpaName"].as_str() {
        spec["advanced"] = json!({"horizontalPodAutoscalerConfig": {"name": name}});
    }
    object(told["name"].as_str().unwrap(), &spec)
}

/// Either kind of authentication.
pub fn authentication(row: &Row) -> Outcome {
    if row["stored"].is_string() && !resources::crds().unwrap().contains("azureServicePrincipal") {
        return Err("the CRDs drop azureServicePrincipal".into());
    }
    let hooks = [
        Hook::TriggerAuthentication,
        Hook::ClusterTriggerAuthentication,
    ];
    for hook in hooks {
        let verdict = Review::authentication(hook, &row["spec"]).verdict();
        judged(&verdict, &row["expect"])?;
    }
    Ok(())
}
