//! Restarts and takeovers: whoever goes on does so from what the objects say, loses nothing and does nothing twice.

use serde_json::{Value, json};

use super::{
    api_server::Delivery,
    stage::{HPAS, SCALED_OBJECTS, Stage, scaled_object},
};

/// A story of `app`, which may sleep and gets its replicas back, from beginning to end.
#[derive(Clone, Copy, Debug)]
enum Story {
    /// A lag, and more partitions.
    ScaleUp,
    /// A sleeping workload wakes.
    Activation,
    /// A workload without work sleeps.
    Drained,
    /// Paused at a count, and let go again.
    Pause,
    /// Deleted.
    Deletion,
    /// Its HPA gets another name.
    Renamed,
}

use Story::{Activation, Deletion, Drained, Pause, Renamed, ScaleUp};

impl Story {
    fn begin(self) -> Stage {
        let mut stage = Stage::new();
        let replicas = i32::from(!matches!(self, Activation));
        stage.state(|s| s.workloads.insert("app".into(), replicas));
        let spec =
            json!({"minReplicaCount": 0, "advanced": {"restoreToOriginalReplicaCount": true}});
        stage.put(SCALED_OBJECTS, scaled_object("app", &spec));
        if !matches!(self, ScaleUp) {
            let lag = if matches!(self, Activation) { 0 } else { 9 };
            stage.read(&[(0, lag); 4]);
            stage.after(20);
        }
        stage.writes();
        stage.events();
        stage
    }

    fn act(self, stage: &mut Stage) {
        match self {
            ScaleUp => stage.read(&[(0, 9); 4]),
            Activation => stage.read(&[(0, 1); 4]),
            Drained => stage.read(&[(9, 9); 4]),
            Pause => {
                let paused = json!({"metadata": {"annotations": {"autoscaling.keda.sh/paused-replicas": "3"}}});
                stage.merge(SCALED_OBJECTS, "app", &paused);
            }
            Deletion => {
                stage.state(|s| s.workloads.insert("app".into(), 4));
                let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-02T00:00:00Z"}});
                stage.merge(SCALED_OBJECTS, "app", &deleted);
            }
            Renamed => {
                let name = json!({"spec": {"advanced": {"horizontalPodAutoscalerConfig": {"name": "new"}}}});
                stage.merge(SCALED_OBJECTS, "app", &name);
            }
        }
    }

    /// Where it ends, after what a kill cost; times and versions left out.
    fn end(stage: &mut Stage) -> Value {
        stage.after(90);
        let mut status = stage.status();
        if !status["lastActiveTime"].is_null() {
            status["lastActiveTime"] = "some".into();
        }
        let hpa = |name: &str| stage.state(|s| s.get(HPAS, name).map(|h| h["spec"].clone()));
        let object = stage
            .state(|s| s.get(SCALED_OBJECTS, "app").cloned())
            .unwrap();
        json!({
            "replicas": stage.replicas(), "status": status, "hpas": [hpa("keda-hpa-app"), hpa("new")],
            "finalizers": object["metadata"]["finalizers"], "labels": object["metadata"]["labels"],
        })
    }
}

fn killed_at_each_write(story: Story, delivery: Delivery) {
    let mut whole = story.begin();
    story.act(&mut whole);
    let end = Story::end(&mut whole);
    let done = whole.deeds();
    for nth in 1..=20 {
        let mut stage = story.begin();
        stage.kill_at(nth, delivery);
        story.act(&mut stage);
        for _ in 0..90 {
            if stage.is_dead() {
                break;
            }
            stage.after(1);
        }
        if !stage.is_dead() {
            assert!(nth > 1, "nobody was killed");
            return;
        }
        stage.restart(2);
        stage.sample();
        let killed = format!("{story:?}, killed {delivery:?} write {nth}");
        assert_eq!(Story::end(&mut stage), end, "{killed}");
        assert_eq!(stage.deeds(), done, "{killed}");
    }
    panic!("it never ends");
}

macro_rules! kills {
    ($($name:ident: $story:ident $delivery:ident,)*) => {$(
        #[test]
        fn $name() {
            killed_at_each_write(Story::$story, Delivery::$delivery);
        }
    )*};
}

kills! {
    killed_before_any_write_of_a_scale_up_it_ends_alike: ScaleUp Before,
    killed_after_any_write_of_a_scale_up_it_ends_alike: ScaleUp After,
    killed_before_any_write_of_an_activation_it_ends_alike: Activation Before,
    killed_after_any_write_of_an_activation_it_ends_alike: Activation After,
    killed_before_any_write_of_going_to_sleep_it_ends_alike: Drained Before,
    killed_after_any_write_of_going_to_sleep_it_ends_alike: Drained After,
    killed_before_any_write_of_a_pause_it_ends_alike: Pause Before,
    killed_after_any_write_of_a_pause_it_ends_alike: Pause After,
    killed_before_any_write_of_a_deletion_it_ends_alike: Deletion Before,
    killed_after_any_write_of_a_deletion_it_ends_alike: Deletion After,
    killed_before_any_write_of_a_new_name_it_ends_alike: Renamed Before,
    killed_after_any_write_of_a_new_name_it_ends_alike: Renamed After,
}

#[test]
fn a_restart_in_quiet_times_writes_nothing() {
    let mut stage = Drained.begin();
    stage.after(60);
    stage.writes();
    stage.restart(3);
    stage.sample();
    stage.after(5);
    assert_eq!(stage.writes(), Vec::<String>::new());
    assert!(stage.events().is_empty());
}

#[test]
fn a_restart_serves_nothing_before_it_has_read() {
    let mut stage = Drained.begin();
    stage.restart(3);
    assert!(matches!(stage.served("s0-kafka-t"), Some(Err(_))));
    stage.sample();
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(20)));
}

#[test]
fn a_restart_begins_a_cool_down_anew() {
    let mut stage = Drained.begin();
    stage.read(&[(9, 9); 4]);
    stage.after(25);
    stage.restart(1);
    stage.sample();
    stage.after(25);
    assert_eq!(
        stage.replicas(),
        1,
        "nobody knows what happened while nobody looked"
    );
    stage.after(15);
    assert_eq!(stage.replicas(), 0);
}

#[test]
fn a_restart_beside_brokers_that_do_not_answer_changes_neither_hpa_nor_workload() {
    let mut stage = Drained.begin();
    let before = (stage.hpa("maxReplicas"), stage.replicas());
    stage.restart(1);
    stage.outage("broker kafka:9092: connection refused");
    stage.silence(300);
    assert_eq!((stage.hpa("maxReplicas"), stage.replicas()), before);
}

#[test]
fn a_replica_that_does_not_lead_writes_nothing_and_serves_all_the_same() {
    let mut stage = Stage::new();
    stage.lead(false);
    stage.put(SCALED_OBJECTS, scaled_object("app", &json!({})));
    stage.read(&[(0, 3); 4]);
    stage.after(60);
    assert!(stage.writes().is_empty());
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(12)));
}

#[test]
fn a_replica_that_begins_to_lead_does_what_is_due_at_once() {
    let mut stage = Stage::new();
    stage.lead(false);
    stage.put(SCALED_OBJECTS, scaled_object("app", &json!({})));
    stage.read(&[(0, 3); 4]);
    stage.after(10);
    stage.lead(true);
    stage.after(1);
    assert_eq!(stage.hpa("maxReplicas"), json!(4));
}

#[test]
fn a_replica_that_leads_no_more_leaves_a_sleeping_workload_to_its_successor() {
    let mut stage = Activation.begin();
    stage.lead(false);
    stage.read(&[(0, 1); 4]);
    stage.after(20);
    assert_eq!(stage.replicas(), 0);
    stage.lead(true);
    stage.after(1);
    assert_eq!(stage.replicas(), 1);
}

#[test]
fn failures_that_the_status_tells_are_gone_on_with() {
    let spec = json!({"fallback": {"failureThreshold": 3, "replicas": 2}});
    let mut stage = Stage::with(&spec);
    stage.read(&[(0, 9); 4]);
    stage.after(10);
    stage.outage("broker kafka:9092: connection refused");
    stage.silence(120);
    assert_eq!(stage.condition("Fallback").0, "True");
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(10)), "2 replicas of 5");
    stage.restart(1);
    stage.outage("broker kafka:9092: connection refused");
    stage.silence(2);
    assert_eq!(stage.served("s0-kafka-t"), Some(Ok(10)));
}

#[test]
fn a_first_status_is_over_no_version_that_was_not_seen() {
    let mut stage = Stage::with(&json!({}));
    stage.read(&[(0, 0); 4]);
    stage.restart(1);
    stage.deaf = true;
    stage.state(|s| {
        s.merge(
            SCALED_OBJECTS,
            "app",
            &json!({"status": {"originalReplicaCount": 77}}),
        );
    });
    stage.outage("broker kafka:9092: connection refused");
    stage.silence(30);
    assert_eq!(
        stage.status()["originalReplicaCount"],
        77,
        "another wrote meanwhile"
    );
}

#[test]
fn a_watch_that_is_late_repeats_no_write() {
    let mut stage = Stage::with(&json!({}));
    stage.deaf = true;
    stage.read(&[(0, 0); 4]);
    stage.silence(4);
    let writes = stage.writes();
    assert_eq!(
        writes.iter().filter(|w| w.starts_with("create")).count(),
        1,
        "{writes:?}"
    );
}
