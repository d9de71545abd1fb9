//! The CA of the APIService, which two may want to write: KEDA's certificate rotation and lagscale, who has taken it.

use std::sync::{Arc, Mutex};

use bed::{Bed, Keda, Lagscale, wait};
use futures::StreamExt;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use lagscale::{
    delegation::{Trust, predecessor},
    server::API_SERVICE,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::ground::PATIENCE;

pub async fn api_service(bed: &Bed) -> APIService {
    let api: Api<APIService> = Api::all(bed.client());
    api.get(API_SERVICE).await.unwrap()
}

type Cas = Arc<Mutex<Vec<Vec<u8>>>>;

/// Every CA that the APIService has from now on, for as long as the task lives.
fn cas_of(bed: &Bed) -> (Cas, JoinSet<()>) {
    let seen = Cas::default();
    let api: Api<APIService> = Api::all(bed.client());
    let config = watcher::Config::default().fields(&format!("metadata.name={API_SERVICE}"));
    let versions = watcher(api, config).default_backoff().touched_objects();
    let (to, mut watching) = (seen.clone(), JoinSet::new());
    watching.spawn(
        versions.for_each(move |version: watcher::Result<APIService>| {
            let ca = version.ok().and_then(|v| v.spec?.ca_bundle);
            to.lock().unwrap().extend(ca.map(|ca| ca.0));
            std::future::ready(())
        }),
    );
    (seen, watching)
}

/// KEDA's own certificate rotation writes its CA into the APIService: lagscale says which value ends that, notes the CA as the
/// predecessor's, and writes its own back.
pub async fn is_fought_for(bed: &Bed, keda: &mut Keda, lagscale: &Lagscale) {
    let ca_of = async || api_service(bed).await.spec.unwrap().ca_bundle.unwrap().0;
    let before = api_service(bed).await.metadata.annotations.unwrap();
    let own = ca_of().await;
    // KEDA writes again at once: only a watch sees what stood in between.
    let (seen, _watching) = cas_of(bed);
    let another = keda.rotate(bed).await;
    wait::until("lagscale's CA after KEDA's", PATIENCE, async || {
        let seen = seen.lock().unwrap().clone();
        let theirs = seen.iter().position(|ca| ca == another.as_bytes());
        let back = theirs.is_some_and(|at| seen[at..].contains(&own));
        back.then_some(())
            .ok_or_else(|| format!("{} CAs, KEDA's at {theirs:?}", seen.len()))
    })
    .await;
    let named = [
        "writes another CA into APIService",
        "apiServicePatching.enabled=false",
    ];
    wait::until("lagscale to say what ends it", PATIENCE, async || {
        let said = lagscale.child.output();
        let all = named.iter().all(|part| said.contains(part));
        all.then_some(()).ok_or(said)
    })
    .await;
    let noted = predecessor::backend(&api_service(bed).await)
        .unwrap()
        .unwrap();
    assert_eq!(noted.trust, Trust::Bundle(another));
    keda.rotate_no_more().await;
    wait::until(
        "lagscale to write its CA back for good",
        PATIENCE,
        async || {
            let found = ca_of().await;
            (found == own).then_some(()).ok_or("it is another's")
        },
    )
    .await;
    // The bed's KEDA serves by the CA that was noted before.
    let patch = json!({"metadata": {"annotations": before}});
    let api: Api<APIService> = Api::all(bed.client());
    api.patch(API_SERVICE, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
}
