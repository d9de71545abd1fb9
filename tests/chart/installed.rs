//! The chart on a real API server, from its installation to its end.

use bed::{ControlPlane, ControlPlaneOptions, parts};
use serde_json::Value;

use crate::{chart, output, root};

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

    // No Prometheus operator is here, whose kinds these two make.
    let without = [
        "--set=prometheus.operator.serviceMonitor.enabled=false",
        "--set=prometheus.operator.prometheusRules.enabled=false",
    ];
    let shop = ["--set=permissions.operator.restrict.serviceAccountTokenCreationRoles=null"];
    let told = release.helm(
        &[
            &["upgrade", "lagscale", &chart, "--values", &values][..],
            &without,
            &shop,
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
    // The next release takes up what was kept.
    release.helm(&["install", "lagscale", &chart, "--take-ownership"]);
    assert_eq!(release.replicas().await, 2);
}
