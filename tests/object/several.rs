//! An object of several triggers: clocks, formulas, cached metrics, and what a missing part of one does to the whole.

use lagscale::{
    scaling::{Activity, PlannedTrigger, Source},
    triggers::{self, Parameters, Sources, Trigger},
};
use serde_json::json;

use fixture::Bench;

/// A cron trigger that is open, or closed, at any time but the turn of a year's quarter.
fn cron(open: bool, desired: &str) -> PlannedTrigger {
    let (never, always) = ("0 0 1 2 *", "* * * * *");
    let (start, end) = if open {
        (never, always)
    } else {
        (always, never)
    };
    let written = serde_json::from_value(json!({
        "type": "cron", "name": "clock",
        "metadata": {"timezone": "UTC", "start": start, "end": end, "desiredReplicas": desired},
    }));
    let written: lagscale::resources::Trigger = written.unwrap();
    let none = Parameters::new();
    let sources = Sources {
        metadata: &written.metadata,
        environment: &none,
        parameters: &none,
    };
    let Ok(Trigger::Cron(cron, metric_type)) = triggers::parse("cron", sources, "") else {
        panic!("a cron trigger");
    };
    let source = Source::Cron {
        metric: cron.metric_name(1).into(),
        cron: cron.into(),
        metric_type,
    };
    PlannedTrigger::new(&written, Ok(source))
}

fn formula(formula: &str, spec: &serde_json::Value) -> Bench {
    let mut whole = spec.clone();
    whole["advanced"] = json!({"scalingModifiers": {"formula": formula, "target": "2"}});
    whole["triggers"] = json!([
        {"type": "kafka", "name": "trigger", "metadata": {
            "bootstrapServers": "kafka:9092", "consumerGroup": "g", "topic": "t", "lagThreshold": "5",
        }},
        {"type": "cron", "name": "clock", "metadata": {}},
    ]);
    Bench::new(&whole)
}

#[test]
fn activity_is_looked_at_once_per_polling_interval_and_at_once_after_a_change() {
    let mut bench = Bench::new(&json!({"pollingInterval": 60, "minReplicaCount": 0}));
    let look = |bench: &mut Bench, committed: i64| {
        bench.read(&[(committed, 10)]);
        let evaluation = bench.evaluate();
        bench.memory.activity(&bench.plan, &evaluation, bench.now).0
    };
    assert_eq!(look(&mut bench, 10), Activity::Idle);
    bench.after(59);
    assert_eq!(look(&mut bench, 0), Activity::Stirring, "not polled yet");
    bench.after(1);
    let active = Activity::Active(vec!["s0-kafka-t".into()]);
    assert_eq!(look(&mut bench, 0), active);
    bench.after(1);
    assert_eq!(look(&mut bench, 10), active);
    let mut changed = (*bench.plan.object).clone();
    changed.metadata.generation = Some(2);
    bench.plan.object = changed.into();
    assert_eq!(look(&mut bench, 10), Activity::Idle);
}

#[test]
fn a_cached_metric_keeps_its_value_for_a_polling_interval_and_is_withheld_with_its_cluster() {
    let mut bench = Bench::new(&json!({"pollingInterval": 60}));
    bench.plan.triggers[0].cached = true;
    bench.read(&[(0, 3)]);
    assert_eq!(bench.served(), Ok(3));
    bench.after(59);
    bench.read(&[(0, 9)]);
    assert_eq!(bench.served(), Ok(3));
    bench.after(1);
    bench.read(&[(0, 9)]);
    assert_eq!(bench.served(), Ok(5), "cut at one partition");
    bench.after(21);
    assert!(bench.served().is_err());
}

#[test]
fn a_formula_sees_cut_values_and_none_of_a_trigger_that_can_t_be_read() {
    let mut bench = formula("trigger + clock * 2", &json!({}));
    bench.plan.triggers.push(cron(true, "4"));
    bench.read(&[(0, 8), (0, 8)]);
    let composite = |bench: &mut Bench| bench.evaluate().composite.unwrap();
    let (milli, _) = composite(&mut bench).value.unwrap();
    assert_eq!(
        milli,
        (10 + 4 * 2) * 1000,
        "16 of lag are cut at two partitions"
    );
    assert_eq!(
        bench.evaluate().max,
        100,
        "partitions say nothing of a formula"
    );
    bench.after(60);
    let withheld = composite(&mut bench);
    assert!(withheld.value.is_err() && !withheld.active);
    let evaluation = bench.evaluate();
    assert_eq!(Activity::of(&bench.plan, &evaluation), Activity::Unknown);
}

#[test]
fn a_formula_falls_back_to_replicas_or_deals_with_nil_itself() {
    for (behavior, text, milli) in [
        ("static", "trigger", 4 * 2 * 1000),
        ("scalingModifiers", "trigger ?? clock ?? 8", 3 * 1000),
        ("scalingModifiers", "trigger ?? 8", 8 * 1000),
    ] {
        let fallback = json!({"failureThreshold": 0, "replicas": 4, "behavior": behavior});
        let mut bench = formula(text, &json!({"fallback": fallback}));
        bench.plan.triggers.push(cron(true, "3"));
        bench.read(&[(0, 8)]);
        bench.evaluate();
        bench.after(60);
        let evaluation = bench.evaluate();
        let composite = evaluation.composite.as_ref().unwrap();
        assert_eq!(
            composite.value.as_ref().unwrap().0,
            milli,
            "{behavior}: {text}"
        );
        assert!(composite.active && evaluation.falls_back());
        assert!(!evaluation.fails());
    }
}

#[test]
fn beside_a_clock_the_bound_is_the_larger_of_partitions_and_desired_replicas() {
    for (open, desired, max, served) in [(true, "8", 8, 8), (true, "1", 2, 1), (false, "8", 8, 0)] {
        let mut bench = Bench::new(&json!({}));
        bench.plan.triggers.push(cron(open, desired));
        bench.read(&[(0, 1), (0, 1)]);
        let evaluation = bench.evaluate();
        assert_eq!(evaluation.max, max, "{open} {desired}");
        let clock = &evaluation.metrics[1];
        assert_eq!(
            (
                clock.active,
                clock.value.as_ref().unwrap().served_milli / 1000
            ),
            (open, served)
        );
    }
}

#[test]
fn a_formula_never_scales_in_on_a_part_of_the_truth() {
    let mut bench = formula("20 - trigger", &json!({}));
    bench.plan.triggers.push(cron(false, "1"));
    let composite = |bench: &mut Bench| bench.evaluate().composite.unwrap().value.unwrap().0;
    bench.read(&[(0, 2), (0, 2)]);
    assert_eq!(composite(&mut bench), 16_000);
    bench.after(5);
    bench.read(&[(0, 6), (0, 2)]);
    bench.trouble(1, "no leader");
    assert_eq!(
        composite(&mut bench),
        16_000,
        "12 may be less than the truth"
    );
    bench.after(5);
    bench.read(&[(0, 6), (0, 2)]);
    assert_eq!(composite(&mut bench), 12_000);
}
