//! Verified callers, and the registration that kube-apiserver and kubectl expect.

use bed::{Bed, Lagscale, wait};
use kube::{Client, Config};
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::{
    Shared,
    scene::Scene,
    world::{PATIENCE, World, series},
};

const BASE: &str = "/apis/external.metrics.k8s.io/v1beta1";

pub fn trials(shared: &Shared) -> Vec<Trial> {
    vec![
        shared.trial("nobody gets a value without a right to it, and nobody is believed who says whose proxy he is", who),
        shared.trial("the documents of discovery and OpenAPI are what kube-apiserver merges", documents),
        shared.trial("kubectl knows the kind, and kube-apiserver has no complaint about its OpenAPI", known),
    ]
}

/// A client that speaks to lagscale itself, past kube-apiserver; `identity`: certificate and key as PEM.
pub fn direct(bed: &Bed, lagscale: &Lagscale, identity: Option<&str>) -> Client {
    let uri = format!("https://localhost:{}", lagscale.address.port());
    let mut config = Config::new(uri.parse().unwrap());
    let ca = bed.control_plane.serving_ca.pem.as_bytes();
    let ca = rustls_pem(ca);
    config.root_cert = Some(ca);
    config.default_retry = false;
    if let Some(pem) = identity {
        let encoded =
            serde_json::to_value(k8s_openapi::ByteString(pem.as_bytes().to_vec())).unwrap();
        let encoded = encoded.as_str().unwrap().to_owned();
        config.auth_info.client_certificate_data = Some(encoded.clone());
        config.auth_info.client_key_data = Some(encoded.into());
    }
    Client::try_from(config).unwrap()
}

/// Certificate and key of an administrator, as PEM.
pub fn admin(bed: &Bed) -> String {
    let certificate = bed.control_plane.kubeconfig().with_file_name("admin.crt");
    let key = certificate.with_extension("key");
    let read = |path: &std::path::Path| std::fs::read_to_string(path).unwrap();
    format!("{}{}", read(&certificate), read(&key))
}

fn rustls_pem(pem: &[u8]) -> Vec<Vec<u8>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let certificates = CertificateDer::pem_slice_iter(pem);
    certificates.map(|c| c.unwrap().to_vec()).collect()
}

/// The code of a GET, with further headers, and what was said.
async fn get(client: &Client, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = http::Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match client.request_text(request.body(Vec::new()).unwrap()).await {
        Ok(body) => (200, body),
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        Err(error) => (0, error.to_string()),
    }
}

async fn who(world: &World) {
    let scene = Scene::new(&world.bed, "who").await;
    let topic = scene.filled_topic("t", 5, 10).await;
    scene.commit_lag("g", &topic, 5, 10, 12).await;
    scene.idle("app", 1).await;
    let trigger = scene.trigger(&topic, "g", &json!({}));
    scene.scaled_object("app", &[trigger], &json!({})).await;
    let metric = format!("s0-kafka-{topic}");
    scene.value_is("app", &metric, "12").await;
    let path = format!(
        "{BASE}/namespaces/{}/{metric}?labelSelector=scaledobject.keda.sh%2Fname%3Dapp",
        scene.namespace
    );
    let own = path.replace("external.metrics.k8s.io", "external.metrics.lagscale.io");
    let plane = &world.bed.control_plane;
    let read = plane.kubectl(&["get", "--raw", &own]).await.unwrap();
    assert!(read.contains(r#""value":"12""#), "{read}");
    let forged = [
        ("X-Remote-User", "system:admin"),
        ("X-Remote-Group", "system:masters"),
    ];

    let nobody = direct(&world.bed, &world.lagscale, None);
    let (code, said) = get(&nobody, &path, &[]).await;
    assert_eq!(code, 403, "{said}");
    assert!(
        said.contains("User \"system:anonymous\" cannot list resource"),
        "{said}"
    );
    let (code, said) = get(&nobody, &path, &forged).await;
    assert_eq!(
        (code, said.contains("system:anonymous")),
        (403, true),
        "{said}"
    );
    let (code, said) = get(&nobody, &path, &[("Authorization", "Bearer not-a-token")]).await;
    assert_eq!(code, 401, "{said}");
    for open in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(get(&nobody, open, &[]).await, (200, "ok".into()));
    }

    let alice = direct(
        &world.bed,
        &world.lagscale,
        Some(&world.bed.control_plane.user("alice")),
    );
    let (code, said) = get(&alice, &path, &forged).await;
    assert_eq!(
        (code, said.contains("User \"alice\"")),
        (403, true),
        "{said}"
    );
    let stranger = bed::Ca::new("stranger").sign("front-proxy-client", None, &[]);
    let stranger = direct(
        &world.bed,
        &world.lagscale,
        Some(&format!("{}{}", stranger.cert, stranger.key)),
    );
    let (code, said) = get(&stranger, &path, &forged).await;
    assert_eq!(code, 401, "{said}");

    let binding = |name: &str, resources: Value| {
        [
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": {"name": name, "namespace": scene.namespace},
                "rules": [{"apiGroups": ["external.metrics.k8s.io"], "resources": resources, "verbs": ["list"]}],
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": {"name": name, "namespace": scene.namespace},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}],
            }),
        ]
    };
    world.bed.apply(&binding("reader", json!([metric]))).await;
    // A refusal is remembered for ten seconds.
    wait::until("alice to be let in", PATIENCE, async || {
        match get(&alice, &path, &[]).await {
            (200, body) => Ok(body),
            other => Err(other),
        }
    })
    .await;
    let (code, said) = get(
        &alice,
        &format!("{BASE}/namespaces/{}/other", scene.namespace),
        &[],
    )
    .await;
    assert_eq!(code, 403, "{said}");
}

async fn documents(world: &World) {
    let admin = direct(&world.bed, &world.lagscale, Some(&admin(&world.bed)));
    let json = async |path: &str, accept: &str| -> Value {
        let (code, body) = get(&admin, path, &[("Accept", accept)]).await;
        assert_eq!(code, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    };
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let groups = json("/apis", aggregated).await;
    assert_eq!(groups["kind"], "APIGroupDiscoveryList");
    assert_eq!(
        groups["items"][0]["versions"][0]["resources"][0]["resource"],
        "externalmetrics"
    );
    assert_eq!(
        json("/apis", "application/json").await["kind"],
        "APIGroupList"
    );
    assert_eq!(
        json("/apis/external.metrics.k8s.io/", "*/*").await["kind"],
        "APIGroup"
    );
    let resources = json(BASE, "application/json").await;
    assert_eq!(resources["resources"][0]["verbs"], json!(["get"]));
    let v2 = json("/openapi/v2", "application/json").await;
    let operations: Vec<&Value> = v2["paths"].as_object().unwrap().values().collect();
    assert!(
        operations
            .iter()
            .all(|o| o["get"]["responses"]["200"].is_object())
    );
    let v3 = json("/openapi/v3", "application/json").await;
    let url = v3["paths"]["apis/external.metrics.k8s.io/v1beta1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    assert_eq!(json(url, "application/json").await["openapi"], "3.0.0");
    for (path, code) in [
        (format!("{BASE}/namespaces/default"), 404),
        (format!("{BASE}/x"), 404),
        ("/".into(), 200),
    ] {
        assert_eq!(get(&admin, &path, &[]).await.0, code, "{path}");
    }
    assert_eq!(get(&admin, BASE, &[("Accept", "text/html")]).await.0, 406);
    let post = http::Request::post(BASE).body(Vec::new()).unwrap();
    let refused = admin.request_text(post).await.unwrap_err().to_string();
    assert!(refused.contains("MethodNotAllowed"), "{refused}");
}

async fn known(world: &World) {
    let kubectl = async |args: &[&str]| world.bed.control_plane.kubectl(args).await;
    wait::until("kubectl explain to know the kind", PATIENCE, async || {
        kubectl(&[
            "get",
            "--raw",
            "/openapi/v3/apis/external.metrics.k8s.io/v1beta1",
        ])
        .await
        .map(drop)
    })
    .await;
    let listed = kubectl(&["api-resources", "--api-group=external.metrics.k8s.io"]).await;
    let listed = listed.unwrap();
    assert!(listed.contains("externalmetrics"), "{listed}");
    assert!(listed.contains("ExternalMetricValueList"), "{listed}");
    let own = kubectl(&["api-resources", "--api-group=external.metrics.lagscale.io"]).await;
    assert!(own.unwrap().contains("externalmetrics"));
    // Each minute it looks again; a complaint would come with each look.
    let looks = async || series(&world.lagscale, "lagscale_api_requests_total").await;
    let openapi = |all: &std::collections::BTreeMap<String, f64>| {
        let of = all
            .iter()
            .filter(|(labels, _)| labels.contains("kind=\"openapi\""));
        of.map(|(_, count)| count).sum::<f64>()
    };
    let before = openapi(&looks().await);
    wait::until(
        "kube-apiserver to look at OpenAPI again",
        PATIENCE,
        async || {
            let now = openapi(&looks().await);
            if now >= before + 4.0 {
                Ok(())
            } else {
                Err(now)
            }
        },
    )
    .await;
    let log = world.bed.control_plane.apiserver_log();
    let complaints: Vec<&str> = log
        .lines()
        .filter(|l| l.contains("v1beta1.external.metrics.k8s.io"))
        .filter(|l| l.contains("OpenAPI") || l.contains("openapi"))
        .filter(|l| l.starts_with('E'))
        // Said while the APIService is registered and nobody is behind it yet.
        .filter(|l| !l.contains("could not get list of group versions"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}
