//! A credential's value changes behind the same reference: what is served meanwhile, what is told, and what takes nothing over.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use fixture::{Bench, ready};
use lagscale::{
    kafka::{
        Security,
        sasl::{Mechanism, Sasl},
    },
    scaling::{Plan, follow, remember},
    snapshot::{ClusterKey, GroupSnapshot, Snapshot, Trouble},
};
use serde_json::json;

/// Awake or not, what the condition says of triggers is the same.
fn bench() -> Bench {
    let metadata = json!({"activationLagThreshold": "1000"});
    let mut bench = Bench::with(&json!({}), &metadata);
    use_password(&mut bench, "first");
    bench
}

fn key_of(bench: &Bench, password: &str) -> ClusterKey {
    let security = Security {
        tls: None,
        sasl: Some(Sasl::Password {
            mechanism: Mechanism::Plain,
            username: "alice".into(),
            password: password.into(),
        }),
    };
    ClusterKey {
        bootstrap: bench.key.bootstrap.clone(),
        fingerprint: security.fingerprint(),
    }
}

/// A plan made anew with this value of the credential.
fn use_password(bench: &mut Bench, password: &str) {
    bench.key = key_of(bench, password);
    let now = bench.key.clone();
    let source = bench.plan.triggers[0].kafka_mut().unwrap();
    (source.cluster, source.former) = (now, None);
}

fn former(plan: &Plan) -> Option<&ClusterKey> {
    plan.triggers[0].kafka().unwrap().former.as_ref()
}

/// The value is replaced: what was read so far is the former one's, if the reference is the `same`.
fn rotate(bench: &mut Bench, password: &str, same: bool) {
    let before = bench.plan.clone();
    if let Some(snapshot) = bench.snapshot.take() {
        bench.others.insert(bench.key.clone(), snapshot.into());
    }
    use_password(bench, password);
    follow(&mut bench.plan, &before, &bench.others, |_| same);
}

/// The former value goes on to read this, while the present one brings `own`.
fn read_by(bench: &mut Bench, password: &str, pairs: &[(i64, i64)]) {
    let own = bench.snapshot.take();
    let former = key_of(bench, password);
    bench.snapshot = bench.others.get(&former).cloned();
    bench.read(pairs);
    let snapshot = bench.snapshot.take().unwrap();
    bench.others.insert(former, snapshot.into());
    bench.snapshot = own;
}

fn refused() -> Snapshot {
    let group = GroupSnapshot {
        polled: true,
        ..GroupSnapshot::default()
    };
    Snapshot {
        groups: HashMap::from([("g".into(), group.into())]),
        trouble: Some(Trouble::configuration("kafka:9092: login refused: no")),
        ..Snapshot::default()
    }
}

#[test]
fn what_the_former_value_reads_is_served_until_the_new_one_has_read_everything() {
    let mut bench = bench();
    bench.read(&[(0, 3), (0, 4)]);
    assert_eq!(bench.served(), Ok(7));
    rotate(&mut bench, "second", true);
    assert_eq!(bench.served(), Ok(7));
    assert!(bench.evaluate().polled);
    assert_eq!(ready(&mut bench).status, "True");

    // A part of the new one's reading is less than the truth, and what it has to say may pass.
    bench.read(&[(0, 3), (0, 0)]);
    bench.change(1, |slot| {
        slot.track = None;
        slot.trouble = Some(Trouble::passing("its leader moves"));
    });
    bench.after(1);
    read_by(&mut bench, "first", &[(0, 3), (0, 2)]);
    assert_eq!(bench.served(), Ok(5));
    let message = ready(&mut bench).message;
    assert!(!message.contains("its leader moves"), "{message}");
    assert_eq!(bench.evaluate().renewed, BTreeSet::new());

    bench.read(&[(0, 1), (0, 1)]);
    assert_eq!(bench.served(), Ok(2));
    assert_eq!(bench.evaluate().renewed, BTreeSet::from([0]));
}

#[test]
fn a_refused_value_is_told_at_once_while_the_former_one_serves_and_withheld_when_that_has_ended() {
    let mut bench = bench();
    bench.read(&[(0, 4)]);
    bench.evaluate();
    rotate(&mut bench, "wrong", true);
    bench.snapshot = Some(refused());
    let told = ready(&mut bench);
    assert_eq!((&*told.status, &*told.reason), ("False", "TriggerError"));
    assert!(told.message.contains("login refused"), "{told:?}");
    assert_eq!(bench.served(), Ok(4));
    // Nothing is missing: it may fall.
    bench.after(15);
    read_by(&mut bench, "first", &[(3, 4)]);
    assert_eq!(bench.served(), Ok(1));

    // Its connections end.
    bench.after(20);
    assert_eq!(bench.served(), Ok(1));
    bench.after(1);
    let why = bench.served().unwrap_err();
    assert!(why.contains("login refused"), "{why}");
    assert_eq!(ready(&mut bench).reason, "TriggerError");
}

#[test]
fn a_second_change_goes_on_with_the_value_that_still_reads() {
    let mut bench = bench();
    bench.read(&[(0, 4)]);
    bench.evaluate();
    rotate(&mut bench, "wrong", true);
    bench.snapshot = Some(refused());
    rotate(&mut bench, "third", true);
    assert_eq!(former(&bench.plan), Some(&key_of(&bench, "first")));
    assert_eq!(bench.served(), Ok(4));
    // The status remembers what is served.
    let mut snapshots = bench.others.clone();
    snapshots.insert(bench.key.clone(), Arc::new(refused()));
    let mut known = snapshots.clone();
    known.retain(|key| *key == key_of(&bench, "first"));
    assert_eq!(
        remember(&bench.plan, &snapshots),
        remember(&bench.plan, &known)
    );
    // Planned again without a change it goes on; put back, the former value is the present one.
    rotate(&mut bench, "third", true);
    assert_eq!(former(&bench.plan), Some(&key_of(&bench, "first")));
    rotate(&mut bench, "first", true);
    assert_eq!(former(&bench.plan), None);
}

#[test]
fn another_reference_or_another_trigger_takes_nothing_over() {
    let begin = || {
        let mut bench = bench();
        bench.read(&[(0, 4)]);
        assert_eq!(bench.served(), Ok(4));
        bench
    };
    let mut other = begin();
    rotate(&mut other, "second", false);
    assert!(other.served().is_err());
    // Neither does what was under way when the reference changed.
    let mut later = begin();
    rotate(&mut later, "second", true);
    rotate(&mut later, "second", false);
    assert!(later.served().is_err());

    let changed = |change: &dyn Fn(&mut Plan)| {
        let mut bench = begin();
        let before = bench.plan.clone();
        let snapshot = bench.snapshot.take().unwrap();
        bench.others.insert(bench.key.clone(), snapshot.into());
        use_password(&mut bench, "second");
        change(&mut bench.plan);
        follow(&mut bench.plan, &before, &bench.others, |_| true);
        former(&bench.plan).cloned()
    };
    let first = key_of(&bench(), "first");
    assert_eq!(changed(&|_| {}), Some(first));
    let kafka = |plan: &mut Plan, change: &dyn Fn(&mut lagscale::triggers::Kafka)| {
        let source = plan.triggers[0].kafka_mut().unwrap();
        change(Arc::make_mut(&mut source.kafka));
    };
    assert_eq!(changed(&|p| kafka(p, &|k| k.group = "h".into())), None);
    let withheld = |p: &mut Plan| kafka(p, &|k| k.withheld = Some("no Secret".into()));
    assert_eq!(changed(&withheld), None);
    let written = |plan: &mut Plan| {
        let mut object = (*plan.object).clone();
        let metadata = &mut object.spec.triggers[0].metadata;
        metadata.insert("sasl".into(), "plaintext".into());
        plan.object = object.into();
    };
    assert_eq!(changed(&written), None);
    let elsewhere = |plan: &mut Plan| {
        let mut object = (*plan.object).clone();
        object.spec.scale_target_ref.name = "another".into();
        plan.object = object.into();
    };
    assert_eq!(changed(&elsewhere), None);
}
