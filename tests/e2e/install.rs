//! What a platform team does on day one: installs by kustomize beside somebody else's APIService, takes that over, lives through changes of the
//! CA, and uninstalls. Two replicas run from the manifests, with the token of their ServiceAccount and nothing else.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use bed::{Bed, BedOptions, wait};
use k8s_openapi::{
    api::{
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Namespace, Pod},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use lagscale::{resources::ScaledObject, server::API_SERVICE};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    ask::ask,
    load::Load,
    scene::Scene,
    world::{PATIENCE, root},
};

/// A CA that is replaced after 40 seconds, a certificate after 20.
const SHORT: [&str; 3] = [
    "--ca-lifetime=60s",
    "--cert-lifetime=30s",
    "--cert-overlap=6s",
];

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.alone(
        "installed by kustomize beside somebody's APIService, two replicas scale with their token only, change their CA under load, and are uninstalled",
        install,
    )]
}

async fn install() {
    let bed = Bed::start(&BedOptions::default()).await;
    overlays(&bed).await;
    foreign(&bed).await;
    let kubeconfig = bed.dir().join("token.kubeconfig");
    bed.load_image(
        Path::new(env!("CARGO_BIN_EXE_lagscale")),
        &kubeconfig,
        &SHORT,
    );
    let manifests = root().join("manifests").display().to_string();
    kubectl(
        &bed,
        &[
            "apply",
            "--server-side",
            "--force-conflicts",
            "-k",
            &manifests,
        ],
    )
    .await;
    // A cluster has a network between its nodes.
    kubectl(&bed, &["delete", "service", "-n", "lagscale", "lagscale"]).await;
    bed.service("lagscale", "lagscale").await;
    bed.token_kubeconfig(&kubeconfig).await;
    kubectl(
        &bed,
        &[
            "wait",
            "--for=condition=Available",
            "-n",
            "lagscale",
            "deployment/lagscale",
            "--timeout=120s",
        ],
    )
    .await;

    let said = "leads to Service keda/keda-operator-metrics-apiserver of Helm release keda";
    wait::until("the foreign APIService to be named", PATIENCE, async || {
        let logs = logs(&bed);
        if logs.contains(said) {
            Ok(())
        } else {
            Err(logs)
        }
    })
    .await;
    let found = apis(&bed).get(API_SERVICE).await.unwrap();
    let leads_to = found.spec.unwrap().service.unwrap().namespace;
    assert_eq!(leads_to.as_deref(), Some("keda"), "taken unasked");
    // Told to, it takes it.
    let program = Path::new(env!("CARGO_BIN_EXE_lagscale"));
    let told = [&SHORT[..], &["--take-apiservice"]].concat();
    bed.load_image(program, &kubeconfig, &told);
    let restart = "rollout restart -n lagscale deployment/lagscale";
    kubectl(&bed, &restart.split(' ').collect::<Vec<_>>()).await;
    bed.available(API_SERVICE).await;
    let found = apis(&bed).get(API_SERVICE).await.unwrap().spec.unwrap();
    let leads_to = found.service.unwrap().namespace;
    assert_eq!(leads_to.as_deref(), Some("lagscale"));
    assert_eq!(found.insecure_skip_tls_verify, None);

    let scene = Scene::new(&bed, "installed").await;
    let (topic, observer) = scene.app((5, 10), 12, 1, &json!({}), &json!({})).await;
    scene.reaches(&observer, 3).await;
    rotation(&scene, &format!("s0-kafka-{topic}")).await;
    any_user(&bed).await;
    let (code, said, error) = ask(bed.control_plane.kubeconfig(), &["check"]).await;
    assert_eq!((code, error.as_str()), (0, ""), "{said}");
    assert!(
        said.contains("ok    Deployment lagscale/lagscale: 2 of 2 replicas are ready"),
        "{said}"
    );
    uninstall(&scene).await;
}

async fn kubectl(bed: &Bed, args: &[&str]) -> String {
    let done = bed.control_plane.kubectl(args).await;
    done.unwrap_or_else(|e| panic!("kubectl {}: {e}", args.join(" ")))
}

fn apis(bed: &Bed) -> Api<APIService> {
    Api::all(bed.client())
}

/// What all replicas wrote.
fn logs(bed: &Bed) -> String {
    let files = std::fs::read_dir(bed.pod_logs()).unwrap();
    let files = files.map(|f| f.unwrap().path());
    let own = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("lagscale_")
    };
    let texts = files
        .filter(own)
        .map(|f| std::fs::read_to_string(f).unwrap());
    texts.collect()
}

/// The API server takes every overlay, as it would from kubectl.
async fn overlays(bed: &Bed) {
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
        let registers = said.contains("apiservice.apiregistration.k8s.io");
        let given = overlay.ends_with("files") || overlay.ends_with("manager");
        assert_eq!(registers, given, "{overlay}: {said}");
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

/// The APIService of a KEDA whose operator does not run any more.
async fn foreign(bed: &Bed) {
    bed.apply(&[json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": API_SERVICE, "annotations": {"meta.helm.sh/release-name": "keda"}},
        "spec": {
            "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "insecureSkipTLSVerify": true,
            "service": {"namespace": "keda", "name": "keda-operator-metrics-apiserver"},
        },
    })])
    .await;
}

/// The CA is replaced twice while metrics are asked for: no request fails, and the APIService is available all the time.
async fn rotation(scene: &Scene<'_>, metric: &str) {
    let bundle = async || {
        let found = apis(scene.bed).get(API_SERVICE).await.unwrap();
        let bundle = found.spec.unwrap().ca_bundle.unwrap().0;
        String::from_utf8(bundle).unwrap()
    };
    let load = Load::begin(scene, metric);
    let mut trusted = bundle().await;
    for change in ["first", "second"] {
        let what = format!("the {change} change of the CA to be over");
        trusted = wait::until(&what, PATIENCE, async || {
            scene.bed.availability(API_SERVICE).await.unwrap();
            let now = bundle().await;
            let certificates = now.matches("BEGIN CERTIFICATE").count();
            // The CA before is not among those that are trusted now.
            let first = trusted
                .split_inclusive("-----END CERTIFICATE-----")
                .next()
                .unwrap();
            if certificates == 1 && !now.contains(first.trim()) {
                Ok(now)
            } else {
                Err(certificates)
            }
        })
        .await;
    }
    load.goes_on().await;
    assert_eq!(
        load.end().await,
        Vec::<String>::new(),
        "while the CA changed"
    );
}

/// The namespace enforces pod security "restricted", and any uid will do.
async fn any_user(bed: &Bed) {
    let pods: Api<Pod> = Api::namespaced(bed.client(), "lagscale");
    let params = ListParams::default().labels("app.kubernetes.io/name=lagscale");
    let mut pod = pods.list(&params).await.unwrap().items.remove(0);
    pod.metadata = kube::core::ObjectMeta {
        name: Some("any-user".into()),
        ..Default::default()
    };
    let spec = pod.spec.as_mut().unwrap();
    spec.security_context.as_mut().unwrap().run_as_user = Some(1_000_650_000);
    spec.node_name = None;
    let dry = kube::api::PostParams {
        dry_run: true,
        ..Default::default()
    };
    pods.create(&dry, &pod).await.unwrap();
    let context = spec_of(&mut pod);
    context.allow_privilege_escalation = Some(true);
    let refused = pods.create(&dry, &pod).await.unwrap_err().to_string();
    assert!(refused.contains("PodSecurity"), "{refused}");
}

fn spec_of(pod: &mut Pod) -> &mut k8s_openapi::api::core::v1::SecurityContext {
    let container = &mut pod.spec.as_mut().unwrap().containers[0];
    container.security_context.as_mut().unwrap()
}

async fn uninstall(scene: &Scene<'_>) {
    let bed = scene.bed;
    let tool = bed.control_plane.kubectl_path();
    let path = format!(
        "{}:{}",
        tool.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let script = root().join("manifests/uninstall.sh");
    let done = tokio::process::Command::new("sh")
        .arg(script)
        .env("PATH", path)
        .env("KUBECONFIG", bed.control_plane.kubeconfig())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(said.ends_with("lagscale is gone\n"), "{said}");
    assert!(apis(bed).get_opt(API_SERVICE).await.unwrap().is_none());
    let namespaces: Api<Namespace> = Api::all(bed.client());
    assert!(namespaces.get_opt("lagscale").await.unwrap().is_none());
    // What is users' own stays.
    assert!(scene.hpa("app").await.is_some());
    let objects: Api<ScaledObject> = scene.api();
    objects.get("app").await.unwrap();
    // And a namespace with all of it can be deleted.
    namespaces
        .delete(&scene.namespace, &DeleteParams::default())
        .await
        .unwrap();
    let gone = async || match namespaces.get_opt(&scene.namespace).await.unwrap() {
        None => Ok(()),
        Some(namespace) => Err(format!("{:?}", namespace.status)),
    };
    wait::until("the namespace to go", Duration::from_secs(120), gone).await;
    let hpas: Api<HorizontalPodAutoscaler> = scene.api();
    assert!(
        hpas.list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}
