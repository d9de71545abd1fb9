//! Faults that were found in the pure core, each as what is right. Time only moves when told.

use std::{sync::Arc, time::Duration};

use fixture::{Bench, live, ready};
use lagscale::{
    kafka::topics::{TopicPattern, Topics},
    lag::{Reading, Track},
    scaling::{Activity, Live, Move, floor, keeps_awake, next_move},
    snapshot::{Listed, Slot, Taken, TopicSnapshot, Trouble},
    triggers::Kafka,
};
use serde_json::json;

/// One turn of the engine: the activity of the last poll, the clock of now.
fn turn(bench: &mut Bench, replicas: i32, last: &mut Option<jiff::Timestamp>) -> Move {
    let evaluation = bench.evaluate();
    let (activity, polled) = bench.memory.activity(&bench.plan, &evaluation, bench.now);
    if keeps_awake(&bench.plan, &activity, &evaluation) {
        *last = Some(polled.wall);
    }
    next_move(&bench.plan, &activity, replicas, *last, bench.now.wall)
}

/// Lag that comes at any second of a cool-down and is read at once, whole or in part, for every polling interval.
#[test]
fn nothing_is_put_to_sleep_beside_a_lag_that_is_known() {
    for (polling, cooldown) in [(5, 60), (30, 300), (30, 45), (600, 700)] {
        for before_the_end in [1, 7, 20, polling, polling + 1] {
            for partial in [false, true] {
                let spec = json!({"minReplicaCount": 0, "pollingInterval": polling, "cooldownPeriod": cooldown});
                let mut bench = Bench::new(&spec);
                let mut last = None;
                bench.read(&[(0, 10), (0, 0)]);
                assert_eq!(turn(&mut bench, 1, &mut last), Move::Stay);
                let comes = cooldown - before_the_end;
                let mut passed = 0;
                while passed < cooldown + 2 * polling {
                    // The beat comes each second and a little, as tokio's interval with the time of a turn.
                    bench.now = bench.now.later(Duration::from_millis(1_020));
                    passed += 1;
                    let end = if passed < comes { 10 } else { 5_010 };
                    bench.read(&[(10, end), (0, 0)]);
                    if partial {
                        bench.trouble(1, "its leader has not answered yet");
                    }
                    let step = turn(&mut bench, 1, &mut last);
                    assert!(
                        passed < comes || !matches!(step, Move::Sleep(_)),
                        "polled every {polling} s, lag since {comes} s, at {passed} s: {step:?} beside {:?}",
                        bench.served()
                    );
                }
            }
        }
    }
}

#[test]
fn a_workload_that_is_asleep_is_woken_at_the_next_poll_and_says_so_meanwhile() {
    let mut bench = Bench::new(&json!({"minReplicaCount": 0, "pollingInterval": 60}));
    let mut last = None;
    bench.read(&[(10, 10)]);
    assert_eq!(turn(&mut bench, 0, &mut last), Move::Stay);
    bench.after(30);
    bench.read(&[(10, 20)]);
    let evaluation = bench.evaluate();
    let (activity, _) = bench.memory.activity(&bench.plan, &evaluation, bench.now);
    assert_eq!(activity, Activity::Stirring);
    assert_eq!(turn(&mut bench, 0, &mut last), Move::Stay);
    bench.after(30);
    bench.read(&[(10, 20)]);
    let woken = Move::Wake(1, vec!["s0-kafka-t".into()]);
    assert_eq!(turn(&mut bench, 0, &mut last), woken);
}

fn kafka(bench: &mut Bench) -> &mut Kafka {
    let source = bench.plan.triggers[0].kafka_mut().unwrap();
    Arc::make_mut(&mut source.kafka)
}

/// The trigger of `bench` reads by pattern, and these topics are on the list.
fn by_pattern(bench: &mut Bench, listed: &[&str]) {
    let pattern = TopicPattern::parse("t.*").unwrap();
    kafka(bench).topics = Topics {
        names: Arc::default(),
        patterns: [pattern.clone()].into(),
    };
    let snapshot = bench.snapshot.as_mut().unwrap();
    snapshot.listing = Listed::Whole(Arc::new([pattern.clone()].into()));
    let listed = listed.iter().map(|t| (*t).into()).collect();
    snapshot.listed = Arc::new(Taken::new(&listed, &[pattern].into()));
}

/// It may not exist, or be internal, or be refused.
#[test]
fn what_another_object_names_is_no_part_of_a_pattern() {
    let mut bench = Bench::new(&json!({"minReplicaCount": 0}));
    bench.read(&[(0, 6), (0, 6)]);
    by_pattern(&mut bench, &["t"]);
    assert_eq!(bench.served(), Ok(10));
    let typo = TopicSnapshot {
        trouble: Some(Trouble::passing("topic typo does not exist")),
        ..TopicSnapshot::default()
    };
    let snapshot = bench.snapshot.as_mut().unwrap();
    snapshot.topics.insert("typo".into(), typo);
    snapshot.topics.insert(
        "t_internal".into(),
        snapshot.topics.get("t").unwrap().clone(),
    );
    bench.after(5);
    let evaluation = bench.evaluate();
    assert_eq!(evaluation.metrics[0].partial, None);
    assert_eq!(evaluation.max, 2);
}

/// A list, or a description, that lacks something is confirmed by another before it counts.
#[test]
fn what_is_missing_for_the_first_time_is_no_lag_of_0() {
    let mut bench = Bench::new(&json!({"minReplicaCount": 0}));
    bench.read(&[(10, 10)]);
    by_pattern(&mut bench, &["t", "t2"]);
    let now = bench.now;
    let snapshot = bench.snapshot.as_mut().unwrap();
    let second = snapshot.topics.get("t").unwrap().clone();
    snapshot.topics.insert("t2".into(), second);
    let mut group = (*snapshot.groups["g"]).clone();
    let mut slots = group.topics.get("t").unwrap().clone();
    slots.get_mut(&0).unwrap().track = Some(Track::begin(Reading {
        committed: Some(10),
        end: 100,
        start: Some(0),
        topic_id: None,
        stable: None,
        leader_epoch: None,
        at: now,
    }));
    group.topics.insert("t2".into(), slots);
    snapshot.groups.insert("g".into(), group.into());
    assert_eq!(bench.evaluate().metrics[0].value.as_ref().unwrap().lag, 90);
    for (description, activity) in [(1, Activity::Unknown), (2, Activity::Idle)] {
        bench.after(5);
        bench.read(&[(10, 10)]);
        by_pattern(&mut bench, &["t"]);
        let evaluation = bench.evaluate();
        // The last complete value is above the threshold, which is as good as unknown: it is not put to sleep.
        let found = match Activity::of(&bench.plan, &evaluation) {
            Activity::Active(_) => Activity::Unknown,
            other => other,
        };
        assert_eq!(found, activity, "description {description} without t2");
    }
}

#[test]
fn what_is_being_read_for_the_first_time_is_no_failure() {
    for threshold in [0, 1] {
        let fallback = json!({"fallback": {"failureThreshold": threshold, "replicas": 50}});
        let mut bench = Bench::new(&fallback);
        bench.read(&[(0, 1), (0, 1)]);
        // The second leader takes its time: nothing is wrong with it.
        bench.change(1, |slot| *slot = Slot::default());
        let evaluation = bench.evaluate();
        assert!(!evaluation.answered, "nothing is said yet");
        let metric = &evaluation.metrics[0];
        assert_eq!((metric.fallback, metric.failures), (None, Some(0)));
        // It has not answered: that is one.
        bench.trouble(1, "its leader has not answered yet");
        let metric = &bench.evaluate().metrics[0];
        assert_eq!(metric.failures, Some(1));
        assert_eq!(metric.fallback.is_some(), threshold == 0);
    }
}

/// KEDA cuts the even value at the partitions with a lag.
#[test]
fn an_even_distribution_is_limited_to_the_partitions_with_lag() {
    for (with_lag, even, limited) in [(1, 50, 5), (2, 50, 10), (3, 50, 15), (10, 50, 50)] {
        let mut pairs = [(0, 0); 10];
        for pair in pairs.iter_mut().take(with_lag) {
            *pair = (0, 1_000);
        }
        for (limit, expected) in [(false, even), (true, limited)] {
            let mut bench = Bench::new(&json!({}));
            let kafka = kafka(&mut bench);
            (kafka.even, kafka.limit_to_partitions_with_lag) = (true, limit);
            bench.read(&pairs);
            assert_eq!(
                bench.served(),
                Ok(expected),
                "{with_lag} with a lag, limited {limit}"
            );
        }
    }
}

/// Thresholds, lags and tolerances up to the largest numbers there are.
#[test]
fn no_number_is_too_large_for_an_explanation() {
    let largest = i64::MAX.to_string();
    for threshold in ["1", "5", &largest] {
        for replicas in [1, 3, i32::MAX] {
            for tolerance_milli in [0, 100, i64::MAX] {
                let mut bench = Bench::with(
                    &json!({"minReplicaCount": 0}),
                    &json!({"lagThreshold": threshold}),
                );
                bench.read(&[(0, i64::MAX); 5]);
                bench.live = Some(Live {
                    tolerance_milli: Some(tolerance_milli),
                    ..live(5)
                });
                bench.replicas = Some(replicas);
                let told = bench.explain(tolerance_milli);
                assert!(!told.would_change.is_empty());
                for sentence in told.would_change {
                    assert!(
                        !sentence.contains('-'),
                        "{threshold} {replicas}: {sentence}"
                    );
                }
            }
        }
    }
}

/// A typo in `consumerGroup` scales with production, so the condition has to say why.
#[test]
fn a_group_without_a_commit_is_told() {
    let mut bench = Bench::new(&json!({}));
    bench.read(&[(0, 10), (0, 10)]);
    assert!(!ready(&mut bench).message.contains("no commit"));
    for id in [0, 1] {
        bench.change(id, |slot| {
            let track = slot.track.as_mut().unwrap();
            track.committed = None;
        });
        let told = ready(&mut bench)
            .message
            .contains("group g has no commit on topic t");
        assert_eq!(
            told,
            id == 1,
            "while one partition has a commit it is a group of the topic"
        );
    }
}

/// KEDA's known flapping: the HPA goes up to its minimum, and the next poll down to the idle count again.
#[test]
fn an_idle_count_above_0_is_held_by_the_hpa() {
    let mut bench =
        Bench::new(&json!({"minReplicaCount": 2, "idleReplicaCount": 1, "cooldownPeriod": 10}));
    let mut last = None;
    let mut replicas = 2;
    let mut minimum = None;
    let mut moves = Vec::new();
    for second in 0..120 {
        bench.after(1);
        let end = if (40..60).contains(&second) { 20 } else { 10 };
        bench.read(&[(10, end)]);
        let step = turn(&mut bench, replicas, &mut last);
        let evaluation = bench.evaluate();
        let (activity, _) = bench.memory.activity(&bench.plan, &evaluation, bench.now);
        let floor = floor(&bench.plan, &activity, &step, replicas, minimum);
        minimum = Some(floor);
        if let Some(to) = step.to() {
            moves.push((second, to));
            replicas = to;
        }
        // The HPA at its sync.
        if second % 15 == 0 {
            replicas = replicas.max(floor);
        }
    }
    let to: Vec<_> = moves.iter().map(|(_, to)| *to).collect();
    assert_eq!(to, [1, 2, 1], "{moves:?}");
}
