//! The Helm chart on a bed that the manifests have left: from a release to a scaled consumer.

use std::{path::Path, process::Command};

use bed::{Bed, parts};
use lagscale::server::API_SERVICE;
use serde_json::json;

use crate::{
    scene::Scene,
    world::{connect_service, root},
};

/// Installs the chart as its page says, and scales by it. `kubeconfig` is where its pods look for their token.
pub async fn scales(bed: &Bed, kubeconfig: &Path) {
    // Its token went with the ServiceAccount of the manifests; a pod waits for another one.
    std::fs::remove_file(kubeconfig).unwrap();
    let installed = Command::new(parts::helm())
        .args(["install", "lagscale"])
        .arg(root().join("charts/lagscale"))
        // Uninstalling the manifests kept the CRDs.
        .args([
            "--namespace=lagscale",
            "--create-namespace",
            "--take-ownership",
            "--kubeconfig",
        ])
        .arg(bed.control_plane.kubeconfig())
        .output()
        .unwrap();
    assert!(installed.status.success(), "{installed:?}");
    connect_service(bed, "lagscale").await;
    bed.token_kubeconfig("lagscale", kubeconfig).await;
    bed.available(API_SERVICE).await;
    let scene = Scene::new(bed, "helm").await;
    let (_, observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    scene.reaches(&observer, 3).await;
}
