//! A KEDA and a lagscale that share a cluster by namespaces, which is how it is shared with a KEDA before 2.21:
//! `KEDA=2.20.2 cargo test --test beside namespaces` builds that one; usually it is the release that the bed has anyway.

use std::{path::Path, time::Duration};

use bed::{Bed, BedOptions, Keda, KedaOptions, Lagscale, parts, wait};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{Api, ResourceExt};
use lagscale::server::API_SERVICE;
use serde_json::json;

use crate::{
    ONE_AT_A_TIME,
    ca::{self, api_service},
    ground::{
        KAFKA, PATIENCE, has_a_metric, metric_in, orders, rights, says, scaled_object, uninstall,
        value_is, workload,
    },
};

const NAMESPACES: [&str; 3] = ["east", "harbour", "west"];

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_moves_from_a_keda_of_some_namespaces_to_a_lagscale_of_others() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bed = Bed::start(&BedOptions::default()).await;
    let release = std::env::var("KEDA").map(|v| parts::release(&v).expect("2.21.0 or 2.20.2"));
    let mut keda = bed
        .keda(KedaOptions {
            release: release.unwrap_or(parts::KEDA),
            namespaces: "harbour,west",
            leader_elect: true,
            ..KedaOptions::default()
        })
        .await;
    let trigger = orders(&bed).await;
    for namespace in NAMESPACES {
        bed.create_namespace(namespace).await;
        let mut objects = [workload("app"), scaled_object("app", &trigger)];
        for object in &mut objects {
            object["metadata"]["namespace"] = namespace.into();
        }
        bed.apply(&objects).await;
    }
    for namespace in ["harbour", "west"] {
        has_a_metric(&bed, namespace, "keda-hpa-app").await;
    }
    rights(&bed).await;
    let mut lagscale = lagscale(&bed, "east");
    all_scale(&bed).await;
    assert!(!is_written_by_lagscale(&bed, "harbour").await);
    for (namespaces, is_in_the_way) in [("east", false), ("east,harbour", true)] {
        deployed(&bed, namespaces).await;
        let said = says(&bed, &["check"]).await;
        let told = said.contains("FAIL  KEDA's operator: keda/");
        assert_eq!(told, is_in_the_way, "{namespaces}: {said}");
    }
    harbour_moves(&bed, &mut keda, &mut lagscale).await;
    all_scale(&bed).await;
    ca::is_fought_for(&bed, &mut keda, &lagscale).await;
    all_scale(&bed).await;
    uninstall(&bed).await;
    lagscale.child.terminate(Duration::from_secs(30));
    let service = api_service(&bed).await.spec.unwrap().service.unwrap();
    assert_eq!(service.namespace.as_deref(), Some("keda"));
    bed.available(API_SERVICE).await;
    value_is(&bed, &metric_in("west", KAFKA, "app"), "25").await;
}

/// A lagscale of these namespaces that takes the APIService.
fn lagscale(bed: &Bed, namespaces: &str) -> Lagscale {
    let binary = Path::new(env!("CARGO_BIN_EXE_lagscale"));
    let namespaces = format!("--namespace={namespaces}");
    let args = [
        "--take-apiservice",
        "--service-addresses=keda-metrics-apiserver.keda=127.0.0.1",
        &namespaces,
    ];
    bed.registering_lagscale(binary, &args)
}

/// lagscale's Deployment, in which `check` reads how it is set. It runs nothing: on the bed lagscale is a process.
async fn deployed(bed: &Bed, namespaces: &str) {
    let labels = json!({"app": "lagscale"});
    let watched = json!({"name": "WATCH_NAMESPACE", "value": namespaces});
    let container = json!({"name": "lagscale", "image": "lagscale", "env": [watched]});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "lagscale", "namespace": "lagscale"},
        "spec": {
            "replicas": 0, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    });
    bed.apply(&[deployment]).await;
}

/// Waits until every object has its value through the APIService, and its HPA scales by it.
async fn all_scale(bed: &Bed) {
    for namespace in NAMESPACES {
        value_is(bed, &metric_in(namespace, KAFKA, "app"), "25").await;
        has_a_metric(bed, namespace, "keda-hpa-app").await;
    }
}

async fn hpa(bed: &Bed, namespace: &str) -> HorizontalPodAutoscaler {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(bed.client(), namespace);
    api.get("keda-hpa-app").await.unwrap()
}

async fn is_written_by_lagscale(bed: &Bed, namespace: &str) -> bool {
    let found = hpa(bed, namespace).await;
    let mut fields = found.managed_fields().iter();
    fields.any(|f| f.manager.as_deref() == Some("lagscale"))
}

/// While both lists have it, lagscale writes nothing and says whose it may be; once KEDA's has it no more, the HPA is lagscale's.
async fn harbour_moves(bed: &Bed, keda: &mut Keda, lagscale: &mut Lagscale) {
    let before = hpa(bed, "harbour").await.uid();
    lagscale.child.terminate(Duration::from_secs(30));
    *lagscale = self::lagscale(bed, "east,harbour");
    wait::until("lagscale to name KEDA's Lease", PATIENCE, async || {
        let said = lagscale.child.output();
        let named = said.contains("nothing is written while a KEDA operator is alive");
        named.then_some(()).ok_or(said)
    })
    .await;
    assert!(!is_written_by_lagscale(bed, "harbour").await);
    keda.watch(bed, "west").await;
    wait::until("lagscale to write harbour's HPA", PATIENCE, async || {
        let ours = is_written_by_lagscale(bed, "harbour").await;
        ours.then_some(()).ok_or("it is KEDA's")
    })
    .await;
    assert_eq!(hpa(bed, "harbour").await.uid(), before);
}
