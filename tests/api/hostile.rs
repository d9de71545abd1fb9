//! Clients that mean harm: each holds its place for a moment, none of them holds up another, and memory stays where it was.

use std::time::Duration;

use bed::wait;
use http::StatusCode;
use lagscale::server::Limits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    process::Process,
    rig::{MASTERS, PATIENCE, Rig, config, from_another, tls, tls_over},
};

const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1";

fn hasty() -> Limits {
    let short = Duration::from_millis(200);
    Limits {
        handshake: short,
        headers: short,
        unproven: short,
        drain: short,
        ..Limits::default()
    }
}

/// Reads until the server hangs up.
async fn hung_up(mut stream: impl AsyncReadExt + Unpin) {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    let _ = tokio::time::timeout(PATIENCE, read)
        .await
        .unwrap_or_else(|_| panic!("it does not hang up"));
}

#[tokio::test]
async fn whoever_dawdles_is_hung_up_on() {
    let rig = Rig::limited(hasty()).await;
    let silent = TcpStream::connect(rig.address).await.unwrap();
    let mut half = TcpStream::connect(rig.address).await.unwrap();
    half.write_all(&[22, 3, 1, 2]).await.unwrap();
    let one = config(&rig.serving.pem, None, &[b"http/1.1"]);
    let mut one = tls(rig.address, one).await.unwrap();
    one.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow")
        .await
        .unwrap();
    let two = config(&rig.serving.pem, None, &[b"h2"]);
    let quiet = tls(rig.address, two.clone()).await.unwrap();
    let mut two = tls(rig.address, two).await.unwrap();
    // The preface, SETTINGS, and the beginning of a HEADERS frame.
    let begun =
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\xff\x01\x04\0\0\0\x01\x82";
    two.write_all(begun).await.unwrap();
    tokio::join!(
        hung_up(silent),
        hung_up(half),
        hung_up(one),
        hung_up(quiet),
        hung_up(two)
    );
}

#[tokio::test]
async fn a_house_full_of_strangers_makes_room_for_whoever_comes() {
    let limits = Limits {
        connections: 32,
        ..Limits::default()
    };
    let rig = Rig::limited(limits).await;
    let proxy = rig.front_proxy().await;
    assert_eq!(proxy.get(PATH, &MASTERS).await.code, StatusCode::OK);
    let mut strangers = Vec::new();
    for _ in 0..100 {
        strangers.push(TcpStream::connect(rig.address).await.unwrap());
    }
    let newcomer = rig.front_proxy().await;
    assert_eq!(newcomer.get(PATH, &MASTERS).await.code, StatusCode::OK);
    // A guest that was let in is not sent away.
    assert_eq!(proxy.get(PATH, &MASTERS).await.code, StatusCode::OK);
}

#[tokio::test]
async fn more_requests_at_once_than_are_answered_are_refused_at_once_without_retry_after() {
    let limits = Limits {
        requests: 4,
        ..Limits::default()
    };
    let rig = Rig::limited(limits).await;
    rig.cluster.on_access(|_| crate::rig::Reply::Silence);
    let proxy = rig.front_proxy().await;
    let users: Vec<String> = (0..4).map(|n| format!("user-{n}")).collect();
    let waiting = users.iter().map(|name| {
        let (proxy, name) = (proxy.clone(), name.clone());
        tokio::spawn(async move {
            let headers = [("x-remote-user", name.as_str())];
            let _ = proxy.send(http::Method::GET, PATH, &headers, "").await;
        })
    });
    let waiting: Vec<_> = waiting.collect();
    wait::until("four to wait", PATIENCE, async || {
        let asked = rig.cluster.access_reviews().len();
        (asked == 4).then_some(()).ok_or(asked)
    })
    .await;
    let answer = proxy.get(PATH, &MASTERS).await;
    assert_eq!(answer.code, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.header("retry-after"), "");
    assert!(
        answer.text().contains("too many requests at once"),
        "{answer:?}"
    );
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused_and_harm_nobody_else() {
    let rig = Rig::start().await;
    let (hostile, proxy) = (rig.front_proxy().await, rig.front_proxy().await);
    let large = "x".repeat(1024 * 1024);
    let sent = hostile
        .send(http::Method::GET, PATH, &[("x-large", &large)], "")
        .await;
    if let Ok(answer) = sent {
        assert_eq!(answer.code, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let one = config(&rig.serving.pem, None, &[b"http/1.1"]);
    let mut one = tls(rig.address, one).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Large: {large}\r\n\r\n");
    let _ = one.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = one.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
    assert_eq!(proxy.get(PATH, &MASTERS).await.code, StatusCode::OK);
}

#[tokio::test]
async fn a_thousand_idle_connections_and_a_storm_of_resets_cost_little_memory_and_nobody_else() {
    let process = Process::start(&[]).await;
    let rig = &process.rig;
    let proxy = rig.front_proxy().await;
    assert_eq!(proxy.get(PATH, &MASTERS).await.code, StatusCode::OK);
    let before = process.peak_kib();
    let identity = config(&rig.serving.pem, None, &[b"h2"]);
    let mut idle = Vec::new();
    for n in 0..1_000 {
        let nth = u8::try_from(n / 50).unwrap();
        let stream = from_another(nth, rig.address).await;
        idle.push(tls_over(stream, identity.clone()).await.unwrap());
    }
    assert_eq!(proxy.get(PATH, &MASTERS).await.code, StatusCode::OK);
    for _ in 0..20 {
        let storm = rig.front_proxy().await;
        for _ in 0..200 {
            storm.send_and_reset(PATH).await;
        }
        assert_eq!(proxy.get(PATH, &MASTERS).await.code, StatusCode::OK);
    }
    let newcomer = rig.front_proxy().await;
    assert_eq!(newcomer.get(PATH, &MASTERS).await.code, StatusCode::OK);
    let grown = process.peak_kib() - before;
    assert!(grown < 64 * 1024, "{grown} KiB more than before");
}
