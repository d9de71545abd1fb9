//! Refusals at apply of what would never work, by the real API server; what is stored already can always be changed.

use bed::{free_port, wait};
use http::Request;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::api::PostParams;
use lagscale::{resources::ScaledObject, server::webhooks::Hook};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    access::direct,
    scene::Scene,
    world::{PATIENCE, World, root},
};

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("what would never work is refused at kubectl apply, with the text that says why", refused),
        shared.trial("an object that was stored before it was checked lets go of its finalizer, and only its spec is judged", stored),
        shared.trial("the webhooks ask nobody who he is, and take no more than one review", open),
        shared.trial("while the webhooks are away everything can be applied", away),
    ]
}

/// kubectl apply of `object`: what it said, on either stream if it failed.
async fn apply(scene: &Scene<'_>, object: &Value, more: &[&str]) -> Result<String, String> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let file = format!("{}-{name}.json", scene.namespace);
    let file = scene.bed.dir().join(file);
    std::fs::write(&file, object.to_string()).unwrap();
    let file = file.display().to_string();
    let args = [&["apply", "-f", &file], more].concat();
    scene.bed.control_plane.kubectl(&args).await
}

/// Neither taken, nor in a dry run: which also waits until the webhook knows what is around the object.
pub async fn refuses(scene: &Scene<'_>, object: &Value, text: &str) {
    let what = format!("{text:?} at apply");
    wait::until(&what, PATIENCE, async || {
        match apply(scene, object, &["--dry-run=server"]).await {
            Err(said) if said.contains(text) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    let said = apply(scene, object, &[]).await.unwrap_err();
    assert!(said.contains(text), "{said}");
    assert!(said.contains("denied the request"), "{said}");
}

pub fn object(scene: &Scene<'_>, name: &str, target: &str, trigger: &Value, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
        "metadata": {"name": name, "namespace": scene.namespace},
        "spec": {"scaleTargetRef": {"name": target}, "minReplicaCount": 1, "triggers": [trigger]},
    });
    for (key, value) in spec.as_object().into_iter().flatten() {
        object["spec"][key] = value.clone();
    }
    object
}

async fn refused(world: &World) {
    let scene = Scene::new(&world.bed, "admission").await;
    let none = json!({});
    let kafka = |more: &Value| scene.trigger("t", "g", more);
    let good = kafka(&none);
    for name in ["app", "other"] {
        scene.idle(name, 1).await;
    }

    let bad = object(
        &scene,
        "bad",
        "app",
        &kafka(&json!({"lagThreshold": "-3"})),
        &none,
    );
    refuses(&scene, &bad, "\"lagThreshold\" must be positive number").await;
    // The credential's content is not known yet.
    let mut unknown = kafka(&json!({"sasl": "plaintext"}));
    unknown["authenticationRef"]["name"] = "later".into();
    let unknown = object(&scene, "unknown", "app", &unknown, &none);
    apply(&scene, &unknown, &["--dry-run=server"])
        .await
        .unwrap();

    let cooled = object(&scene, "app", "app", &good, &json!({"cooldownPeriod": 30}));
    let warned = apply(&scene, &cooled, &["--warnings-as-errors"]).await;
    let warned = warned.unwrap_err();
    assert!(
        warned.contains("CooldownPeriod is configured but is not relevant"),
        "{warned}"
    );
    assert!(scene.api::<ScaledObject>().get("app").await.is_ok());

    let second = object(&scene, "second", "app", &good, &none);
    let text = "the workload 'app' of type 'apps/v1.Deployment' is already managed by the ScaledObject 'app'";
    refuses(&scene, &second, text).await;

    let hpa: HorizontalPodAutoscaler = serde_json::from_value(json!({
        "metadata": {"name": "mine"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"}, "maxReplicas": 2},
    }))
    .unwrap();
    let hpas = scene.api::<HorizontalPodAutoscaler>();
    hpas.create(&PostParams::default(), &hpa).await.unwrap();
    let beside = object(&scene, "beside", "other", &good, &none);
    let text =
        "the workload 'other' of type 'apps/v1.Deployment' is already managed by the hpa 'mine'";
    refuses(&scene, &beside, text).await;
    let allowed =
        json!({"metadata": {"annotations": {"validations.keda.sh/hpa-ownership": "false"}}});
    scene
        .patch::<HorizontalPodAutoscaler>("mine", &allowed)
        .await;
    wait::until("an HPA that allows it", PATIENCE, async || {
        apply(&scene, &beside, &["--dry-run=server"]).await
    })
    .await;

    requests(&scene).await;
    let file = json!({
        "apiVersion": "keda.sh/v1alpha1", "kind": "TriggerAuthentication",
        "metadata": {"name": "file", "namespace": scene.namespace}, "spec": {"filePath": "secrets.json"},
    });
    refuses(
        &scene,
        &file,
        "filePath is only supported for ClusterTriggerAuthentication",
    )
    .await;
}

/// A dry run does not look at the workload, which may be applied with it.
async fn requests(scene: &Scene<'_>) {
    scene.idle("busy", 1).await;
    let cpu = json!({"type": "cpu", "metricType": "Utilization", "metadata": {"value": "50"}});
    let busy = object(scene, "busy", "busy", &cpu, &json!({}));
    let text = "the scaledobject has a cpu trigger but the container main doesn't have the cpu request defined";
    // A review that can't read the workload within two seconds, as on a busy machine, takes the object and warns.
    wait::until(
        "the refusal of a workload without requests",
        PATIENCE,
        async || {
            let said = match apply(scene, &busy, &["--warnings-as-errors"]).await {
                Err(said) if said.contains(text) => return Ok(()),
                other => format!("it was taken: {other:?}"),
            };
            scene.delete("busy").await;
            Err(said)
        },
    )
    .await;
    let missing = object(scene, "early", "nobody", &cpu, &json!({}));
    let said = apply(scene, &missing, &["--warnings-as-errors"]).await;
    let said = said.unwrap_err();
    assert!(
        said.contains("were not checked: deployments.apps \"nobody\" not found"),
        "{said}"
    );
    let range = json!({
        "apiVersion": "v1", "kind": "LimitRange",
        "metadata": {"name": "requests", "namespace": scene.namespace},
        "spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "100m"}}]},
    });
    scene.bed.apply(&[range]).await;
    apply(scene, &busy, &[]).await.unwrap();
}

async fn stored(world: &World) {
    let scene = Scene::unchecked(&world.bed, "stored").await;
    let trigger = scene.trigger("t", "g", &json!({"lagThreshold": "many"}));
    let mut invalid = object(&scene, "app", "app", &trigger, &json!({}));
    invalid["metadata"]["finalizers"] = json!(["example.com/held"]);
    apply(&scene, &invalid, &[]).await.unwrap();
    scene.idle("app", 1).await;
    // The status says it meanwhile, and goes on to be written.
    scene
        .condition("app", "Ready", "False", "lagThreshold")
        .await;
    world.bed.checked(&scene.namespace).await;
    let changed = object(
        &scene,
        "app",
        "app",
        &trigger,
        &json!({"pollingInterval": 7}),
    );
    refuses(
        &scene,
        &changed,
        "unable to set param \"lagThreshold\" value \"many\"",
    )
    .await;

    let patch = json!({"metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}, "finalizers": null}});
    scene.patch::<ScaledObject>("app", &patch).await;
    let kept = scene.api::<ScaledObject>().get("app").await.unwrap();
    assert_eq!(kept.metadata.finalizers, None);
    assert_eq!(kept.metadata.labels.unwrap()["team"], "a");
    scene.delete("app").await;
}

async fn open(world: &World) {
    let nobody = direct(&world.bed, &world.lagscale, None);
    let path = Hook::TriggerAuthentication.path();
    let send = async |method: &str, path: &str, body: Vec<u8>| {
        let request = Request::builder().method(method).uri(path).body(body);
        match nobody.request_text(request.unwrap()).await {
            Ok(body) => (200, body),
            Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
            Err(error) => (0, error.to_string()),
        }
    };
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {"uid": "1", "operation": "CREATE", "namespace": "shop",
            "object": {"metadata": {"name": "a"}, "spec": {"filePath": "f"}}},
    });
    let (code, said) = send("POST", path, review.to_string().into()).await;
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (code, &answer["response"]["allowed"]),
        (200, &false.into()),
        "{said}"
    );
    assert_eq!(answer["response"]["uid"], "1");
    assert_eq!(send("GET", path, Vec::new()).await.0, 405);
    let (code, said) = send("POST", path, b"{}".to_vec()).await;
    assert_eq!(
        (code, said.contains("no AdmissionReview v1")),
        (400, true),
        "{said}"
    );
    // A client that still sends may lose the connection before it reads the answer.
    let (code, said) = send("POST", path, vec![b' '; 4 << 20]).await;
    assert!(matches!(code, 0 | 413), "{code} {said}");
    // Nothing else is open beside them.
    let (code, said) = send("POST", "/validate", Vec::new()).await;
    assert_eq!(code, 403, "{said}");
}

async fn away(world: &World) {
    let scene = Scene::new(&world.bed, "away").await;
    let text = std::fs::read_to_string(root().join("manifests/base/webhook.yaml")).unwrap();
    let mut webhooks: Value = serde_saphyr::from_str(&text).unwrap();
    webhooks["metadata"]["name"] = "away".into();
    let only = json!({"matchLabels": {"kubernetes.io/metadata.name": scene.namespace}});
    for webhook in webhooks["webhooks"].as_array_mut().unwrap() {
        let client = &mut webhook["clientConfig"];
        client["service"]["port"] = free_port().into();
        client.as_object_mut().unwrap().remove("caBundle");
        webhook["namespaceSelector"] = only.clone();
    }
    world.bed.apply(&[webhooks]).await;
    wait::until("the API server to go on alone", PATIENCE, async || {
        let trigger = scene.trigger("t", "g", &json!({}));
        apply(
            &scene,
            &object(&scene, "app", "app", &trigger, &json!({})),
            &[],
        )
        .await
        .unwrap();
        let log = world.bed.control_plane.apiserver_log();
        let said = |l: &str| l.contains("failing open vscaledobject.kb.io");
        let found = log.lines().any(said);
        scene.delete("app").await;
        if found { Ok(()) } else { Err("not called yet") }
    })
    .await;
}
