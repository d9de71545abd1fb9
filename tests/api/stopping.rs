//! The end: not ready at once, serving on, then a goodbye that fails nobody.

use std::time::Duration;

use bed::wait;
use http::StatusCode;

use crate::{
    process::Process,
    rig::{Load, MASTERS, PATIENCE, Rig},
};

const PATH: &str = "/apis/external.metrics.k8s.io/v1beta1";

#[tokio::test]
async fn told_to_end_it_is_not_ready_serves_on_and_then_says_goodbye_without_a_failed_request() {
    let rig = Rig::start().await;
    let load = Load::begin(&rig, PATH);
    let (proxy, nobody) = (rig.front_proxy().await, rig.caller(None).await);
    rig.stop.send_replace(true);
    let ready = nobody.get("/readyz", &[]).await;
    assert_eq!(ready.code, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(ready.text().contains("[-]shutdown failed"), "{ready:?}");
    assert_eq!(nobody.get("/livez", &[]).await.text(), "ok");
    assert_eq!(proxy.get(PATH, &MASTERS).await.code, StatusCode::OK);
    let newcomer = rig.front_proxy().await;
    assert_eq!(newcomer.get(PATH, &MASTERS).await.code, StatusCode::OK);
    load.may_end();
    rig.end.send_replace(true);
    tokio::time::timeout(PATIENCE, rig.served)
        .await
        .unwrap()
        .unwrap();
    assert!(load.end().await > 0);
}

#[tokio::test]
async fn the_process_ends_by_itself_after_its_delay_and_every_request_until_then_is_answered() {
    let mut process = Process::start(&["--shutdown-delay=2s"]).await;
    let load = Load::begin(&process.rig, PATH);
    wait::until("some load", PATIENCE, async || {
        let answered = load.answered();
        (answered > 20).then_some(()).ok_or(answered)
    })
    .await;
    load.may_end();
    process.tell_to_end();
    wait::until("readiness to fail", PATIENCE, async || {
        let (code, body) = bed::get(&process.plain.to_string(), "/readyz").await;
        (code == 500).then_some(()).ok_or(body)
    })
    .await;
    let before = load.answered();
    assert_eq!(bed::get(&process.plain.to_string(), "/livez").await.0, 200);
    let code = process.ended(Duration::from_secs(30)).await;
    assert_eq!(code, Some(0));
    let after = load.end().await;
    assert!(after > before, "nothing was served during the delay");
}
