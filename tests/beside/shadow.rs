//! A lagscale that only looks, before anything is moved: what it would tell is held against what KEDA has told the HPAs.

use std::{path::Path, time::Duration};

use bed::{Bed, Keda, wait};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{Api, ResourceExt, api::ListParams};
use lagscale::resources::ScaledObject;

use crate::ground::{NAMESPACE, PATIENCE, manifest, says};

/// It sees KEDA's own numbers, the bound that KEDA does not have, and a KEDA that fails; it writes nothing.
pub async fn a_shadow_looks(bed: &Bed, keda: &Keda) {
    manifest(bed, "overlays/shadow/rights.yaml").await;
    let binary = Path::new(env!("CARGO_BIN_EXE_lagscale"));
    let mut shadow = bed.registering_lagscale(binary, &["--shadow"]);
    let clock = "town/clock   maxReplicas  5    2         -    maxReplicas is 2, not 5: no trigger ever asks for more";
    let bound = "town/theirs  maxReplicas  8    5         -    maxReplicas is 5, not 8: more consumers than partitions would have nothing to do";
    is_seen(bed, &[clock, bound, "2 of 4 ScaledObjects: no difference"]).await;
    let told = says(bed, &["explain", "--namespace", NAMESPACE, "theirs"]).await;
    let both = "- the HPA has 25 for s0-kafka-orders, lagscale would tell it 25";
    assert!(told.contains(both), "{told}");
    keda.processes[1].freeze();
    is_seen(bed, &["the HPA has no value: "]).await;
    keda.processes[1].thaw();
    is_seen(bed, &[clock, bound, "2 of 4 ScaledObjects: no difference"]).await;
    nothing_is_written(bed).await;
    shadow.child.terminate(Duration::from_secs(30));
    let log = shadow.child.output();
    assert!(log.contains("elected: a shadow"), "{log}");
    assert!(!log.contains("forbidden"), "{log}");
    manifest(bed, "base/rbac.yaml").await;
}

async fn is_seen(bed: &Bed, parts: &[&str]) {
    wait::until(&format!("{parts:?}"), PATIENCE, async || {
        let said = says(bed, &["check", "--shadow"]).await;
        let all = parts.iter().all(|part| said.contains(part));
        all.then_some(()).ok_or(said)
    })
    .await;
}

async fn nothing_is_written(bed: &Bed) {
    let objects: Api<ScaledObject> = Api::all(bed.client());
    let hpas: Api<HorizontalPodAutoscaler> = Api::all(bed.client());
    let params = ListParams::default();
    let objects = objects.list(&params).await.unwrap();
    let hpas = hpas.list(&params).await.unwrap();
    let objects = objects.iter().flat_map(ResourceExt::managed_fields);
    let fields = objects.chain(hpas.iter().flat_map(ResourceExt::managed_fields));
    let writers: Vec<_> = fields.filter_map(|f| f.manager.as_deref()).collect();
    // By the name of its binary.
    assert!(writers.contains(&"operator"), "{writers:?}");
    assert!(
        !writers.iter().any(|w| w.contains("lagscale")),
        "{writers:?}"
    );
}
