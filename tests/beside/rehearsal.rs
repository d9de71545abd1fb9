//! The rehearsal: what docs/from-keda.md says, from a shadow to the uninstall of KEDA and all the way back, on twelve objects under load. All the
//! while every HPA and every workload is watched: the HPAs stay, and nobody is scaled.

use std::{collections::BTreeSet, path::Path, time::Duration};

use bed::{Bed, BedOptions, Keda, KedaOptions, Lagscale, wait};
use k8s_openapi::{
    api::batch::v1::Job, kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{Api, ResourceExt, api::ListParams};
use lagscale::server::{API_SERVICE, OWN_API_SERVICE};

use crate::{
    ONE_AT_A_TIME,
    ground::{self, PATIENCE, is_scaling_active, manifest, says},
    twelve::{self, Case, Kind, NAMESPACE, scaled_objects},
    watched::Watched,
};

const SELECTOR: &str = "--watch-label-selector=lagscale.io/owner";

#[tokio::test(flavor = "multi_thread")]
async fn twelve_objects_go_from_keda_to_lagscale_and_all_the_way_back_and_nobody_is_scaled() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let bed = Bed::start(&BedOptions::default()).await;
    let mut keda = bed
        .keda(KedaOptions {
            label_selector: "!lagscale.io/owner",
            ..KedaOptions::default()
        })
        .await;
    let cases = scaled_objects(&bed.kafka);
    twelve::set_up(&bed, &cases).await;
    tokio::select! {
        never = twelve::load(&bed.kafka) => match never {},
        () = rehearse(&bed, &mut keda, &cases) => {}
    }
}

async fn rehearse(bed: &Bed, keda: &mut Keda, cases: &[Case]) {
    let hall = Hall { bed, cases };
    hall.all_are_answered().await;
    let jobs = hall.jobs().await;
    let watched = Watched::begin(bed, NAMESPACE).await;
    hall.rights().await;
    hall.a_shadow_says_what_will_be_different().await;
    let mut lagscale = hall.lagscale(&[SELECTOR]);
    hall.api_service_of("lagscale").await;
    hall.all_are_answered().await;
    // One by one; what lagscale has no trigger for comes last, with all the rest.
    for case in cases.iter().filter(|c| c.kind != Kind::Foreign) {
        hall.kubectl(&["label", "so", case.name, "lagscale.io/owner=lagscale"])
            .await;
        hall.is_handled(case).await;
        hall.is_answered(case).await;
    }
    hall.all_are_answered().await;
    hall.kubectl(&["label", "so", "--all", "lagscale.io/owner=lagscale"])
        .await;
    keda.uninstall(bed).await;
    lagscale.child.terminate(PATIENCE);
    lagscale = hall.lagscale(&[]);
    hall.api_service_of("lagscale").await;
    for case in cases {
        hall.is_handled(case).await;
        if case.kind != Kind::Foreign {
            hall.is_answered(case).await;
        }
    }
    hall.foreign_ones_hold().await;
    // All the way back.
    lagscale.child.terminate(PATIENCE);
    for object in [["apiservice", API_SERVICE], ["apiservice", OWN_API_SERVICE]] {
        hall.kubectl(&["delete", object[0], object[1]]).await;
    }
    keda.install_again(bed).await;
    hall.all_are_answered().await;

    let seen = watched.seen();
    for case in cases {
        let replicas = &seen.replicas[case.name];
        assert_eq!(
            *replicas,
            [case.replicas].into(),
            "{}: {seen:#?}",
            case.name
        );
        if case.kind != Kind::Paused {
            let hpas = &seen.hpas[&hpa(case)];
            assert_eq!(hpas.len(), 1, "the HPA of {} was made anew", case.name);
        }
    }
    assert_eq!(
        hall.jobs().await,
        jobs,
        "the ScaledJob was KEDA's throughout"
    );
}

fn hpa(case: &Case) -> String {
    format!("keda-hpa-{}", case.name)
}

struct Hall<'a> {
    bed: &'a Bed,
    cases: &'a [Case],
}

impl Hall<'_> {
    async fn kubectl(&self, args: &[&str]) -> String {
        let args = [args, &["-n", NAMESPACE]].concat();
        self.bed.control_plane.kubectl(&args).await.unwrap()
    }

    /// Waits until KEDA has made jobs, which never end here; returns their uids.
    async fn jobs(&self) -> BTreeSet<String> {
        let jobs: Api<Job> = Api::namespaced(self.bed.client(), NAMESPACE);
        wait::until("jobs", PATIENCE, async || {
            let found = jobs.list(&ListParams::default()).await.unwrap();
            let found: BTreeSet<String> = found.iter().filter_map(ResourceExt::uid).collect();
            // Two, or one more: KEDA makes them faster than it sees them.
            (found.len() >= 2).then_some(found).ok_or("fewer than two")
        })
        .await
    }

    async fn all_are_answered(&self) {
        for case in self.cases {
            self.is_answered(case).await;
        }
    }

    /// Waits until the HPA of an object has a metric.
    async fn is_answered(&self, case: &Case) {
        if matches!(case.kind, Kind::Asleep | Kind::Paused) {
            return;
        }
        self.scaling_active(case, "True").await;
    }

    async fn scaling_active(&self, case: &Case, wanted: &str) {
        is_scaling_active(self.bed, NAMESPACE, &hpa(case), wanted).await;
    }

    /// Waits until lagscale answers for an object, which it does for none of another's.
    async fn is_handled(&self, case: &Case) {
        let args = ["explain", "--namespace", NAMESPACE, case.name];
        wait::until(
            &format!("{} to be handled", case.name),
            PATIENCE,
            async || {
                let said = says(self.bed, &args).await;
                let handled = said.starts_with(&format!("{NAMESPACE}/{}", case.name));
                handled.then_some(()).ok_or(said)
            },
        )
        .await;
    }

    async fn foreign_ones_hold(&self) {
        for case in self.cases.iter().filter(|c| c.kind == Kind::Foreign) {
            self.scaling_active(case, "False").await;
        }
    }

    /// The right to make the APIService, besides what every lagscale is installed with.
    async fn rights(&self) {
        ground::rights(self.bed).await;
        manifest(self.bed, "overlays/beside-keda/registration.yaml").await;
    }

    async fn a_shadow_says_what_will_be_different(&self) {
        let binary = Path::new(env!("CARGO_BIN_EXE_lagscale"));
        let mut shadow = self.bed.registering_lagscale(binary, &["--shadow"]);
        // The names of what differs.
        let differ = ["bounded", "clock", "foreign"];
        wait::until(
            "the shadow to agree but for the bounds",
            PATIENCE,
            async || {
                let said = says(self.bed, &["check", "--shadow"]).await;
                let rows = said.lines().filter_map(|l| l.split_whitespace().next());
                let rows = rows.filter_map(|name| name.strip_prefix("rehearsal/"));
                let mut rows: Vec<&str> = rows.collect();
                rows.dedup();
                (rows == differ).then_some(()).ok_or(said)
            },
        )
        .await;
        shadow.child.terminate(Duration::from_secs(30));
    }

    fn lagscale(&self, args: &[&str]) -> Lagscale {
        let binary = Path::new(env!("CARGO_BIN_EXE_lagscale"));
        let usual = [
            "--take-apiservice",
            "--service-addresses=keda-metrics-apiserver.keda=127.0.0.1",
        ];
        self.bed
            .registering_lagscale(binary, &[&usual, args].concat())
    }

    async fn api_service_of(&self, namespace: &str) {
        let api: Api<APIService> = Api::all(self.bed.client());
        wait::until("the APIService to change hands", PATIENCE, async || {
            let found = api.get(API_SERVICE).await.map_err(|e| e.to_string())?;
            let service = found.spec.and_then(|s| s.service).and_then(|s| s.namespace);
            let is = service.as_deref() == Some(namespace);
            is.then_some(()).ok_or_else(|| format!("{service:?}"))
        })
        .await;
        self.bed.available(API_SERVICE).await;
    }
}
