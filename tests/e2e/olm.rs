//! An installation by the Operator Lifecycle Manager: its part is played by what it does with a bundle, which is to make the objects of
//! a ClusterServiceVersion; everything after that is lagscale's, from a KedaController on.

use std::path::Path;

use bed::{Bed, BedOptions, wait};
use k8s_openapi::api::{
    admissionregistration::v1::ValidatingWebhookConfiguration,
    autoscaling::v2::HorizontalPodAutoscaler,
};
use kube::{Api, api::ListParams};
use lagscale::server::{API_SERVICE, OWN_API_SERVICE};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, connect_service, kubectl, logs, root},
};

const NAMESPACE: &str = "keda";

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.alone(
        "installed from the bundle of OLM it makes what a bundle cannot hold, and a KedaController sets what the flags set",
        olm,
    )]
}

async fn olm() {
    let bed = Bed::start(&BedOptions::default()).await;
    bed.create_namespace(NAMESPACE).await;
    let kubeconfig = bed.dir().join("token.kubeconfig");
    let program = Path::new(env!("CARGO_BIN_EXE_lagscale"));
    bed.load_image(program, &kubeconfig, &["--shutdown-delay=0s"]);
    let deployments = installed(&bed).await;
    bed.token_kubeconfig(NAMESPACE, &kubeconfig).await;
    bed.apply(&deployments).await;
    // With the rights of the bundle it makes these.
    bed.available(API_SERVICE).await;
    bed.available(OWN_API_SERVICE).await;
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(bed.client());
    wait::until("webhooks", PATIENCE, async || {
        webhooks.get("lagscale-admission").await
    })
    .await;

    let elsewhere = bed.namespace("elsewhere").await;
    let seed = json!({"watchNamespace": "", "logLevel": "info", "logEncoder": "console", "logLevelMetrics": "0"});
    controller(&bed, NAMESPACE, "keda", &seed).await;
    controller(&bed, NAMESPACE, "second", &json!({})).await;
    controller(&bed, &elsewhere, "keda", &json!({})).await;
    says(&bed, NAMESPACE, "keda", "Installation Succeeded").await;
    for (namespace, name) in [(NAMESPACE, "second"), (elsewhere.as_str(), "keda")] {
        let reason = says(&bed, namespace, name, "Installation Ignored").await;
        assert!(reason.contains("namespace keda is acted on"), "{reason}");
    }

    let watched = Scene::new(&bed, "watched").await;
    let other = Scene::new(&bed, "other").await;
    let narrow = json!({
        "watchNamespace": watched.namespace,
        "operator": {"logLevel": "debug", "logEncoder": "json", "args": ["--x"]},
    });
    controller(&bed, NAMESPACE, "keda", &narrow).await;
    // A leader that began with these settings says so.
    wait::until("what means nothing to be named", PATIENCE, async || {
        let (_, reason) = status(&bed, NAMESPACE, "keda").await?;
        let named = reason.starts_with("operator.args mean nothing here");
        if named { Ok(()) } else { Err(reason) }
    })
    .await;
    let (_, _unwatched) = other.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    let (_, observer) = watched.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    watched.reaches(&observer, 3).await;
    let hpas: Api<HorizontalPodAutoscaler> = Api::namespaced(bed.client(), &other.namespace);
    let hpas = hpas.list(&ListParams::default()).await.unwrap();
    assert!(hpas.items.is_empty(), "{:?}", hpas.items);
    let written = logs(&bed, NAMESPACE);
    for line in [" INFO lagscale", "\"level\":\"DEBUG\""] {
        assert!(written.contains(line), "{line}: {written}");
    }

    let wrong = json!({"watchNamespace": watched.namespace, "operator": {"logLevel": "loud", "logEncoder": "json"}});
    controller(&bed, NAMESPACE, "keda", &wrong).await;
    let reason = says(&bed, NAMESPACE, "keda", "Installation Failed").await;
    assert!(
        reason.starts_with("spec.operator.logLevel: \"loud\" was found, expected debug"),
        "{reason}"
    );
    assert!(watched.hpa("app").await.is_some());
}

/// Makes what is in the bundle, in its namespace, and returns the Deployments, as OLM does.
async fn installed(bed: &Bed) -> Vec<Value> {
    let folder = root().join("manifests/olm/manifests");
    let mut versions = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let object: Value =
            serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if object["kind"] == "ClusterServiceVersion" {
            versions.push(object);
            continue;
        }
        let path = path.display().to_string();
        let apply = [
            "apply",
            "--server-side",
            "--namespace",
            NAMESPACE,
            "-f",
            &path,
        ];
        kubectl(bed, &apply).await;
    }
    connect_service(bed, NAMESPACE).await;
    let [version] = versions.as_slice() else {
        panic!("{} versions", versions.len());
    };
    let install = &version["spec"]["install"]["spec"];
    for (field, kind) in [
        ("clusterPermissions", "ClusterRole"),
        ("permissions", "Role"),
    ] {
        for (nth, permission) in install[field].as_array().unwrap().iter().enumerate() {
            grant(
                bed,
                kind,
                &format!("{field}-{nth}").to_lowercase(),
                permission,
            )
            .await;
        }
    }
    let deployments = install["deployments"].as_array().unwrap().iter();
    let deployments = deployments.map(|d| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": d["name"], "namespace": NAMESPACE, "labels": d["label"]}, "spec": d["spec"],
        })
    });
    deployments.collect()
}

/// A role with these rules, for the ServiceAccount that they are of.
async fn grant(bed: &Bed, kind: &str, name: &str, permission: &Value) {
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    let account = &permission["serviceAccountName"];
    let in_one = kind == "Role";
    let metadata = if in_one {
        json!({"name": name, "namespace": NAMESPACE})
    } else {
        json!({"name": name})
    };
    bed.apply(&[
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": NAMESPACE}}),
        json!({"apiVersion": version, "kind": kind, "metadata": metadata, "rules": permission["rules"]}),
        json!({
            "apiVersion": version, "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
        }),
    ])
    .await;
}

/// Applies a KedaController.
async fn controller(bed: &Bed, namespace: &str, name: &str, spec: &Value) {
    let object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "KedaController",
        "metadata": {"name": name, "namespace": namespace}, "spec": spec,
    });
    bed.apply(&[object]).await;
}

async fn status(bed: &Bed, namespace: &str, name: &str) -> Result<(String, String), String> {
    let get = ["get", "kedacontroller", name, "-n", namespace, "-o", "json"];
    let found = bed.control_plane.kubectl(&get).await?;
    let found: Value = serde_json::from_str(&found).map_err(|e| e.to_string())?;
    let text = |field: &str| {
        found["status"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    Ok((text("phase"), text("reason")))
}

/// Waits until its status is in this phase; returns the reason.
async fn says(bed: &Bed, namespace: &str, name: &str, phase: &str) -> String {
    wait::until(&format!("{name}: {phase}"), PATIENCE, async || {
        let found = status(bed, namespace, name).await?;
        if found.0 == phase {
            Ok(found.1)
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await
}
