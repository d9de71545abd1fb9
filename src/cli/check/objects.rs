//! Checks of the objects: ScaledObjects with Kafka behind them as their conditions tell it, and their HPAs.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{Client, api::ListParams};

use super::{Finding, full_name, list};
use crate::resources::{Condition, KAFKA_REACHABLE, LagMetric, ScaledObject, names};

/// Findings of one kind: more would hide the rest.
const MOST: usize = 20;

pub(super) async fn look(client: &Client) -> Vec<Finding> {
    let mut findings = scaled_objects(client).await;
    findings.extend(lag_metrics(client).await);
    findings.extend(hpas(client).await);
    findings
}

async fn scaled_objects(client: &Client) -> Vec<Finding> {
    let what = "ScaledObjects";
    let objects = match list::<ScaledObject>(client, what, &ListParams::default()).await {
        Ok(objects) => objects,
        Err(unseen) => return unseen,
    };
    let told = objects.iter().map(|o| {
        let conditions = o.status.as_ref().map(|s| s.conditions.as_slice());
        (full_name(o), conditions.unwrap_or_default())
    });
    of_conditions(what, told.collect())
}

async fn lag_metrics(client: &Client) -> Vec<Finding> {
    let what = "LagMetrics";
    let listed = list::<LagMetric>(client, what, &ListParams::default()).await;
    let Ok(objects) = listed else {
        // The CRD has its own line.
        return Vec::new();
    };
    let told = objects.iter().map(|o| {
        let conditions = o.status.as_ref().map(|s| s.conditions.as_slice());
        (full_name(o), conditions.unwrap_or_default())
    });
    of_conditions(what, told.collect())
}

/// Their conditions `Ready` and, in an outage, `KafkaReachable` have broker and cause: reachability, logins and ACLs are told there.
fn of_conditions(what: &str, told: Vec<(String, &[Condition])>) -> Vec<Finding> {
    let count = told.len();
    let ready = |conditions: &[Condition]| {
        let outage = |c: &&Condition| c.kind == KAFKA_REACHABLE && c.status == "False";
        let ready = || conditions.iter().find(|c| c.kind == "Ready");
        conditions.iter().find(outage).or_else(ready).cloned()
    };
    let bad = told
        .into_iter()
        .filter_map(|(name, conditions)| match ready(conditions) {
            Some(c) if c.status == "True" => None,
            Some(c) => Some((name, format!("{}: {}", c.reason, c.message))),
            None => Some((name, "nobody has looked at it yet".to_owned())),
        });
    let bad: Vec<_> = bad.collect();
    let good = count - bad.len();
    let mut findings = vec![Finding::ok(what, format!("{good} of {count} are ready"))];
    let more = bad.len().saturating_sub(MOST);
    findings.extend(bad.into_iter().take(MOST).map(|(name, why)| {
        let (namespace, object) = name.split_once('/').unwrap_or(("", &name));
        let fix = format!("lagscale explain -n {namespace} {object}; docs/troubleshooting.md");
        Finding::fail(format!("{what} {name}"), why, fix)
    }));
    if more > 0 {
        findings.push(Finding::fail(
            what,
            format!("{more} more are not ready"),
            "kubectl get scaledobjects -A",
        ));
    }
    findings
}

async fn hpas(client: &Client) -> Vec<Finding> {
    let what = "HPAs";
    let params = ListParams::default().labels(names::SCALED_OBJECT);
    let hpas = match list::<HorizontalPodAutoscaler>(client, what, &params).await {
        Ok(hpas) => hpas,
        Err(unseen) => return unseen,
    };
    let count = hpas.len();
    let bad = hpas.iter().filter_map(|hpa| {
        let conditions = hpa.status.as_ref()?.conditions.as_ref()?;
        let active = conditions.iter().find(|c| c.type_ == "ScalingActive")?;
        let reason = active.reason.as_deref().unwrap_or_default();
        let bad = active.status == "False" && reason != "ScalingDisabled";
        bad.then(|| (full_name(hpa), active.message.clone().unwrap_or_default()))
    });
    let bad: Vec<_> = bad.collect();
    let mut findings = vec![Finding::ok(
        what,
        format!("{} of {count} read their metrics", count - bad.len()),
    )];
    findings.extend(bad.into_iter().take(MOST).map(|(name, why)| {
        Finding::fail(
            format!("HPA {name}"),
            why,
            "the message names the metric; `lagscale explain` says why it is withheld",
        )
    }));
    findings
}
