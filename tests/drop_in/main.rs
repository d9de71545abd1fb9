//! lagscale is put where KEDA 2.21.0 was: its CRDs beside KEDA's, and forty objects read by a real KEDA and by lagscale in turn.
//! The differences, in HPAs, statuses and conditions, are those that `tests/cases/drop-in.yaml` lists, each with its row of
//! `docs/departures.md`, and no others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::large_futures,
    reason = "test code in functions without #[test]"
)]

mod case;
mod dashboard;
mod difference;
mod health;
mod schemas;
mod turn;

use bed::{Bed, BedOptions};
use case::Cases;
use difference::Differences;
use turn::{Side, Turn};

/// Objects that somebody has to change before they scale, among those that were let in.
const WRONG: [&str; 7] = [
    "missing-authentication",
    "missing-target",
    "missing-topic",
    "missing-topic-fallback",
    "no-broker",
    "unknown-kind",
    "unknown-trigger",
];

#[tokio::test(flavor = "multi_thread")]
async fn keda_and_lagscale_differ_over_forty_objects_by_the_listed_departures_only() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    let cases = Cases::load();
    assert!(cases.objects.len() >= 40);
    let options = BedOptions::default();
    let (theirs, their_scrape) = {
        let bed = Bed::start(&options).await;
        let mut turn = Turn::play(&bed, Side::keda(&bed).await, &cases).await;
        (turn.settled().await, turn.scrape().await)
    };
    let bed = Bed::start(&options).await;
    let mut turn = Turn::play(&bed, Side::lagscale(&bed).await, &cases).await;
    let listed = cases.departures();
    turn.until("the listed differences", |ours| {
        let found = Differences::between(&theirs, ours);
        found.compared_with(&listed)
    })
    .await;
    let faults = dashboard::faults(&their_scrape, &turn.scrape().await);
    assert!(faults.is_empty(), "KEDA's dashboard: {faults:#?}");
    health::is_degraded_only_where_somebody_has_to_change_something(&bed, &WRONG).await;
}
