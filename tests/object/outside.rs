//! Objects that people wrote elsewhere (tests/cases/outside, hosts and names replaced): what is said of each at apply, and what
//! comes of the reports behind them. tests/README.md has the list of reports with the test of each.

use std::{collections::BTreeMap, fs, path::Path};

use fixture::Bench;
use lagscale::{
    resources::ScaledObject,
    scaling::{Activity, Plan, wanted},
    server::webhooks::{Hook, Request, Subject, Surroundings, Verdict},
    triggers::{self, Parameters, Sources, Trigger},
};
use serde_json::{Value, json};

/// The ScaledObject of a file.
fn object(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/outside");
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let found = objects.into_iter().find(|o| o["kind"] == "ScaledObject");
    found.unwrap()
}

fn verdict(object: &Value) -> Verdict {
    let request = json!({"uid": "u", "operation": "CREATE", "namespace": "shop", "object": object});
    let review =
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
    let review = review.to_string();
    let request = Request::parse(review.as_bytes()).unwrap();
    Subject::of(Hook::ScaledObject, &request).verdict(&Surroundings::default())
}

/// Words of each warning, or of a refusal.
type Expected = Result<&'static [&'static str], &'static [&'static str]>;

/// By file.
const VERDICTS: [(&str, Expected); 24] = [
    ("01.yaml", Ok(&[])),
    ("03.yaml", Ok(&[])),
    ("04.yaml", Ok(&[])),
    ("05.yaml", Err(&["spec.idleReplicaCount: Invalid value: 1"])),
    ("06.yaml", Ok(&[])),
    ("06b.yaml", Ok(&[])),
    (
        "07.yaml",
        Ok(&[
            "PollingInterval is configured",
            "lagThresold in scaler kafka: did you mean lagThreshold?",
            "limitToPartitionWithLag in scaler kafka: did you mean limitToPartitionsWithLag?",
            "offsetRestPolicy in scaler kafka: did you mean offsetResetPolicy?",
        ]),
    ),
    ("08.yaml", Err(&["`{{ .KAFKA_BROKERS }}` has no port"])),
    ("09.yaml", Ok(&["CooldownPeriod is configured"])),
    (
        "10.yaml",
        Ok(&[
            "ca in scaler kafka (kafka): it is read from the TriggerAuthentication only",
            "cert in scaler kafka (kafka): it is read from the TriggerAuthentication only",
        ]),
    ),
    ("11.yaml", Ok(&[])),
    ("12.yaml", Ok(&["CooldownPeriod is configured"])),
    (
        "13.yaml",
        Err(&[
            "unknown metric type: , allowed values are 'Utilization' or 'AverageValue'",
            "(trigger 1, type cpu)",
        ]),
    ),
    (
        "14.yaml",
        Err(&[
            "missing required parameter \"bootstrapServers\"",
            "brokerList in scaler kafka: did you mean bootstrapServers?",
        ]),
    ),
    ("15.yaml", Ok(&[])),
    ("16.yaml", Ok(&[])),
    ("17.yaml", Ok(&[])),
    ("18.yaml", Err(&["write it without SASL_SSL://"])),
    ("19.yaml", Ok(&[])),
    ("20.yaml", Err(&["desiredReplicas"])),
    (
        "23.yaml",
        Ok(&["write orders-.* for every topic that begins with orders-"]),
    ),
    ("24.yaml", Err(&["must be no more than 63 characters"])),
    ("25.yaml", Ok(&[])),
    ("26.yaml", Ok(&[])),
];

#[test]
fn each_object_is_let_in_warned_of_or_refused_with_the_reason() {
    let mut wrong = Vec::new();
    for (file, expected) in VERDICTS {
        let found = verdict(&object(file));
        let good = match (&found, expected) {
            (Ok(warnings), Ok(texts)) => {
                let each = warnings.iter().zip(texts);
                warnings.len() == texts.len() && each.into_iter().all(|(w, t)| w.contains(t))
            }
            (Err(error), Err(texts)) => texts.iter().all(|t| error.contains(t)),
            _ => false,
        };
        if !good {
            wrong.push(format!("{file}: expected {expected:?}, found {found:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// R30: a formula over lines with if, else and lists; cpu stays a metric that the HPA reads by itself.
#[test]
fn a_formula_over_several_lines_is_read() {
    let written: ScaledObject = serde_json::from_value(object("12.yaml")).unwrap();
    let plan = Plan::new(written.into(), Vec::new());
    let formula = plan.modifiers.as_ref().map(|m| {
        let values = |cron: f64| {
            let crons = [
                "cron_trigger",
                "cron_trigger_morning",
                "cron_trigger_morning1",
            ];
            let mut values: BTreeMap<_, _> =
                crons.iter().map(|c| ((*c).into(), Some(0.0))).collect();
            values.insert("cron_trigger".into(), Some(cron));
            values.insert("kafka_trigger".into(), Some(12.0));
            values
        };
        (
            m.formula.evaluate(&values(0.0)),
            m.formula.evaluate(&values(10.0)),
        )
    });
    assert_eq!(formula, Some((Ok(12.0), Ok(10.0))));
    let hpa = wanted(&plan, 5).unwrap();
    assert_eq!(
        json!(hpa.spec)["metrics"][0]["external"]["metric"]["name"],
        "composite-metric"
    );
}

/// R31: what a fallback stands for does not depend on the pods there are, so nothing swings.
#[test]
fn a_fallback_of_a_total_asks_for_the_same_replicas_whatever_there_are() {
    let fallback = json!({"fallback": {"failureThreshold": 1, "replicas": 12}});
    for ready in [3, 6, 12] {
        let mut bench = Bench::of(&fallback, &json!({}), "Value");
        bench.read(&[(0, 1)]);
        bench.evaluate();
        bench.ready = Some(ready);
        for _ in 0..3 {
            bench.after(30);
            bench.evaluate();
        }
        let served = bench.evaluate().metrics[0].fallback.unwrap();
        // The HPA multiplies the ratio of a total by the pods that are ready.
        assert_eq!(
            served * i64::from(ready) / (5 * 1_000),
            12,
            "{ready} are ready"
        );
    }
    let mut none = Bench::of(&fallback, &json!({}), "Value");
    none.read(&[(0, 1)]);
    for _ in 0..3 {
        none.after(30);
        none.evaluate();
    }
    assert_eq!(
        none.evaluate().metrics[0].fallback,
        None,
        "no pod is ready to divide by"
    );
}

/// R25: a leader that is gone for days: what was known last holds, and the condition says what is missing.
#[test]
fn a_partition_without_a_leader_holds_the_replicas_however_long_that_lasts() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 10_000); 12]);
    bench.follow();
    let before = bench.served().unwrap();
    for hour in 1..=72 {
        bench.after(3_600);
        let drained = [(10_000, 10_000); 12];
        let stale = bench.snapshot.as_ref().unwrap().groups["g"]
            .topics
            .get("t")
            .unwrap()[&0]
            .clone();
        bench.read(&drained);
        bench.change(0, |slot| *slot = stale);
        bench.trouble(0, "topic t partition 0: it has no leader at the moment");
        let evaluation = bench.evaluate();
        let metric = &evaluation.metrics[0];
        assert!(
            metric.value.as_ref().unwrap().served_milli >= before.min(10_000) * 1000,
            "hour {hour}"
        );
        assert!(metric.partial.as_ref().unwrap().text.contains("no leader"));
        assert_ne!(Activity::of(&bench.plan, &evaluation), Activity::Idle);
    }
    let told = bench.explain(100);
    assert_eq!(told.triggers[0].incomplete_seconds, Some(72 * 3_600));
    let sentence = &told.because[0];
    assert!(
        sentence
            .contains("for 72h a part could not be read (topic t partition 0: it has no leader"),
        "{sentence}"
    );
}

/// R45: one consumer for each partition with a lag; the larger of three triggers is the HPA's affair.
#[test]
fn a_limit_to_partitions_with_lag_leaves_the_maximum_alone() {
    let metadata = json!({"limitToPartitionsWithLag": "true", "lagThreshold": "500", "activationLagThreshold": "10"});
    let mut bench = Bench::with(
        &json!({"minReplicaCount": 2, "maxReplicaCount": 48}),
        &metadata,
    );
    let mut pairs = [(0, 0); 48];
    for (lagging, served) in [(0, 0), (3, 1_500)] {
        for pair in pairs.iter_mut().take(lagging) {
            *pair = (0, 100_000);
        }
        bench.read(&pairs);
        bench.follow();
        bench.after(5);
        bench.read(&pairs);
        assert_eq!(bench.served(), Ok(served), "{lagging} partitions lag");
        assert_eq!(bench.evaluate().max, 48);
    }
}

/// R17, R24 and R44: names go into metrics as KEDA writes them.
#[test]
fn metrics_have_the_names_that_keda_gives_them() {
    for (file, index, name) in [
        ("17.yaml", 0, "s0-kafka-$Default-topics"),
        (
            "15.yaml",
            1,
            "s1-kafka-word-count-KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition",
        ),
        ("26.yaml", 0, "s0-kafka-debit"),
    ] {
        let written = &object(file)["spec"]["triggers"][index]["metadata"];
        let metadata: BTreeMap<String, String> = serde_json::from_value(written.clone()).unwrap();
        let none = Parameters::new();
        let sources = Sources {
            metadata: &metadata,
            environment: &none,
            parameters: &none,
        };
        let Ok(Trigger::Kafka(kafka, _)) = triggers::parse("kafka", sources, "") else {
            panic!("{file}");
        };
        assert_eq!(kafka.metric_name(index), name);
    }
}
