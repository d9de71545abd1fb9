//! From zero replicas, with time as an argument: what wakes a workload in each situation of a partition, and what a status
//! remembers for whoever takes over while it sleeps.

use std::sync::Arc;

use fixture::{Bench, ready};
use lagscale::{
    lag::{Reading, Track},
    resources::ScaledObjectStatus,
    scaling::{Activity, Memory, Move, next_move, remember},
    snapshot::Snapshots,
};
use serde_json::json;

const ID: [u8; 16] = [7; 16];

fn asleep(policy: &str, zero: &str) -> Bench {
    let metadata = json!({"offsetResetPolicy": policy, "scaleToZeroOnInvalidOffset": zero});
    let mut bench = Bench::with(&json!({"minReplicaCount": 0}), &metadata);
    bench.read(&[(0, 0)]);
    bench
}

/// The reading of the one partition: commit, log start, log end.
fn reading(
    bench: &Bench,
    committed: Option<i64>,
    start: i64,
    end: i64,
    topic_id: [u8; 16],
) -> Reading {
    Reading {
        committed,
        end,
        start: Some(start),
        topic_id: Some(topic_id),
        stable: None,
        leader_epoch: None,
        at: bench.now,
    }
}

fn wakes(bench: &mut Bench) -> bool {
    let evaluation = bench.evaluate();
    let activity = Activity::of(&bench.plan, &evaluation);
    match next_move(&bench.plan, &activity, 0, None, bench.now.wall) {
        Move::Wake(1, _) => true,
        Move::Stay => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_sleeps_beside_a_backlog() {
    // Commit, log start, log end; the policy; scaleToZeroOnInvalidOffset; whether there is work.
    let rows = [
        (Some(90), 0, 100, "latest", "false", true),
        (Some(100), 0, 100, "latest", "false", false),
        // Records were deleted before they were consumed: the rest is work, whatever the policy.
        (Some(30), 80, 100, "latest", "false", true),
        (Some(30), 80, 100, "earliest", "true", true),
        (Some(30), 80, 80, "earliest", "false", false),
        // No commit.
        (None, 0, 100, "earliest", "false", true),
        (None, 100, 100, "earliest", "false", false),
        (None, 0, 100, "latest", "false", true),
        // Its owner asks for zero.
        (None, 0, 100, "earliest", "true", false),
        (None, 0, 100, "latest", "true", false),
        // A commit beyond the end: the consumer begins anew.
        (Some(200), 0, 100, "earliest", "false", true),
        (Some(200), 100, 100, "earliest", "false", false),
        (Some(200), 0, 100, "latest", "false", true),
    ];
    for (committed, start, end, policy, zero, work) in rows {
        let mut bench = asleep(policy, zero);
        let track = Track::begin(reading(&bench, committed, start, end, ID));
        bench.change(0, |slot| slot.track = Some(track));
        let row = format!("C {committed:?} S {start} E {end} {policy} {zero}");
        assert_eq!(wakes(&mut bench), work, "{row}");
    }
}

#[test]
fn a_record_that_comes_to_a_partition_without_a_commit_wakes_a_latest_group_that_may_sleep() {
    let mut bench = asleep("latest", "true");
    let mut track = Track::begin(reading(&bench, None, 0, 100, ID));
    bench.change(0, |slot| slot.track = Some(track));
    assert!(!wakes(&mut bench));
    track.take(reading(&bench, None, 0, 101, ID));
    bench.change(0, |slot| slot.track = Some(track));
    assert!(wakes(&mut bench));
}

#[test]
fn a_topic_made_anew_wakes_its_group_and_says_why() {
    for policy in ["earliest", "latest"] {
        let mut bench = asleep(policy, "false");
        let mut track = Track::begin(reading(&bench, Some(100), 0, 100, ID));
        bench.change(0, |slot| slot.track = Some(track));
        assert!(!wakes(&mut bench));
        track.take(reading(&bench, None, 0, 3, [8; 16]));
        bench.change(0, |slot| slot.track = Some(track));
        assert!(wakes(&mut bench), "{policy}");
        assert_eq!(bench.served(), Ok(3), "{policy}");
        let message = ready(&mut bench).message;
        assert!(message.contains("deleted and made anew"), "{message}");
    }
}

/// The process ends; another one reads the status, and of Kafka what a fresh one can: `now`.
fn restart(bench: &mut Bench, track: Track, now: Reading) {
    bench.change(0, |slot| slot.track = Some(track));
    let snapshot = bench.snapshot.clone().unwrap();
    let mut snapshots = Snapshots::default();
    snapshots.insert(bench.key.clone(), snapshot.into());
    let status = ScaledObjectStatus {
        remembered: remember(&bench.plan, &snapshots),
        ..ScaledObjectStatus::default()
    };
    let mut object = (*bench.plan.object).clone();
    object.status = Some(status);
    bench.plan.object = Arc::new(object);
    bench.memory = Memory::default();
    let fresh = Track::begin(now);
    bench.change(0, |slot| slot.track = Some(fresh));
}

#[test]
fn a_commit_that_expired_in_the_sleep_still_counts_after_a_restart() {
    let mut bench = asleep("latest", "true");
    let track = Track::begin(reading(&bench, Some(100), 0, 100, ID));
    let now = reading(&bench, None, 0, 100, ID);
    restart(&mut bench, track, now);
    assert!(!wakes(&mut bench));
    let now = reading(&bench, None, 0, 104, ID);
    restart(&mut bench, track, now);
    assert!(wakes(&mut bench));
    assert_eq!(bench.served(), Ok(4));
    let message = ready(&mut bench).message;
    let gone = "the commit is gone (expired, or deleted with its group); the last one, 100, stands";
    assert!(message.ends_with(gone), "{message}");
}

#[test]
fn what_came_to_a_partition_without_a_commit_in_the_sleep_still_counts_after_a_restart() {
    let mut bench = asleep("latest", "true");
    let track = Track::begin(reading(&bench, None, 0, 100, ID));
    let now = reading(&bench, None, 0, 104, ID);
    restart(&mut bench, track, now);
    assert!(wakes(&mut bench));
    assert_eq!(bench.served(), Ok(4));
}

#[test]
fn what_is_remembered_is_not_forgotten_by_writing_it_again_after_the_commit_expired() {
    let mut bench = asleep("latest", "true");
    let track = Track::begin(reading(&bench, Some(100), 0, 100, ID));
    let now = reading(&bench, None, 0, 104, ID);
    restart(&mut bench, track, now);
    let now = reading(&bench, None, 0, 104, ID);
    let seen = Track::begin(now);
    restart(&mut bench, seen, now);
    assert_eq!(bench.served(), Ok(4));
}

#[test]
fn what_another_group_left_in_a_status_is_not_taken_up() {
    let mut bench = asleep("latest", "true");
    let track = Track::begin(reading(&bench, Some(10), 0, 100, ID));
    let now = reading(&bench, None, 0, 100, ID);
    restart(&mut bench, track, now);
    let mut object = (*bench.plan.object).clone();
    let status = object.status.as_mut().unwrap();
    let remembered = status.remembered.get_mut("s0-kafka-t").unwrap();
    remembered.consumer_group = "another".into();
    bench.plan.object = Arc::new(object);
    assert!(!wakes(&mut bench));
}
