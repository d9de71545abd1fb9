//! The chart on a real API server, from its installation to its end.

use bed::{ControlPlane, ControlPlaneOptions, parts};
use serde_json::Value;

use crate::{chart, output, root};

/// The values that add objects or parts of them; no Prometheus operator is here, whose kinds two others make.
const EVERYTHING: [&str; 8] = [
    "--set=externalScaler.enabled=true",
    "--set=statusPage.enabled=true",
    "--set=grafana.dashboards.enabled=true",
    "--set=networkPolicy.enabled=true",
    "--set=permissions.operator.restrict.secret=true",
    WITHOUT[0],
    WITHOUT[1],
    SHOP,
];
const WITHOUT: [&str; 2] = [
    "--set=prometheus.operator.serviceMonitor.enabled=false",
    "--set=prometheus.operator.prometheusRules.enabled=false",
];
/// A namespace of KEDA's values that is not here.
const SHOP: &str = "--set=permissions.operator.restrict.serviceAccountTokenCreationRoles=null";

/// A release on an API server.
struct Release {
    plane: ControlPlane,
    kubeconfig: String,
}

impl Release {
    fn helm(&self, args: &[&str]) -> String {
        let all = [
            &["--kubeconfig", &self.kubeconfig, "--namespace=lagscale"],
            args,
        ]
        .concat();
        output(&parts::helm(), &all).unwrap()
    }

    async fn get(&self, what: &[&str]) -> Option<Value> {
        let all = [&["get", "--namespace=lagscale", "--output=json"], what].concat();
        let found = self.plane.kubectl(&all).await.ok()?;
        serde_json::from_str(&found).ok()
    }

    /// The API server's judgement of every object by its own schemas, down to the last field.
    async fn is_strictly_taken(&self, objects: &str) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("objects.yaml");
        std::fs::write(&file, objects).unwrap();
        let file = format!("--filename={}", file.display());
        let apply = ["apply", "--server-side", "--force-conflicts", &file];
        let dry = ["--dry-run=server", "--validate=strict"];
        let done = self.plane.kubectl(&[&apply[..], &dry].concat()).await;
        done.map(drop)
    }

    async fn replicas(&self) -> Value {
        let deployment = self.get(&["deployment", "lagscale"]).await.unwrap();
        deployment["spec"]["replicas"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_installed_upgraded_rolled_back_and_uninstalled_without_taking_any_object_along() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(folder.path(), &ControlPlaneOptions::default()).await;
    let kubeconfig = plane.kubeconfig().display().to_string();
    let release = Release { plane, kubeconfig };
    let chart = chart();
    let values = root()
        .join("tests/chart/keda-values.yaml")
        .display()
        .to_string();

    let told = release.helm(&["install", "lagscale", &chart, "--create-namespace"]);
    assert!(
        told.contains("lagscale check --installed-in lagscale"),
        "{told}"
    );
    assert!(!told.contains("mean nothing here"), "{told}");
    assert_eq!(release.replicas().await, 2);
    let kept = r#"{"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "kept"},
        "spec": {"scaleTargetRef": {"name": "app"}, "triggers": [{"type": "kafka", "metadata": {}}]}}"#;
    let file = folder.path().join("kept.json");
    std::fs::write(&file, kept).unwrap();
    let file = file.display().to_string();
    release
        .plane
        .kubectl(&[
            "wait",
            "--for=condition=Established",
            "crd/scaledobjects.keda.sh",
        ])
        .await
        .unwrap();
    release
        .plane
        .kubectl(&["create", "--filename", &file])
        .await
        .unwrap();

    let told = release.helm(
        &[
            &["upgrade", "lagscale", &chart, "--values", &values][..],
            &WITHOUT,
            &[SHOP],
        ]
        .concat(),
    );
    for path in [
        "image.keda",
        "metricsServer",
        "http",
        "podIdentity",
        "extraArgs.keda",
    ] {
        assert!(told.contains(path), "{path}: {told}");
    }
    assert!(told.contains("mean nothing here"), "{told}");
    assert!(told.contains("that of KEDA is not run"), "{told}");
    assert_eq!(release.replicas().await, 3);

    release.helm(&["rollback", "lagscale", "1"]);
    assert_eq!(release.replicas().await, 2);

    release.helm(&["uninstall", "lagscale"]);
    assert!(release.get(&["deployment", "lagscale"]).await.is_none());
    assert!(
        release
            .get(&["apiservice", "v1beta1.external.metrics.k8s.io"])
            .await
            .is_none()
    );
    let object = release
        .plane
        .kubectl(&["get", "scaledobject", "kept", "--output=name"])
        .await;
    assert_eq!(object.unwrap().trim(), "scaledobject.keda.sh/kept");
    // Over a release each list would hold what both make.
    let all = [
        &["template", "lagscale", &chart, "--values", &values][..],
        &EVERYTHING,
    ]
    .concat();
    let rendered = release.helm(&all);
    release.is_strictly_taken(&rendered).await.unwrap();
    let known = "terminationGracePeriodSeconds:";
    let misspelt = rendered.replacen(known, "terminationGraceSeconds:", 1);
    let refused = release.is_strictly_taken(&misspelt).await.unwrap_err();
    assert!(refused.contains("terminationGraceSeconds"), "{refused}");

    // The next release takes up what was kept.
    release.helm(&["install", "lagscale", &chart, "--take-ownership"]);
    assert_eq!(release.replicas().await, 2);
}
