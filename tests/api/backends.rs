//! Faults of a backend: each is an error that names it, and nobody else's trouble.

use futures::future::join_all;
use lagscale::server::DISCOVERY;
use serde_json::{Value, json};

use crate::{
    delegation::{message, value},
    metric::{PROTOBUF, SHOP, asked, of, orders},
    rig::{Backend, Given, MASTERS, Rig, given},
};

/// A backend of each fault, with a part of what is said of it.
async fn faulty() -> Vec<(Backend, Value, &'static str)> {
    let answers = |name, answer: fn() -> Given| Backend::start(name, move |_| answer());
    let mut all = Vec::new();
    for (name, answer, said) in [
        (
            "frozen",
            (|| Given::Silence) as fn() -> Given,
            "did not answer within 5 s",
        ),
        (
            "garbage",
            || given(200, "application/json", "{\"kind\":"),
            "answers 200 with 8 bytes",
        ),
        (
            "page",
            || given(200, "text/html", "<html>"),
            "no Kubernetes object",
        ),
        (
            "array",
            || given(200, "application/json", "[]"),
            "no Kubernetes object",
        ),
        (
            "empty",
            || given(200, "application/json", ""),
            "answers 200 with 0 bytes",
        ),
        (
            "wire",
            || given(200, PROTOBUF, "k9s"),
            "no Kubernetes object",
        ),
        (
            "plain",
            || given(503, "text/plain", "try later"),
            "answers 503",
        ),
        (
            "huge",
            || given(200, "application/json", " ".repeat(10 << 20)),
            "more than 1048576 bytes",
        ),
        (
            "moved",
            || given(302, "application/json", "{}"),
            "answers 302 Found, which is not followed",
        ),
        (
            "revoked",
            || given(401, "application/json", "{\"message\":\"who\"}"),
            "refuses lagscale's delegate: who",
        ),
        (
            "forbids",
            || given(403, "application/json", "{\"message\":\"no\"}"),
            "refuses lagscale's delegate: no",
        ),
        (
            "circle",
            || given(508, "application/json", "{}"),
            "leads back here",
        ),
    ] {
        let backend = answers(name, answer).await;
        let entry = backend.entry(&json!({"namePrefix": name}));
        all.push((backend, entry, said));
    }
    let strange = answers("strange", || value("1")).await;
    let mut entry = strange.entry(&json!({"namePrefix": "strange"}));
    entry["caBundle"] = bed::Ca::new("another").pem.into();
    all.push((strange, entry, "can't be reached"));
    let misnamed = Backend::called("misnamed", "else.others.svc", |_| value("1")).await;
    let entry = misnamed.entry(&json!({"namePrefix": "misnamed"}));
    all.push((misnamed, entry, "can't be reached"));
    let gone = answers("gone", || value("1")).await;
    let mut entry = gone.entry(&json!({"namePrefix": "gone"}));
    entry["service"]["port"] = bed::free_port().into();
    all.push((gone, entry, "can't be reached"));
    all
}

#[tokio::test]
async fn each_fault_of_a_backend_is_an_error_that_names_it_and_harms_nobody_else() {
    let mut faulty = faulty().await;
    let good = Backend::start("good", |_| value("8")).await;
    let mut entries: Vec<Value> = faulty.iter().map(|(_, entry, _)| entry.clone()).collect();
    entries.push(good.entry(&json!({})));
    let rig = Rig::delegating(&entries).await;
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    let proxy = rig.front_proxy().await;
    let asking = faulty.iter_mut().map(async |(backend, _, said)| {
        let answer = asked(&proxy, &format!("{SHOP}/{}-m", backend.name), &[]).await;
        let text = message(&answer);
        let named = format!("backend {} (Service others/{})", backend.name, backend.name);
        assert!(answer.code.is_server_error(), "{answer:?}");
        assert_eq!(answer.json()["kind"], "Status");
        assert!(text.starts_with(&named) && text.contains(&**said), "{text}");
        assert!(!text.contains("delegate-"), "{text}");
    });
    let others = async {
        for _ in 0..50 {
            assert_eq!(asked(&proxy, &orders(), &[]).await.code, 200);
            assert_eq!(asked(&proxy, &of("m", ""), &[]).await.code, 200);
        }
    };
    tokio::join!(join_all(asking), others);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_asked_for_anew_and_one_that_can_t_be_had_is_told() {
    let other = Backend::start("other", |asked| {
        if asked.header("authorization") == "Bearer old" {
            given(401, "application/json", "{}")
        } else {
            value("8")
        }
    })
    .await;
    let rig = Rig::delegating(&[other.entry(&json!({}))]).await;
    let token = |token: &str| {
        crate::rig::Reply::Status(
            json!({"token": token, "expirationTimestamp": "2099-01-01T00:00:00Z"}),
        )
    };
    let proxy = rig.front_proxy().await;
    rig.cluster.on_token_request(|_| {
        crate::rig::Reply::Failure(
            404,
            "serviceaccounts \"lagscale-delegate\" not found".into(),
        )
    });
    let answer = asked(&proxy, &of("m", ""), &[]).await;
    assert_eq!(answer.code, 502);
    let said = message(&answer);
    assert!(
        said.contains("no token for ServiceAccount lagscale/lagscale-delegate"),
        "{said}"
    );
    assert!(said.contains("not found"), "{said}");
    assert!(other.asked().is_empty());
    let given = std::sync::atomic::AtomicBool::new(false);
    rig.cluster.on_token_request(move |_| {
        let second = given.swap(true, std::sync::atomic::Ordering::Relaxed);
        token(if second { "new" } else { "old" })
    });
    assert_eq!(asked(&proxy, &of("m", ""), &[]).await.code, 200);
    let shown: Vec<_> = other
        .asked()
        .iter()
        .map(|q| q.header("authorization").to_owned())
        .collect();
    assert_eq!(shown, ["Bearer old", "Bearer new"]);
}

#[tokio::test]
async fn a_question_that_has_passed_here_before_is_not_passed_on_again() {
    let other = Backend::start("other", |_| value("8")).await;
    let rig = Rig::delegating(&[other.entry(&json!({}))]).await;
    let proxy = rig.front_proxy().await;
    let passed = [("via", "1.1 lagscale.lagscale.lagscale")];
    let answer = asked(&proxy, &of("m", ""), &passed).await;
    assert_eq!(answer.code, 508);
    assert!(message(&answer).contains("leads back here"));
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_frozen_backend_holds_so_many_questions_and_refuses_the_rest_at_once() {
    let frozen = Backend::start("frozen", |_| Given::Silence).await;
    let rig = Rig::delegating(&[frozen.entry(&json!({}))]).await;
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    let proxy = rig.front_proxy().await;
    let (path, own) = (of("m", ""), orders());
    let hanging = join_all((0..100).map(|_| asked(&proxy, &path, &[])));
    let answered = async {
        for _ in 0..1_000 {
            assert_eq!(asked(&proxy, &own, &[]).await.code, 200);
        }
    };
    let (answers, ()) = tokio::join!(hanging, answered);
    let count = |code: u16| answers.iter().filter(|a| a.code == code).count();
    assert_eq!((count(504), count(503)), (64, 36));
}

#[tokio::test]
async fn metrics_that_backends_list_are_listed_here_without_anybody_waiting_for_them() {
    let listing = |names: &[&str]| {
        let resources: Vec<_> = names
            .iter()
            .map(|n| json!({"name": n, "kind": "x", "verbs": ["get"]}))
            .collect();
        let list = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "g", "resources": resources});
        given(200, "application/json", list.to_string())
    };
    let long = "x".repeat(300);
    let adapter = Backend::start("adapter", move |asked| {
        assert_eq!(asked.target, DISCOVERY);
        listing(&[
            "queue_depth",
            "externalmetrics",
            "a/b",
            "",
            &long,
            "http_requests",
        ])
    })
    .await;
    let keda = Backend::start("keda", move |_| listing(&["externalmetrics"])).await;
    let frozen = Backend::start("frozen", |_| Given::Silence).await;
    let many: Vec<String> = (0..3_000).map(|n| format!("m{n:04}")).collect();
    let crowded = Backend::start("crowded", move |_| {
        listing(&many.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .await;
    let rig = Rig::delegating(&[
        adapter.entry(&json!({"namePrefix": "q"})),
        keda.entry(&json!({"namePrefix": "k"})),
        frozen.entry(&json!({"namePrefix": "f"})),
        crowded.entry(&json!({})),
    ])
    .await;
    let proxy = rig.front_proxy().await;
    let listed = async |path: &str| -> Vec<String> {
        let answer = proxy.get(path, &MASTERS).await.json();
        let resources = answer["resources"].as_array().unwrap().iter();
        resources
            .map(|r| r["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(listed(DISCOVERY).await, ["externalmetrics"]);
    rig.delegation.look(DISCOVERY).await;
    let all = listed(DISCOVERY).await;
    assert_eq!(all.len(), 3 + 1_000);
    assert_eq!(all[..3], ["externalmetrics", "http_requests", "m0000"]);
    assert_eq!(all.last().unwrap(), "queue_depth");
    let own = "/apis/external.metrics.lagscale.io/v1beta1";
    assert_eq!(listed(own).await, ["externalmetrics"]);
}
