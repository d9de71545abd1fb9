//! Strangers in numbers: connections, requests and reviews of theirs are bounded for themselves, so that kube-apiserver's
//! questions and the kubelet's probes always have their turn.

use std::net::SocketAddr;

use bed::wait;
use http::StatusCode;
use lagscale::server::Limits;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::client::TlsStream;

use crate::{
    process::Process,
    rig::{Caller, MASTERS, PATIENCE, Reply, Rig, config, from_another, tls_over},
};

const METRICS: &str = "/apis/external.metrics.k8s.io/v1beta1";
const WEBHOOK: &str = "/validate-keda-sh-v1alpha1-scaledobject";

/// A connection of a stranger with HTTP/1.1, from the `nth` of this machine's addresses.
async fn stranger(rig: &Rig, nth: usize) -> TlsStream<TcpStream> {
    let nth = u8::try_from(nth % 200).unwrap();
    let stream = from_another(nth, rig.address).await;
    let config = config(&rig.serving.pem, None, &[b"http/1.1"]);
    tls_over(stream, config).await.unwrap()
}

async fn is_answered(proxy: &Caller) {
    let answer = proxy.get(METRICS, &MASTERS).await;
    assert_eq!(answer.code, StatusCode::OK, "{answer:?}");
}

#[tokio::test]
async fn strangers_that_asked_what_anybody_may_ask_make_room_as_others_do() {
    let limits = Limits {
        connections: 32,
        ..Limits::default()
    };
    let rig = Rig::limited(limits).await;
    rig.cluster
        .on_access(|_| Reply::Status(json!({"allowed": true})));
    let mut strangers = Vec::new();
    for _ in 0..40 {
        let stranger = rig.caller(None).await;
        assert_eq!(stranger.get("/version", &[]).await.code, StatusCode::OK);
        strangers.push(stranger);
    }
    let proxy = rig.front_proxy().await;
    is_answered(&proxy).await;
    for _ in 0..40 {
        strangers.push(rig.caller(None).await);
    }
    is_answered(&proxy).await;
}

#[tokio::test]
async fn one_address_takes_no_place_of_another() {
    let limits = Limits {
        of_one_address: 4,
        ..Limits::default()
    };
    let rig = Rig::limited(limits).await;
    let mut other = stranger(&rig, 1).await;
    let (first, proxy) = (rig.caller(None).await, rig.front_proxy().await);
    let mut strangers = Vec::new();
    for _ in 0..8 {
        strangers.push(rig.caller(None).await);
    }
    wait::until(
        "the first of that address to be gone",
        PATIENCE,
        async || first.is_closed().then_some(()).ok_or("it is there"),
    )
    .await;
    is_answered(&proxy).await;
    let request = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    other.write_all(request).await.unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Four callers without a credential, each waiting for an access review that never ends.
async fn park(rig: &Rig) -> Vec<JoinHandle<()>> {
    rig.cluster
        .on_access(|review| match review["spec"]["user"].as_str() {
            Some("system:anonymous") => Reply::Silence,
            _ => Reply::Status(json!({"allowed": true})),
        });
    let mut parked = Vec::new();
    for n in 0..4 {
        let caller = rig.caller(None).await;
        parked.push(tokio::spawn(async move {
            let path = format!("/apis/parked-{n}");
            let _ = caller.send(http::Method::GET, &path, &[], "").await;
        }));
    }
    wait::until("all to wait", PATIENCE, async || {
        let asked = rig.cluster.access_reviews();
        let parked = |review: &&Value| review["spec"]["user"] == "system:anonymous";
        let asked = asked.iter().filter(parked).count();
        (asked == 4).then_some(()).ok_or(asked)
    })
    .await;
    parked
}

#[tokio::test]
async fn requests_of_strangers_take_no_slot_of_the_front_proxy_s() {
    let limits = Limits {
        strangers: 4,
        ..Limits::default()
    };
    let rig = Rig::limited(limits).await;
    let parked = park(&rig).await;
    let another = rig.caller(None).await;
    let refused = another.get("/apis/more", &[]).await;
    assert_eq!(refused.code, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        another.get("/livez", &[]).await.code,
        StatusCode::OK,
        "a probe needs no slot"
    );
    is_answered(&rig.front_proxy().await).await;
    parked.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn requests_of_strangers_take_no_slot_of_a_connection_whose_token_was_allowed_something() {
    let limits = Limits {
        strangers: 4,
        ..Limits::default()
    };
    let rig = Rig::limited(limits).await;
    rig.cluster.on_token(|review| {
        Reply::Status(json!({"authenticated": review["spec"]["token"] == "good", "user": {"username": "reader"}}))
    });
    let token = [("authorization", "Bearer good")];
    let reader = rig.caller(None).await;
    assert_eq!(reader.get(METRICS, &token).await.code, StatusCode::OK);
    let parked = park(&rig).await;
    let refused = rig.caller(None).await.get(METRICS, &token).await;
    assert_eq!(
        refused.code,
        StatusCode::SERVICE_UNAVAILABLE,
        "not seen yet"
    );
    for n in 0..8 {
        let path = format!("{METRICS}/namespaces/shop/m{n}");
        let answer = reader.get(&path, &token).await;
        assert_eq!(answer.code, StatusCode::NOT_FOUND, "{answer:?}");
    }
    parked.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn hundreds_of_parked_reviews_hold_up_no_metric_and_further_ones_are_refused_at_once() {
    let rig = Rig::start().await;
    let proxy = rig.front_proxy().await;
    // A parked review is given up after two seconds, which a busy machine may need for so many of them.
    let refused = wait::until("a further review to be refused", PATIENCE, async || {
        let mut parked = Vec::new();
        for n in 0..300 {
            parked.push(stranger(&rig, n).await);
        }
        let head = format!("POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
        for one in &mut parked {
            one.write_all(head.as_bytes()).await.unwrap();
        }
        is_answered(&proxy).await;
        let caller = rig.caller(None).await;
        let sent = caller.send(http::Method::POST, WEBHOOK, &[], "{}").await;
        let answer = sent.unwrap();
        if answer.code == StatusCode::SERVICE_UNAVAILABLE {
            Ok(answer.text().to_owned())
        } else {
            Err(answer)
        }
    })
    .await;
    assert!(refused.contains("reviews wait already"), "{refused}");
    is_answered(&proxy).await;
}

/// 128 connections that say nothing, and as many that ask and do not read.
#[tokio::test]
async fn a_probe_of_the_plain_port_is_answered_beside_strangers_that_hold_all_its_places() {
    let process = Process::start(&[]).await;
    let plain: SocketAddr = process.plain;
    let mut strangers = Vec::new();
    for n in 0..=255_u8 {
        let mut one = from_another(n % 64, plain).await;
        if n % 2 == 0 {
            let _ = one
                .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                .await;
        }
        strangers.push(one);
        if n % 32 == 0 {
            let (code, body) = bed::get(&plain.to_string(), "/livez").await;
            assert_eq!(code, 200, "{body}");
        }
    }
    let (code, body) = bed::get(&plain.to_string(), "/livez").await;
    assert_eq!(code, 200, "{body}");
}

#[tokio::test]
async fn the_limit_of_open_files_is_raised_and_connections_fit_into_what_it_is() {
    let raised = Process::start(&[]).await;
    assert!(raised.descriptors() > 1_024, "{}", raised.descriptors());
    let process = Process::with_descriptors(256, &[]).await;
    assert_eq!(process.descriptors(), 256);
    let mut strangers = Vec::new();
    for n in 0..400 {
        let nth = u8::try_from(n % 200).unwrap();
        strangers.push(from_another(nth, process.rig.address).await);
        if n % 50 == 0 {
            is_answered(&process.rig.front_proxy().await).await;
        }
    }
    is_answered(&process.rig.front_proxy().await).await;
}

#[tokio::test]
async fn random_tokens_are_reviewed_so_many_at_a_time_and_the_rest_are_told_to_wait() {
    let rig = Rig::start().await;
    rig.cluster
        .on_token(|_| Reply::Status(json!({"authenticated": false})));
    let caller = rig.caller(None).await;
    let (mut unknown, mut busy) = (0, 0);
    for n in 0..3_000 {
        let token = format!("Bearer {n}");
        let answer = caller.get(METRICS, &[("authorization", &token)]).await;
        match answer.code {
            StatusCode::UNAUTHORIZED => unknown += 1,
            StatusCode::TOO_MANY_REQUESTS => busy += 1,
            other => panic!("{other}: {answer:?}"),
        }
        assert_eq!(answer.header("retry-after"), "");
    }
    assert!(
        unknown >= 200 && busy > 0,
        "{unknown} unknown, {busy} told to wait"
    );
    assert_eq!(rig.cluster.token_reviews().len(), unknown);
    let proxy = rig.front_proxy().await;
    let alice = proxy.get(METRICS, &[("x-remote-user", "alice")]).await;
    assert_ne!(alice.code, StatusCode::TOO_MANY_REQUESTS);
}

/// As another lagscale asks, or a Prometheus: by a token, metrics by the thousand.
#[tokio::test]
async fn a_flood_refuses_its_own_kind_and_nobody_who_has_shown_more() {
    let rig = Rig::start().await;
    let users = ["other-lagscale", "narrow", "narrow-2"];
    rig.cluster.on_token(move |review| {
        let user = review["spec"]["token"].as_str().unwrap();
        Reply::Status(json!({"authenticated": users.contains(&user), "user": {"username": user}}))
    });
    rig.cluster.on_wide_access(|review| {
        Reply::Status(json!({"allowed": review["spec"]["user"] == "other-lagscale"}))
    });
    let certified = rig
        .caller(Some(&rig.clients.sign("alice", None, &[])))
        .await;
    let (proxy, plain) = (rig.front_proxy().await, rig.caller(None).await);
    let mut nth = 0;
    let mut ask = async |caller: &Caller, headers: &[(&str, &str)]| {
        nth += 1;
        let path = format!("{METRICS}/namespaces/shop/m{nth}");
        caller.get(&path, headers).await
    };
    let bearer = |user: &str| format!("Bearer {user}");
    let [wide, narrow, other] = users.map(bearer);
    // Each token is seen once before the floods.
    for token in [&wide, &narrow, &other] {
        let answer = ask(&plain, &[("authorization", token)]).await;
        assert_eq!(answer.code, StatusCode::NOT_FOUND, "{answer:?}");
    }
    for flood in ["random tokens", "no credential", "a narrow token"] {
        let mut refused = 0;
        for n in 0..2_000 {
            let random = bearer(&n.to_string());
            let answer = match flood {
                "random tokens" => ask(&plain, &[("authorization", &random)]).await,
                "no credential" => ask(&plain, &[]).await,
                _ => ask(&plain, &[("authorization", &narrow)]).await,
            };
            refused += usize::from(answer.code == StatusCode::TOO_MANY_REQUESTS);
        }
        assert!(refused > 0, "{flood} met no bound");
        for _ in 0..300 {
            for answer in [
                ask(&plain, &[("authorization", &wide)]).await,
                ask(&certified, &[]).await,
                ask(&proxy, &[("x-remote-user", "bob")]).await,
            ] {
                assert_eq!(answer.code, StatusCode::NOT_FOUND, "{flood}: {answer:?}");
            }
        }
        let neighbour = ask(&plain, &[("authorization", &other)]).await;
        if flood != "a narrow token" {
            assert_eq!(
                neighbour.code,
                StatusCode::NOT_FOUND,
                "{flood}: {neighbour:?}"
            );
        }
    }
    let wide = rig.cluster.wide_reviews().into_iter();
    let wide = wide.filter(|review| review["spec"]["user"] == "other-lagscale");
    assert!(wide.count() < 20, "one in ten seconds");
}

#[tokio::test]
async fn by_the_open_path_a_stranger_learns_nothing_of_others_and_by_a_wrong_one_there_is_nothing()
{
    let rig = Rig::start().await;
    rig.path
        .send_replace(Some("0123456789abcdef0123456789abcdef".into()));
    let caller = rig.caller(None).await;
    let review = r#"{"apiVersion":"admission.k8s.io/v1","request":{"uid":"u","operation":"CREATE","namespace":"shop","object":
        {"metadata":{"name":"app"},"spec":{"scaleTargetRef":{"name":"secret-app"},"minReplicaCount":1,"triggers":
        [{"type":"cpu","metricType":"Utilization","metadata":{"value":"50"}}]}}}}"#;
    let send = async |path: &str| {
        let sent = caller.send(http::Method::POST, path, &[], review).await;
        sent.unwrap()
    };
    let known = format!("{WEBHOOK}/0123456789abcdef0123456789abcdef");
    let wrong = format!("{WEBHOOK}/0123456789abcdef0123456789abcdee");
    assert_eq!(send(&wrong).await.code, StatusCode::NOT_FOUND);
    let open = send(WEBHOOK).await;
    assert_eq!(open.code, StatusCode::OK);
    assert!(!open.text().contains("secret-app"), "{open:?}");
    assert_eq!(rig.cluster.other_requests(), Vec::<String>::new());
    let known = send(&known).await;
    assert!(
        known.text().contains("secret-app"),
        "it was looked up: {known:?}"
    );
    rig.path.send_replace(None);
    assert!(
        send(WEBHOOK).await.text().contains("secret-app"),
        "certificates come from files"
    );
}
