//! Rows in prose about the HPA of an object; on the bed tests/e2e/objects.rs shows the same with a real one.

use fixture::{Bench, ready};
use lagscale::scaling::{Pause, Plan, difference, hpa_name, wanted};
use serde_json::{Value, json};

use crate::{Outcome, Row};

/// Whether there is code for a row.
pub fn is_bound(row: &Row) -> bool {
    let id = row["id"].as_str().and_then(|id| id.strip_prefix("h-"));
    id.and_then(|n| n.parse().ok()).is_some_and(|n: u8| n <= 10)
}

pub fn hpa_object(row: &Row) -> Outcome {
    // Prose, too.
    let _ = row["expect"].as_str();
    match row["id"].as_str().unwrap_or_default() {
        "h-0" => removed(),
        "h-1" => without_metrics(),
        "h-2" | "h-3" => named(),
        "h-4" => bounds(),
        "h-5" => annotations(),
        "h-6" => paused("paused-scale-in", "scaleDown"),
        "h-7" => paused("paused-scale-out", "scaleUp"),
        "h-8" => restored(),
        "h-10" => whole_pause(),
        other => Err(format!("no code for {other}")),
    }
}

fn spec(bench: &Bench) -> Value {
    json!(wanted(&bench.plan, 5).map(|h| h.spec))
}

fn equal(found: &Value, wanted: &Value) -> Outcome {
    if found == wanted {
        Ok(())
    } else {
        Err(format!("expected {wanted}, found {found}"))
    }
}

fn removed() -> Outcome {
    let mut two = Bench::new(&json!({}));
    two.plan.triggers.push(two.plan.triggers[0].clone());
    let live = wanted(&two.plan, 5).unwrap();
    two.plan.triggers.pop();
    let next = difference(&live, &wanted(&two.plan, 5).unwrap()).ok_or("nothing is written")?;
    equal(&json!(next.spec), &spec(&two))
}

fn without_metrics() -> Outcome {
    let mut bench = Bench::new(&json!({}));
    bench.plan.triggers[0].source = Err("no metric".into());
    if wanted(&bench.plan, 5).is_some() {
        return Err("an HPA without a metric".into());
    }
    let said = ready(&mut bench);
    equal(
        &json!([said.status, said.reason]),
        &json!(["False", "ScaledObjectCheckFailed"]),
    )
}

fn named() -> Outcome {
    let own = json!({"advanced": {"horizontalPodAutoscalerConfig": {"name": "mine"}}});
    let bench = Bench::new(&own);
    let made = wanted(&bench.plan, 5).and_then(|h| h.metadata.name);
    let default = hpa_name(&Bench::new(&json!({})).plan.object);
    equal(&json!([made, default]), &json!(["mine", "keda-hpa-app"]))
}

fn bounds() -> Outcome {
    let bench =
        Bench::new(&json!({"idleReplicaCount": 1, "minReplicaCount": 5, "maxReplicaCount": 10}));
    let hpa = json!(wanted(&bench.plan, bench.plan.max));
    let found = json!([hpa["spec"]["minReplicas"], hpa["spec"]["maxReplicas"]]);
    equal(&found, &json!([5, 10]))
}

fn annotated(annotations: &Value, spec: &Value) -> Bench {
    let mut bench = Bench::new(spec);
    let mut object = (*bench.plan.object).clone();
    object.metadata.annotations = serde_json::from_value(annotations.clone()).unwrap();
    bench.plan = Plan::new(object.into(), bench.plan.triggers.clone());
    bench
}

fn annotations() -> Outcome {
    let own = json!({"example.com/team": "shop"});
    let hpa = wanted(&annotated(&own, &json!({})).plan, 5).unwrap();
    equal(&json!(hpa.metadata.annotations), &own)
}

fn paused(annotation: &str, direction: &str) -> Outcome {
    let annotation = json!({format!("autoscaling.keda.sh/{annotation}"): "true"});
    let policy = |bench: &Bench| spec(bench)["behavior"][direction]["selectPolicy"].clone();
    let with = |policy: &str| {
        let behavior = json!({direction: {"selectPolicy": policy}});
        json!({"advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}}})
    };
    equal(
        &policy(&annotated(&annotation, &with("Min"))),
        &"Disabled".into(),
    )?;
    equal(&policy(&annotated(&json!({}), &with("Min"))), &"Min".into())?;
    equal(
        &spec(&annotated(&json!({}), &json!({})))["behavior"],
        &Value::Null,
    )
}

fn restored() -> Outcome {
    let own = annotated(&json!({"example.com/team": "shop"}), &json!({}));
    let asked = wanted(&own.plan, 5).unwrap();
    for edit in ["spec", "label", "annotation"] {
        let mut live = asked.clone();
        match edit {
            "spec" => live.spec.as_mut().unwrap().max_replicas = 77,
            "label" => {
                let labels = live.metadata.labels.as_mut().unwrap();
                labels.insert("app.kubernetes.io/part-of".into(), "other".into());
            }
            _ => live.metadata.annotations = None,
        }
        let next =
            difference(&live, &asked).ok_or_else(|| format!("{edit}: nothing is written"))?;
        equal(&json!(next), &json!(asked))?;
    }
    match difference(&asked, &asked) {
        None => Ok(()),
        Some(write) => Err(format!("written without need: {write:?}")),
    }
}

fn whole_pause() -> Outcome {
    for (value, whole) in [("true", true), ("false", false)] {
        let annotation = json!({"autoscaling.keda.sh/paused": value});
        let bench = annotated(&annotation, &json!({}));
        let found = Pause::of(bench.plan.object.metadata.annotations.as_ref().unwrap())?.whole;
        equal(&json!(found), &json!(whole))?;
    }
    Ok(())
}

/// Ready follows what is read, without anybody being told that it changed.
pub fn recovers() -> Outcome {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 1)]);
    bench.evaluate();
    bench.after(60);
    let broken = ready(&mut bench).status;
    bench.read(&[(0, 1)]);
    equal(
        &json!([broken, ready(&mut bench).status]),
        &json!(["False", "True"]),
    )
}
