//! A credential's value is replaced: its connections serve on until they end, and what it knew is not forgotten.

use fake_kafka::{
    fault::{Fault, What},
    state::Asked,
};
use std::{collections::HashMap, time::Duration};

use kafka_protocol::messages::ApiKey::ListOffsets;
use lagscale::{
    kafka::Topics,
    lag::{Isolation, Loss},
    snapshot::{GroupDemand, Snapshot, Trouble},
};

use crate::bench::{Bench, EVERY, PATIENCE, slot};

/// A cluster of two brokers that wants a login; `g` has read 4 of 10 in `t`, which broker 1 leads.
async fn logged_in() -> Bench {
    let mut bench = Bench::new(2).await;
    bench.kafka.state().session = Some(Duration::ZERO);
    bench.topic("t", &[(1, 10)]);
    bench.group("g", 0, &[("t", 0, 4)]);
    bench.log_in("alice");
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (Some(4), 10)).await;
    bench
}

fn dialled(bench: &Bench) -> HashMap<i32, usize> {
    bench.kafka.state().connections.clone()
}

async fn trouble(bench: &mut Bench, text: &str) -> Trouble {
    let what = format!("trouble with {text:?}");
    let found = |t: &Trouble| t.text.contains(text);
    bench
        .until(&what, |p| {
            slot(p, "g", "t", 0)?.trouble.clone().filter(found)
        })
        .await
}

#[tokio::test]
async fn a_replaced_credential_serves_on_until_its_connection_ends_and_is_never_dialled_again() {
    let mut bench = logged_in().await;
    let before = dialled(&bench);
    bench.manager.retire(&bench.key);
    bench.topic("t", &[(1, 12)]);
    bench.pair("g", "t", 0, (Some(4), 12)).await;
    bench.ten_ticks().await;
    assert_eq!(dialled(&bench), before);

    bench.kafka.stop(1).await;
    bench.kafka.restart(1).await;
    let said = trouble(&mut bench, "its credential has been replaced").await;
    assert!(said.text.contains(&bench.address(1)), "{said:?}");
    assert!(!said.configuration, "the new value has the last word");
    bench.ten_ticks().await;
    assert_eq!(dialled(&bench), before);
    // The last pair stands for whoever wants to know how old it is.
    let last = bench
        .until("a snapshot", |p| slot(p, "g", "t", 0)?.track)
        .await;
    assert_eq!((last.committed, last.end), (Some(4), 12));

    // Put back in its place it is dialled at once.
    bench.topic("t", &[(1, 13)]);
    bench.manager.restore(&bench.key, &bench.security);
    bench.pair("g", "t", 0, (Some(4), 13)).await;
    assert_eq!(dialled(&bench)[&1], before[&1] + 1);
}

#[tokio::test]
async fn a_question_that_is_out_when_the_credential_is_replaced_is_not_dialled_for_again() {
    let mut bench = logged_in().await;
    let before = dialled(&bench);
    let mark = bench.mark();
    bench.kafka.fault(Fault::at(ListOffsets, 1, What::Silence));
    let out = |asked: &[Asked]| {
        let ends = asked
            .iter()
            .any(|a| a.api == ListOffsets && a.answered_at.is_none());
        ends.then_some(())
    };
    bench
        .asked("a question that goes unanswered", mark, out)
        .await;
    bench.manager.retire(&bench.key);
    bench.kafka.stop(1).await;
    bench.kafka.mend();
    bench.kafka.restart(1).await;
    trouble(&mut bench, "its credential has been replaced").await;
    bench.ten_ticks().await;
    assert_eq!(dialled(&bench), before);
}

#[tokio::test]
async fn what_a_former_value_knew_is_followed_on_and_not_shown() {
    let mut bench = Bench::new(1).await;
    bench.kafka.state().session = Some(Duration::ZERO);
    bench.topic("t", &[(0, 10), (0, 10)]);
    bench.group("g", 0, &[("t", 1, 4)]);
    bench.log_in("alice");
    bench.demand(&[("g", "t")]);
    bench.pair("g", "t", 0, (None, 10)).await;
    let read = |p: &Snapshot| {
        let known = p.groups.get("g")?;
        known.topics.get("t").filter(|t| t.len() == 2)?;
        Some(known.clone())
    };
    let known = bench.until("both partitions", read).await;

    // The commit of one expires meanwhile.
    bench.topic("t", &[(0, 15), (0, 15)]);
    bench.group("g", 0, &[]);
    bench
        .kafka
        .fault(Fault::of(ListOffsets, What::Silence).once());
    bench.log_in("bob");
    let topics = Topics::parse(["t"].into_iter()).unwrap();
    let demand = GroupDemand::new(&topics, Isolation::ReadUncommitted, EVERY);
    let (key, security) = (bench.key.clone(), bench.security.clone());
    bench
        .manager
        .ask("", &key, &"g".into(), demand, &security, Some(known));
    let look = async {
        loop {
            let (of, snapshot) = bench.snapshots.recv().await.unwrap();
            if of != key {
                continue;
            }
            let track = |id| slot(&snapshot, "g", "t", id).and_then(|s| s.track);
            let tracks = [track(0), track(1)];
            assert!(tracks.iter().flatten().all(|t| t.end == 15), "{tracks:?}");
            if let [Some(first), Some(second)] = tracks {
                return (first, second);
            }
        }
    };
    let (first, second) = tokio::time::timeout(PATIENCE, look).await.unwrap();
    assert_eq!((first.committed, first.baseline), (None, 10));
    assert_eq!(
        (second.committed, second.loss),
        (Some(4), Some(Loss::Expired))
    );

    // Once it is dropped, nothing is left of it but what was read.
    bench.manager.drop_history(&key, &"g".into());
    bench.topic("t", &[(0, 16), (0, 16)]);
    bench.pair("g", "t", 1, (Some(4), 16)).await;
}
