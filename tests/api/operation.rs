//! Parts of a request for a metric beside its name: method, parameters, audit id, and the engine behind the answer.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    metric::{TABLE, asked, orders},
    rig::{Answer, Reply, Rig, user},
};

#[tokio::test]
async fn parameters_are_judged_as_list_options_are() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    let proxy = rig.front_proxy().await;
    for (parameter, code) in [
        ("watch=1", 405),
        ("watch=true", 405),
        ("watch=0", 200),
        ("limit=abc", 400),
        ("timeoutSeconds=x", 400),
        ("timeout=abc", 400),
        ("timeout=5s", 200),
        ("limit=500&continue=x&resourceVersion=0", 200),
        ("fieldSelector=metadata.name%3Dx", 200),
        ("fieldSelector=spec.x%3Dy", 400),
        ("resourceVersionMatch=Exact", 422),
        ("sendInitialEvents=true", 422),
        ("unknown=1", 200),
    ] {
        let answer = asked(&proxy, &format!("{}&{parameter}", orders()), &[]).await;
        assert_eq!(answer.code.as_u16(), code, "{parameter}: {answer:?}");
    }
    let watched = asked(&proxy, &format!("{}&watch=1", orders()), &[])
        .await
        .json();
    assert_eq!(
        watched["message"],
        "watch is not supported on resources of kind \"*.external.metrics.k8s.io\""
    );
    assert_eq!(
        watched["details"],
        json!({"group": "external.metrics.k8s.io", "kind": "*"})
    );
    let causes = asked(&proxy, &format!("{}&sendInitialEvents=1", orders()), &[]).await;
    assert_eq!(
        causes.json()["details"]["causes"][0]["field"],
        "sendInitialEvents"
    );
    for (parameter, agent, indented) in [
        ("", "curl/8.5.0", true),
        ("&pretty=false", "curl/8.5.0", false),
        ("&pretty=1", "kubectl/v1.36.2", true),
        ("", "kubectl/v1.36.2", false),
    ] {
        let path = format!("{}{parameter}", orders());
        let answer = asked(&proxy, &path, &[("user-agent", agent)]).await;
        assert_eq!(answer.text().starts_with("{\n  \""), indented, "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_405_for_who_may_and_403_for_who_may_not() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    rig.cluster
        .on_access(|review| Reply::Status(json!({"allowed": review["spec"]["user"] == "alice"})));
    let proxy = rig.front_proxy().await;
    for (method, verb) in [
        (Method::HEAD, "list"),
        (Method::OPTIONS, ""),
        (Method::POST, "create"),
        (Method::PUT, "update"),
        (Method::PATCH, "patch"),
        (Method::DELETE, "deletecollection"),
    ] {
        for (name, code) in [("alice", 405), ("bob", 403)] {
            let headers = user(name, &[]);
            let path = orders();
            let answer = proxy
                .send(method.clone(), &path, &headers, "")
                .await
                .unwrap();
            assert_eq!(answer.code.as_u16(), code, "{method} {name}");
            if method != Method::HEAD && code == 405 {
                assert_eq!(
                    answer.json()["message"],
                    "the server does not allow this method on the requested resource"
                );
            }
        }
        let asked = rig.cluster.access_reviews();
        let attributes = &asked.last().unwrap()["spec"]["resourceAttributes"];
        let expected = if verb.is_empty() {
            Value::Null
        } else {
            verb.into()
        };
        assert_eq!(attributes["verb"], expected, "{method}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_audit_id_it_came_with_or_one_of_its_own() {
    let rig = Rig::start().await;
    let proxy = rig.front_proxy().await;
    let known = asked(&proxy, &orders(), &[("audit-id", "abc")]).await;
    assert_eq!(known.header("audit-id"), "abc");
    let (one, other) = (
        asked(&proxy, "/apis", &[]).await,
        asked(&proxy, "/nothing", &[]).await,
    );
    let id = |answer: &Answer| uuid::Uuid::parse_str(answer.header("audit-id")).unwrap();
    assert_eq!(id(&one).get_version_num(), 4);
    assert_ne!(id(&one), id(&other));
}

/// As after a freeze of the process, or beside an engine that hangs: the table is what it was.
#[tokio::test]
async fn nothing_is_served_of_an_engine_that_stands_still() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    let proxy = rig.front_proxy().await;
    let everywhere = "/apis/external.metrics.k8s.io/v1beta1/externalmetrics";
    let forms = [
        (orders(), ""),
        (orders(), TABLE),
        (everywhere.into(), TABLE),
    ];
    for (seconds, serves, lives) in [
        (0, true, true),
        (9, true, true),
        (11, false, true),
        (61, false, false),
    ] {
        let since = Duration::from_secs(seconds);
        for (path, form) in &forms {
            rig.pulse.beat(Instant::now().checked_sub(since).unwrap());
            let headers = [("accept", *form)];
            let answer = asked(&proxy, path, if form.is_empty() { &[] } else { &headers }).await;
            if serves {
                assert_eq!(answer.code, StatusCode::OK, "{seconds} s, {path}");
                continue;
            }
            assert_eq!(
                answer.code,
                StatusCode::SERVICE_UNAVAILABLE,
                "{seconds} s, {path}"
            );
            let said = answer.json()["message"].as_str().unwrap().to_owned();
            let told = format!("has not looked at any object for {seconds} s");
            assert!(said.contains(&told), "{said}");
        }
        let live = proxy.get("/livez", &[]).await;
        assert_eq!(
            live.code.is_success(),
            lives,
            "{seconds} s: {}",
            live.text()
        );
        let ready = proxy.get("/readyz", &[]).await;
        assert_eq!(
            ready.code,
            StatusCode::OK,
            "it is not a matter of readiness"
        );
    }
    rig.pulse.beat(Instant::now());
    assert_eq!(asked(&proxy, &orders(), &[]).await.code, StatusCode::OK);
}
