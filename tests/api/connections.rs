//! Connections: both protocols, many streams, and ends that no request notices.

use std::time::Duration;

use bed::wait;
use futures::future::join_all;
use http::StatusCode;
use lagscale::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Load, MASTERS, PATIENCE, Rig, config, tls};

const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1";

#[tokio::test]
async fn a_client_has_the_protocol_it_offers_and_http_1_1_where_it_offers_none() {
    let rig = Rig::start().await;
    let identity = rig.proxies.sign("front-proxy-client", None, &[]);
    for (offered, chosen) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[], None),
    ] {
        let config = config(&rig.serving.pem, Some(&identity), offered);
        let mut stream = tls(rig.address, config).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        if chosen == Some(b"h2") {
            continue;
        }
        let request = format!(
            "GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Remote-User: a\r\nX-Remote-Group: system:masters\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\"externalmetrics\""), "{answer}");
    }
}

#[tokio::test]
async fn five_probes_and_a_hundred_more_requests_go_over_one_connection_at_once() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    let proxy = rig.front_proxy().await;
    let metric = format!(
        "{PATH}/namespaces/shop/s0-kafka-orders?labelSelector=scaledobject.keda.sh%2Fname%3Dorders"
    );
    let probes = (0..5).map(|_| proxy.get(PATH, &MASTERS));
    let gets = (0..100).map(|_| proxy.get(&metric, &MASTERS));
    let (probes, gets) = tokio::join!(join_all(probes), join_all(gets));
    let all = probes.iter().chain(&gets);
    assert!(all.clone().all(|a| a.code == StatusCode::OK), "{all:?}");
}

#[tokio::test]
async fn a_ping_is_answered() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const PING: [u8; 9] = [0, 0, 8, 6, 0, 0, 0, 0, 0];
    let rig = Rig::start().await;
    let config = config(&rig.serving.pem, None, &[b"h2"]);
    let mut stream = tls(rig.address, config).await.unwrap();
    let sent = [PREFACE, &SETTINGS, &PING, b"answered"].concat();
    stream.write_all(&sent).await.unwrap();
    let answered = async {
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            stream.read_exact(&mut payload).await.unwrap();
            if head[3] == 6 {
                return (head[4], payload);
            }
        }
    };
    let answered = tokio::time::timeout(PATIENCE, answered).await.unwrap();
    assert_eq!(answered, (1, b"answered".to_vec()));
}

#[tokio::test]
async fn a_connection_that_is_old_enough_ends_and_no_request_on_it_fails() {
    let limits = Limits {
        age: Duration::from_millis(300),
        ..Limits::default()
    };
    let rig = Rig::limited(limits).await;
    let load = Load::begin(&rig, PATH);
    wait::until(
        "five connections to have had their time",
        PATIENCE,
        async || {
            let seen = load.connections();
            (seen > 5).then_some(()).ok_or(seen)
        },
    )
    .await;
    let answered = load.end().await;
    assert!(answered > 5, "{answered}");
}

#[tokio::test]
async fn a_connection_without_requests_ends_and_one_with_requests_stays() {
    let limits = Limits {
        idle: Duration::from_millis(200),
        ..Limits::default()
    };
    let rig = Rig::limited(limits).await;
    let (quiet, busy) = (rig.front_proxy().await, rig.front_proxy().await);
    quiet.get(PATH, &MASTERS).await;
    wait::until("the quiet one to end", PATIENCE, async || {
        busy.get(PATH, &MASTERS).await;
        quiet.is_closed().then_some(()).ok_or("open")
    })
    .await;
    assert_eq!(busy.get(PATH, &MASTERS).await.code, StatusCode::OK);
}

#[tokio::test]
async fn nobody_is_ever_switched_to_another_protocol() {
    let rig = Rig::start().await;
    let identity = rig.proxies.sign("front-proxy-client", None, &[]);
    for (upgrade, method) in [("websocket", "GET"), ("h2c", "GET"), ("SPDY/3.1", "POST")] {
        let config = config(&rig.serving.pem, Some(&identity), &[b"http/1.1"]);
        let mut stream = tls(rig.address, config).await.unwrap();
        let request = format!(
            "{method} {PATH} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nContent-Length: 0\r\nX-Remote-User: a\r\nX-Remote-Group: system:masters\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers).await;
        let answers = String::from_utf8(answers).unwrap();
        let code = if method == "GET" { 200 } else { 405 };
        assert!(
            answers.starts_with(&format!("HTTP/1.1 {code} ")),
            "{answers}"
        );
        assert!(!answers.contains("101 Switching"), "{answers}");
        // A further request on the same connection is one of its own, by nobody's word.
        assert!(answers.contains("HTTP/1.1 401 "), "{answers}");
    }
}
