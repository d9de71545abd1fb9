//! From readings to what an HPA sees and what a person reads, with time as an argument: no broker, no cluster.

use std::{collections::HashMap, sync::Arc};

use fixture::{Bench, SETTINGS, live, ready, told};
use lagscale::{
    scaling::{Activity, Move, Settings, next_move},
    snapshot::{Slot, Trouble},
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
        let snapshot = bench.snapshot.as_mut().unwrap();
        let mut group = (*snapshot.groups["g"]).clone();
        group.polled = false;
        snapshot.groups.insert("g".into(), group.into());
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
fn ready_says_what_a_person_has_to_change_and_an_outage_has_a_condition_of_its_own() {
    let settings = Settings {
        ready_follows_outages: false,
        ..SETTINGS
    };
    let missing = Trouble::missing("topic t does not exist");
    let refused = Trouble::configuration("login refused");
    let outage = Trouble::passing("kafka:9092: no answer");
    let cases = [
        (
            outage,
            ("True", "ScaledObjectReady"),
            ("False", "Unreachable"),
        ),
        (
            missing,
            ("False", "TriggerError"),
            ("Unknown", "Misconfigured"),
        ),
        (
            refused,
            ("False", "TriggerError"),
            ("Unknown", "Misconfigured"),
        ),
    ];
    for (trouble, ready, reachable) in cases {
        let mut bench = Bench::new(&json!({}));
        bench.read(&[(0, 1)]);
        bench.evaluate();
        bench.change(0, |slot| slot.trouble = Some(trouble.clone()));
        bench.after(60);
        let all = told(&mut bench, settings);
        let found = |kind: &str| {
            let found = all.iter().find(|c| c.kind == kind).unwrap();
            (found.status.clone(), found.reason.clone())
        };
        let owned = |(status, reason): (&str, &str)| (status.to_owned(), reason.to_owned());
        assert_eq!(found("Ready"), owned(ready), "{trouble:?}");
        assert_eq!(found("KafkaReachable"), owned(reachable), "{trouble:?}");
    }
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
    let source = bench.plan.triggers[0].kafka_mut().unwrap();
    Arc::make_mut(&mut source.kafka).topics.names = [Arc::from("other")].into();
    assert_eq!(bench.served(), Err("it has not been read yet".into()));
    assert_eq!(
        bench.evaluate().max,
        64,
        "the live one, until more is known"
    );
    let mut snapshot = bench.snapshot.clone().unwrap();
    let mut topic = snapshot.topics["t"].clone();
    topic.partitions = (0..5).collect();
    snapshot.topics = HashMap::from([("other".into(), topic)]);
    bench.snapshot = Some(snapshot);
    assert_eq!(
        bench.evaluate().max,
        5,
        "at once: there is nothing to agree with"
    );
}
