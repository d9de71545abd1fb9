//! The manifests as an API server looks at them, overlay by overlay.

use std::{path::Path, process::Command};

use bed::Bed;
use clap::Parser;
use lagscale::args::Cli;
use serde_json::{Value, json};

use crate::world::{kubectl, root};

/// The API server takes every overlay, as it would from kubectl.
pub async fn taken(bed: &Bed) {
    let dir = bed.dir().join("install");
    copy(&root().join("manifests"), &dir.join("manifests"));
    copy(&root().join("certs"), &dir.join("certs"));
    let made = Command::new(env!("CARGO_BIN_EXE_lagscale"))
        .args(["certs", "--force", "--directory"])
        .arg(dir.join("certs"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    // As far as the API server looks at them: it is cert-manager itself that judges them.
    let kinds = ["Certificate", "Issuer"].map(|kind| json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}s.cert-manager.io", kind.to_lowercase())},
        "spec": {
            "group": "cert-manager.io", "scope": "Namespaced",
            "names": {"kind": kind, "plural": format!("{}s", kind.to_lowercase())},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    }));
    bed.apply(&kinds).await;
    bed.create_namespace("keda-kafka").await;
    std::fs::create_dir(dir.join("manifests/all-components")).unwrap();
    let all = "resources: [../base]\ncomponents: [../components/external-scaler, ../components/network-policy, ../components/one-port, ../components/status-page, ../components/user-roles]\n";
    std::fs::write(dir.join("manifests/all-components/kustomization.yaml"), all).unwrap();
    let crds = dir.join("manifests/base/crds.yaml").display().to_string();
    kubectl(bed, &["apply", "--server-side", "-f", &crds]).await;
    kubectl(
        bed,
        &[
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=60s",
        ],
    )
    .await;
    for overlay in [
        ".",
        "overlays/own-files",
        "overlays/cert-manager",
        "overlays/openshift",
        "overlays/namespaced",
        "overlays/beside-keda",
        "overlays/restricted",
        "all-components",
    ] {
        let path = dir.join("manifests").join(overlay).display().to_string();
        let said = kubectl(
            bed,
            &[
                "apply",
                "--server-side",
                "--force-conflicts",
                "--dry-run=server",
                "--validate=strict",
                "-k",
                &path,
            ],
        )
        .await;
        for object in [
            "deployment.apps/lagscale",
            "poddisruptionbudget.policy/lagscale",
        ] {
            assert!(said.contains(object), "{overlay}: {said}");
        }
        let registers = said.contains("v1beta1.external.metrics.k8s.io");
        assert!(
            said.contains("v1beta1.external.metrics.lagscale.io"),
            "{overlay}: {said}"
        );
        assert_eq!(registers, !overlay.ends_with("keda"), "{overlay}: {said}");
    }
    let workload = dir.join("manifests/samples/workload.yaml");
    let workload = workload.display().to_string();
    let dry = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "-f",
    ];
    let said = kubectl(bed, &[&dry[..], &[&workload]].concat()).await;
    assert!(
        said.contains("deployment.apps/pump") && said.contains("service/pump"),
        "{said}"
    );
    own_files(bed, &dir).await;
    one_port(bed, &dir).await;
}

/// A component that closes the plain port leaves probes and arguments that go together.
async fn one_port(bed: &Bed, dir: &Path) {
    let overlay = dir.join("manifests/overlays/restricted");
    let built = kubectl(bed, &["kustomize", &overlay.display().to_string()]).await;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&built).unwrap();
    let deployment = objects.iter().find(|o| o["kind"] == "Deployment").unwrap();
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let args = container["args"].as_array().unwrap();
    let args = args.iter().map(|a| a.as_str().unwrap());
    let cli = Cli::try_parse_from(std::iter::once("lagscale").chain(args)).unwrap();
    assert_eq!(cli.run.metrics_listen.0, None);
    for probe in ["livenessProbe", "readinessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(
            (&get["port"], &get["scheme"]),
            (&json!("https"), &json!("HTTPS")),
            "{probe}"
        );
    }
    assert_eq!(container["ports"].as_array().unwrap().len(), 1);
    let cluster_wide = objects.iter().filter(|o| o["kind"] == "ClusterRole");
    let mut rules = cluster_wide.flat_map(|role| role["rules"].as_array().unwrap());
    let secrets = |rule: &&Value| {
        rule["resources"]
            .as_array()
            .is_some_and(|r| r.contains(&json!("secrets")))
    };
    assert_eq!(rules.find(secrets), None);
}

/// A CA of one's own is told to whoever has to trust it.
async fn own_files(bed: &Bed, dir: &Path) {
    let built = kubectl(
        bed,
        &[
            "kustomize",
            &dir.join("manifests/overlays/own-files")
                .display()
                .to_string(),
        ],
    )
    .await;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&built).unwrap();
    let of = |kind: &str| objects.iter().find(|o| o["kind"] == kind).unwrap();
    let ca = std::fs::read(dir.join("certs/ca.crt")).unwrap();
    let ca = serde_json::to_value(k8s_openapi::ByteString(ca)).unwrap();
    // kustomize folds long lines; the API server reads over that.
    let told = |bundle: &Value| bundle.as_str().unwrap().replace('\n', "");
    assert_eq!(told(&of("APIService")["spec"]["caBundle"]), ca);
    let webhooks = &of("ValidatingWebhookConfiguration")["webhooks"];
    for webhook in webhooks.as_array().unwrap() {
        assert_eq!(told(&webhook["clientConfig"]["caBundle"]), ca);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}
