//! Day one of a platform team: it installs by kustomize beside somebody else's APIService, takes that over, lives through changes of the
//! CA, and uninstalls. Two replicas run from the manifests, with the token of their ServiceAccount and nothing else.

use std::{path::Path, time::Duration};

use bed::{Bed, BedOptions, wait};
use k8s_openapi::{
    api::{
        admissionregistration::v1::ValidatingWebhookConfiguration,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Namespace, Pod},
    },
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use lagscale::{
    resources::ScaledObject,
    server::{API_SERVICE, webhooks::Hook},
};
use libtest_mimic::Trial;
use serde_json::json;

use crate::{
    Shared,
    admission::{object, refuses},
    ask::ask,
    helm,
    load::Load,
    overlays,
    scene::Scene,
    world::{PATIENCE, connect_service, kubectl, logs, root},
};

/// A CA that is replaced after 40 seconds, a certificate after 20.
const SHORT: [&str; 3] = [
    "--ca-lifetime=60s",
    "--cert-lifetime=30s",
    "--cert-overlap=6s",
];

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![shared.alone(
        "installed by kustomize beside somebody's APIService, two replicas scale with their token only, change their CA under load, and are uninstalled; then by Helm",
        install,
    )]
}

async fn install() {
    let bed = Bed::start(&BedOptions::default()).await;
    overlays::taken(&bed).await;
    foreign(&bed).await;
    let kubeconfig = bed.dir().join("token.kubeconfig");
    bed.load_image(
        Path::new(env!("CARGO_BIN_EXE_lagscale")),
        &kubeconfig,
        &SHORT,
    );
    let manifests = root().join("manifests/overlays/beside-keda");
    let manifests = manifests.display().to_string();
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
    connect_service(&bed, "lagscale").await;
    bed.token_kubeconfig("lagscale", &kubeconfig).await;
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
        let logs = logs(&bed, "lagscale");
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
    hidden(&scene, &topic).await;
    rotation(&scene, &format!("s0-kafka-{topic}")).await;
    any_user(&bed).await;
    let (code, said, error) = ask(bed.control_plane.kubeconfig(), &["check"]).await;
    assert_eq!((code, error.as_str()), (0, ""), "{said}");
    assert!(
        said.contains("ok    Deployment lagscale/lagscale: 2 of 2 replicas are ready"),
        "{said}"
    );
    uninstall(&scene).await;
    helm::scales(&bed, &kubeconfig).await;
}

/// kube-apiserver calls the webhooks by a path that nobody can guess, and is told by it what only a look around shows.
async fn hidden(scene: &Scene<'_>, topic: &str) {
    let api: Api<ValidatingWebhookConfiguration> = Api::all(scene.bed.client());
    // A cluster's Service has port 443.
    let port = scene.bed.balancer.address().port();
    let field = |n: usize| format!("/webhooks/{n}/clientConfig/service/port");
    let each = (0..Hook::ALL.len()).map(|n| json!({"op": "add", "path": field(n), "value": port}));
    let ports = json!(each.collect::<Vec<_>>()).to_string();
    let patch = ["--type=json", "--patch", &ports];
    let target = [
        "patch",
        "validatingwebhookconfiguration",
        "lagscale-admission",
    ];
    kubectl(scene.bed, &[&target[..], &patch].concat()).await;
    let found = api.get("lagscale-admission").await.unwrap();
    let paths = found.webhooks.into_iter().flatten();
    let paths = paths.map(|w| w.client_config.service.unwrap().path.unwrap());
    let paths: Vec<_> = paths.collect();
    for (hook, path) in Hook::ALL.into_iter().zip(&paths) {
        let secret = path.strip_prefix(hook.path()).unwrap();
        assert_eq!(secret.len(), 33, "{path}");
    }
    let trigger = scene.trigger(topic, "g", &json!({}));
    let second = object(scene, "second", "app", &trigger, &json!({}));
    refuses(scene, &second, "already managed by the ScaledObject 'app").await;
}

fn apis(bed: &Bed) -> Api<APIService> {
    Api::all(bed.client())
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
    // The users' own objects stay.
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
