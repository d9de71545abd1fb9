//! lagscale beside a real KEDA: one APIService that lagscale has taken, objects of both, moved by a label and moved back, and the
//! APIService given back at the end; and docs/from-keda.md as a rehearsal. What only a faulty backend shows is in `tests/api/backends.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::large_futures,
    reason = "test code in functions without #[test]"
)]

mod ca;
mod external;
mod ground;
mod namespaces;
mod rehearsal;
mod shadow;
mod town;
mod twelve;
mod watched;

use std::time::Duration;

use bed::{Adapter, wait};
use ca::api_service;
use ground::{KAFKA, NAMESPACE, PATIENCE, metric};
use lagscale::{
    delegation::predecessor,
    server::{API_SERVICE, DISCOVERY},
};
use serde_json::json;
use town::{MARKET, Town};
use watched::Watched;

/// All tests have a control plane, a Kafka and a KEDA of their own.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The steps share one town, each in the state that the one before has left.
#[tokio::test(flavor = "multi_thread")]
async fn objects_move_from_keda_to_lagscale_and_back_under_one_api_service_that_is_given_back() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut town = Town::start().await;
    the_api_service_is_taken_and_its_predecessor_noted(&town).await;
    both_answer_for_their_own(&town).await;
    another_lagscale_is_asked_for_its_own(&mut town).await;
    a_second_adapter_answers_for_its_own(&mut town).await;
    an_object_is_moved_and_moved_back(&town).await;
    a_frozen_keda_harms_its_own_objects_only(&town).await;
    a_keda_that_writes_its_ca_is_named_and_its_ca_noted(&mut town).await;
    it_is_given_back(&mut town).await;
}

async fn the_api_service_is_taken_and_its_predecessor_noted(town: &Town) {
    wait::until("the APIService to lead to lagscale", PATIENCE, async || {
        let found = api_service(&town.bed).await;
        let service = found.spec.clone().unwrap().service.unwrap();
        let is_ours = service.namespace.as_deref() == Some("lagscale");
        is_ours.then_some(()).ok_or(service.namespace)
    })
    .await;
    town.bed.available(API_SERVICE).await;
    let before = predecessor::backend(&api_service(&town.bed).await)
        .unwrap()
        .unwrap();
    assert_eq!(before.service.namespace, "keda");
}

async fn both_answer_for_their_own(town: &Town) {
    // Metrics of one name, on one topic: the object decides.
    let (theirs, ours) = (metric(KAFKA, "theirs"), metric(KAFKA, "ours"));
    town.value(&theirs, "25").await;
    town.own("ours", true).await;
    town.is_handled("ours", true).await;
    town.value(&ours, "25").await;
    town.value(&metric("s0-cron-UTC-00xxx-5923xxx", "clock"), "2")
        .await;
    // Bytes and types are KEDA's own, but for the moment at which each was asked.
    for accept in ["application/json", "application/vnd.kubernetes.protobuf"] {
        let through = town.through_kube(&theirs, accept).await;
        let direct = town.at_keda(&theirs, accept).await;
        assert_eq!(through, direct, "{accept}");
    }
    for name in ["theirs", "ours", "clock"] {
        town.scales(name).await;
    }
    for (name, who) in [("theirs", "backend predecessor"), ("ours", "lagscale")] {
        let told = format!("{KAFKA}: {who} answers 25\n");
        town.is_explained(NAMESPACE, name, &told).await;
    }
    let found = "ok    metrics that are not lagscale's own: backend predecessor answers";
    town.is_checked(found).await;
    for name in ["another", "letters"] {
        let answers = format!("ok    backend {name}: backend {name} answers");
        town.is_checked(&answers).await;
    }
    let rows = town.kubectl(&["get", "externalmetrics"]).await;
    assert!(
        rows.contains("ScaledObject/ours") && !rows.contains("theirs"),
        "{rows}"
    );
}

async fn another_lagscale_is_asked_for_its_own(town: &mut Town) {
    town.another.child.must_live();
    town.scales_in(MARKET, "stall").await;
    let path = metric(KAFKA, "stall").replace(NAMESPACE, MARKET);
    town.value(&path, "25").await;
    let told = format!("{KAFKA}: backend another answers 25\n");
    town.is_explained(MARKET, "stall", &told).await;
}

/// As prometheus-adapter or Datadog beside KEDA: asked for what its names begin with, and its metrics are listed.
async fn a_second_adapter_answers_for_its_own(town: &mut Town) {
    town.adapter.child.must_live();
    let path = format!("{DISCOVERY}/namespaces/{NAMESPACE}/{}", Adapter::METRIC);
    town.value(&path, Adapter::VALUE).await;
    let hpa = json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "letters", "namespace": NAMESPACE},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "letters"},
            "minReplicas": 1, "maxReplicas": 3,
            "metrics": [{"type": "External", "external": {
                "metric": {"name": Adapter::METRIC}, "target": {"type": "AverageValue", "averageValue": "21"},
            }}],
        },
    });
    town.bed.apply(&[ground::workload("letters"), hpa]).await;
    ground::has_a_metric(&town.bed, NAMESPACE, "letters").await;
    wait::until("its metrics to be listed", PATIENCE, async || {
        let said = town.kubectl(&["get", "--raw", DISCOVERY]).await;
        let listed = said.contains(&format!("\"name\":\"{}\"", Adapter::METRIC));
        listed.then_some(()).ok_or(said)
    })
    .await;
    // Frozen, it harms nobody, and is named.
    town.adapter.child.freeze();
    let refused = town.try_value(&path).await.unwrap_err();
    let named = "backend letters (Service letters/letters)";
    assert!(refused.contains(named), "{refused}");
    town.value(&metric(KAFKA, "theirs"), "25").await;
    town.adapter.child.thaw();
    town.value(&path, Adapter::VALUE).await;
}

async fn an_object_is_moved_and_moved_back(town: &Town) {
    let path = metric(KAFKA, "theirs");
    let watched = Watched::begin(&town.bed, NAMESPACE).await;
    for _ in 0..10 {
        for ours in [true, false] {
            town.own("theirs", ours).await;
            town.is_handled("theirs", ours).await;
            town.value(&path, "25").await;
        }
    }
    town.scales("theirs").await;
    let seen = watched.seen();
    let hpas = &seen.hpas["keda-hpa-theirs"];
    assert_eq!(hpas.len(), 1, "the HPA is never made anew: {hpas:?}");
    let replicas = &seen.replicas["theirs"];
    assert_eq!(*replicas, [5].into(), "nothing is scaled by a move");
    let log = town.lagscale.child.output();
    assert!(!log.contains("ScaledObjectDeleted"), "{log}");
}

async fn a_frozen_keda_harms_its_own_objects_only(town: &Town) {
    let (theirs, ours) = (metric(KAFKA, "theirs"), metric(KAFKA, "ours"));
    town.keda.processes[1].freeze();
    let found = "warn  metrics that are not lagscale's own: backend predecessor ";
    town.is_checked(found).await;
    let refused = town.try_value(&theirs).await.unwrap_err();
    assert!(
        refused.contains("backend predecessor (Service keda/keda-metrics-apiserver)"),
        "{refused}"
    );
    town.value(&ours, "25").await;
    town.bed.availability(API_SERVICE).await.unwrap();
    town.keda.processes[1].thaw();
    town.value(&theirs, "25").await;
}

async fn a_keda_that_writes_its_ca_is_named_and_its_ca_noted(town: &mut Town) {
    ca::is_fought_for(&town.bed, &mut town.keda, &town.lagscale).await;
    for name in ["theirs", "ours"] {
        town.value(&metric(KAFKA, name), "25").await;
    }
}

async fn it_is_given_back(town: &mut Town) {
    let ours = metric(KAFKA, "ours");
    town.own("ours", false).await;
    town.is_handled("ours", false).await;
    let said = ground::uninstall(&town.bed).await;
    assert!(
        said.contains("leads to keda/keda-metrics-apiserver again"),
        "{said}"
    );
    town.lagscale.child.terminate(Duration::from_secs(30));
    town.bed.available(API_SERVICE).await;
    let found = api_service(&town.bed).await;
    assert!(
        !found
            .metadata
            .annotations
            .unwrap_or_default()
            .contains_key(predecessor::ANNOTATION)
    );
    town.value(&ours, "25").await;
    for name in ["theirs", "ours", "clock"] {
        town.scales(name).await;
    }
}
