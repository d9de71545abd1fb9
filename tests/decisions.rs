//! From readings to what an HPA sees and what a person reads, with time as an argument: no broker, no cluster.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code without #[test]"
)]

mod bench;

use std::{collections::HashMap, sync::Arc};

use bench::{Bench, live, ready};
use lagscale::{
    poll::{Slot, Trouble},
    scaling::{Activity, Move, PlannedTrigger, Source, next_move},
    triggers::{self, Parameters, Sources, Trigger},
};
use serde_json::json;

#[test]
fn before_anything_is_read_there_is_no_value_and_no_hpa() {
    let mut bench = Bench::new(&json!({}));
    let evaluation = bench.evaluate();
    assert!(!evaluation.polled);
    assert_eq!(bench.served(), Err("it has not been read yet".into()));
}

#[test]
fn a_value_is_served_for_its_age_and_then_withheld_with_the_cause() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(1, 4), (2, 8)]);
    bench.follow();
    assert_eq!(bench.served(), Ok(9));
    bench.trouble(0, "kafka:9092: no answer");
    bench.trouble(1, "kafka:9092: no answer");
    bench.after(20);
    assert_eq!(bench.served(), Ok(9));
    bench.after(1);
    assert_eq!(bench.served(), Err("kafka:9092: no answer".into()));
}

#[test]
fn a_missing_part_never_scales_in_and_what_is_there_still_scales_out() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 6), (0, 6), (0, 0)]);
    bench.follow();
    assert_eq!(bench.served(), Ok(12));
    bench.after(5);
    bench.read(&[(6, 6), (0, 6), (0, 0)]);
    bench.trouble(1, "partition 1: no leader");
    assert_eq!(
        bench.served(),
        Ok(12),
        "6 is not the truth: partition 1 is not known"
    );
    assert!(bench.evaluate().metrics[0].partial.is_some());
    bench.after(5);
    bench.read(&[(0, 7), (0, 6), (0, 0)]);
    bench.trouble(1, "partition 1: no leader");
    assert_eq!(bench.served(), Ok(13));
    bench.after(5);
    bench.read(&[(6, 6), (6, 6), (0, 0)]);
    assert_eq!(bench.served(), Ok(0));
}

#[test]
fn what_others_ask_of_its_group_does_not_begin_an_object_s_poll_anew() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 0), (4, 4)]);
    let ask = |bench: &mut Bench| {
        let picture = bench.picture.as_mut().unwrap();
        let mut group = (*picture.groups["g"]).clone();
        group.polled = false;
        picture.groups.insert("g".into(), group.into());
    };
    ask(&mut bench);
    assert!(bench.evaluate().polled);
    bench.trouble(0, "no leader");
    assert!(bench.evaluate().polled, "why not is known");
    bench.change(0, |slot| *slot = Slot::default());
    assert!(!bench.evaluate().polled);
}

#[test]
fn an_unknown_bound_leaves_the_live_maximum_and_a_known_one_replaces_it() {
    let mut bench = Bench::new(&json!({"minReplicaCount": 2, "maxReplicaCount": 50}));
    assert_eq!(bench.evaluate().max, 50);
    for (found, kept) in [(100, 50), (20, 20), (1, 2)] {
        bench.live = Some(live(found));
        assert_eq!(bench.evaluate().max, kept);
    }
    bench.read(&[(0, 0); 5]);
    assert_eq!(bench.evaluate().max, 5);
}

#[test]
fn the_bound_rises_at_once_and_falls_when_two_reads_agree() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 0); 5]);
    assert_eq!(bench.evaluate().max, 5);
    bench.read(&[(0, 0); 8]);
    assert_eq!(bench.evaluate().max, 8);
    bench.read(&[(0, 0); 5]);
    assert_eq!(bench.evaluate().max, 8);
    bench.read(&[(0, 0); 5]);
    assert_eq!(bench.evaluate().max, 5);
}

#[test]
fn an_adopted_maximum_of_100_is_cut_at_the_partitions_until_the_wanted_one_has_been_live_for_an_interval()
 {
    let mut bench = Bench::new(&json!({}));
    bench.live = Some(live(100));
    bench.read(&[(0, 2000); 5]);
    assert_eq!(bench.served(), Ok(25));
    bench.live = Some(live(5));
    assert_eq!(bench.served(), Ok(25));
    bench.after(5);
    bench.read(&[(0, 2000); 5]);
    assert_eq!(bench.served(), Ok(10_000), "maxReplicas holds it now");
}

#[test]
fn a_lag_that_asks_for_the_last_consumer_is_lifted_over_the_tolerance_and_no_further() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 5); 12]);
    bench.follow();
    bench.evaluate();
    bench.after(5);
    bench.read(&[(0, 5); 12]);
    // 60 from 11 is a ratio of 1.09: the HPA would stay at 11.
    assert_eq!(bench.served(), Ok(61));
    assert_eq!(
        bench.evaluate().metrics[0].value.as_ref().unwrap().lag,
        60,
        "the true lag is known"
    );
    bench.live.as_mut().unwrap().tolerance_milli = Some(200);
    assert_eq!(bench.served(), Ok(67));
}

#[test]
fn a_person_reads_what_is_wrong_and_that_a_part_is_missing() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 1), (0, 0)]);
    let ready = |bench: &mut Bench| {
        let found = ready(bench);
        (found.status, found.reason, found.message)
    };
    assert_eq!(ready(&mut bench).0, "True");
    bench.after(5);
    bench.trouble(1, "kafka:9092: no answer");
    let (status, _, message) = ready(&mut bench);
    assert_eq!(status, "True");
    assert!(
        message.contains("partial") && message.contains("kafka:9092: no answer"),
        "{message}"
    );
    bench.trouble(0, "kafka:9092: no answer");
    bench.after(60);
    let (status, reason, message) = ready(&mut bench);
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "TriggerError")
    );
    assert!(
        message.ends_with("s0-kafka-t: kafka:9092: no answer"),
        "{message}"
    );
}

#[test]
fn a_person_reads_what_was_lost_though_the_number_is_right() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(30, 210)]);
    bench.change(0, |slot| slot.track.as_mut().unwrap().start = Some(80));
    let evaluation = bench.evaluate();
    assert_eq!(evaluation.metrics[0].value.as_ref().unwrap().lag, 130);
    let ready = ready(&mut bench);
    assert_eq!(ready.status, "True");
    let lost = "s0-kafka-t: topic t partition 0: the records from 30 to 79 were deleted before they were consumed";
    assert!(ready.message.ends_with(lost), "{}", ready.message);
}

#[test]
fn only_a_complete_reading_without_work_goes_to_nought_and_only_after_the_cool_down() {
    let mut bench = Bench::new(&json!({"minReplicaCount": 0, "cooldownPeriod": 30}));
    let step = |bench: &mut Bench, replicas: i32, active: Option<jiff::Timestamp>| {
        let evaluation = bench.evaluate();
        let activity = Activity::of(&bench.plan, &evaluation);
        next_move(&bench.plan, &activity, replicas, active, bench.now.wall)
    };
    assert_eq!(step(&mut bench, 3, None), Move::Stay, "nothing is known");
    bench.read(&[(0, 1), (4, 4)]);
    assert_eq!(
        step(&mut bench, 0, None),
        Move::Wake(1, vec!["s0-kafka-t".into()])
    );
    assert_eq!(step(&mut bench, 3, None), Move::Stay);
    let active = Some(bench.now.wall);
    bench.after(5);
    bench.read(&[(1, 1), (4, 4)]);
    assert_eq!(step(&mut bench, 3, active), Move::CoolDown);
    bench.after(30);
    bench.read(&[(1, 1), (4, 4)]);
    bench.trouble(1, "no leader");
    assert_eq!(
        step(&mut bench, 3, active),
        Move::Stay,
        "a part of the truth"
    );
    bench.read(&[(1, 1), (4, 4)]);
    assert_eq!(step(&mut bench, 3, active), Move::Sleep(0));
}

#[test]
fn a_part_that_could_be_read_wakes_a_workload_whose_value_is_still_withheld() {
    let mut bench = Bench::new(&json!({"minReplicaCount": 0}));
    bench.read(&[(0, 9), (0, 0)]);
    bench.change(1, |slot| {
        slot.track = None;
        slot.trouble = Some(Trouble::passing("no leader"));
    });
    assert_eq!(
        bench.served(),
        Err("no leader".into()),
        "the sum is not known"
    );
    let evaluation = bench.evaluate();
    let activity = Activity::of(&bench.plan, &evaluation);
    let step = next_move(&bench.plan, &activity, 0, None, bench.now.wall);
    assert_eq!(step, Move::Wake(1, vec!["s0-kafka-t".into()]));
}

#[test]
fn another_topic_in_a_trigger_s_place_inherits_nothing() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 100); 64]);
    bench.follow();
    assert_eq!(bench.evaluate().max, 64);
    let Ok(Source::Kafka { kafka, .. }) = &mut bench.plan.triggers[0].source else {
        panic!("a kafka trigger");
    };
    Arc::make_mut(kafka).topics.names = [Arc::from("other")].into();
    assert_eq!(bench.served(), Err("it has not been read yet".into()));
    assert_eq!(
        bench.evaluate().max,
        64,
        "the live one, until more is known"
    );
    let mut picture = bench.picture.clone().unwrap();
    let mut topic = picture.topics["t"].clone();
    topic.partitions = (0..5).collect();
    picture.topics = HashMap::from([("other".into(), topic)]);
    bench.picture = Some(picture);
    assert_eq!(
        bench.evaluate().max,
        5,
        "at once: there is nothing to agree with"
    );
}

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
            (clock.active, clock.value.as_ref().unwrap().served),
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
