//! Questions that are not ours: whose they are, and what a backend is asked with.

use http::Method;
use lagscale::scaling::table::{Outcome, Owner};
use serde_json::json;

use crate::{
    metric::{PROTOBUF, SHOP, asked, of, orders, topic},
    rig::{Backend, Given, Rig, given, user},
};

fn list(value: &str) -> String {
    let item = json!({"metricName": "m", "metricLabels": null, "timestamp": "2026-01-01T00:00:00Z", "value": value});
    json!({
        "kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "metadata": {},
        "items": [item],
    })
    .to_string()
}

pub fn value(value: &str) -> Given {
    given(200, "application/json", list(value))
}

pub fn message(answer: &crate::rig::Answer) -> String {
    answer.json()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[tokio::test]
async fn an_own_object_goes_before_a_lag_metric_before_the_first_backend_that_takes_it() {
    let datadog = Backend::start("datadog", |_| value("7")).await;
    let keda = Backend::start("keda", |_| value("8")).await;
    let rig = Rig::delegating(&[
        datadog.entry(&json!({"namePrefix": "datadogmetric@"})),
        keda.entry(&json!({"selectorKey": "scaledobject.keda.sh/name"})),
    ])
    .await;
    let proxy = rig.front_proxy().await;
    rig.handles("shop", "orders");
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    topic(&rig, "lag", 3_000);
    let item = |answer: crate::rig::Answer| answer.json()["items"][0]["value"].clone();
    let of_object = |name: &str| {
        of(
            "s0-kafka-orders",
            &format!("scaledobject.keda.sh/name={name}"),
        )
    };
    // The object decides: the metric's name is the one of an own object.
    assert_eq!(item(asked(&proxy, &of_object("orders"), &[]).await), "5");
    assert_eq!(item(asked(&proxy, &of_object("foreign"), &[]).await), "8");
    assert_eq!(item(asked(&proxy, &of("lag", ""), &[]).await), "3");
    let metric = of("datadogmetric@shop:latency", "");
    assert_eq!(item(asked(&proxy, &metric, &[]).await), "7");
    // A metric of an own object that is not there is nobody's.
    let gone = of("s9-kafka-orders", "scaledobject.keda.sh/name=orders");
    assert_eq!(asked(&proxy, &gone, &[]).await.code, 404);
    let nobody = asked(&proxy, &of("else", ""), &[]).await;
    assert_eq!(nobody.code, 404);
    let said = message(&nobody);
    assert!(
        said.ends_with("none of its backends (datadog, keda) takes it"),
        "{said}"
    );
    assert_eq!((datadog.asked().len(), keda.asked().len()), (1, 1));
}

#[tokio::test]
async fn an_object_that_is_handled_here_is_never_anybody_else_s_whatever_it_has_to_serve() {
    let keda = Backend::start("keda", |_| value("8")).await;
    let rig = Rig::delegating(&[keda.entry(&json!({}))]).await;
    let proxy = rig.front_proxy().await;
    rig.handles("shop", "orders");
    assert_eq!(asked(&proxy, &orders(), &[]).await.code, 404);
    let why = Outcome::Withheld("the brokers are down".into());
    rig.serve(
        "shop",
        "s0-kafka-orders",
        Owner::ScaledObject("orders".into()),
        why,
    );
    assert_eq!(asked(&proxy, &orders(), &[]).await.code, 503);
    assert!(keda.asked().is_empty());
    // Before the objects are known one of ours could be taken for somebody else's.
    rig.polled.send_replace(false);
    let other = of("s0-cron", "scaledobject.keda.sh/name=other");
    assert_eq!(asked(&proxy, &other, &[]).await.code, 503);
    assert!(keda.asked().is_empty());
}

#[tokio::test]
async fn the_group_of_its_own_has_lagscale_s_metrics_and_nobody_else_s() {
    let keda = Backend::start("keda", |_| value("8")).await;
    let rig = Rig::delegating(&[keda.entry(&json!({}))]).await;
    let proxy = rig.front_proxy().await;
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    let own = |path: &str| path.replace("external.metrics.k8s.io", "external.metrics.lagscale.io");
    rig.cluster.on_access(|review| {
        let group = &review["spec"]["resourceAttributes"]["group"];
        crate::rig::Reply::Status(json!({"allowed": *group == "external.metrics.lagscale.io"}))
    });
    let alice = user("alice", &[]);
    let list = proxy.get(&own(&orders()), &alice).await.json();
    assert_eq!(list["apiVersion"], "external.metrics.lagscale.io/v1beta1");
    assert_eq!(list["items"][0]["value"], "5");
    // A right to one group is none to the other.
    let refused = proxy.get(&orders(), &alice).await;
    assert_eq!(refused.code, 403);
    let other = of("s0-cron", "scaledobject.keda.sh/name=foreign");
    let missing = proxy.get(&own(&other), &alice).await;
    assert_eq!(missing.code, 404);
    assert!(!message(&missing).contains("backends"), "{missing:?}");
    assert!(keda.asked().is_empty());
}

#[tokio::test]
async fn what_a_backend_answers_is_passed_on_byte_by_byte() {
    let protobuf = [b"k8s\0".as_slice(), &[10, 3, 1, 2, 3]].concat();
    let missing = r#"{"kind":"Status", "apiVersion":"v1","code":404,"message":"no such metric"}"#;
    let answers = [
        (200, "application/json", list("8").into_bytes()),
        (200, "application/json; charset=utf-8", b"{ }\n".to_vec()),
        (200, PROTOBUF, protobuf),
        (404, "application/json", missing.as_bytes().to_vec()),
        (500, "application/json", missing.as_bytes().to_vec()),
        (
            200,
            "application/yaml",
            b"kind: ExternalMetricValueList\n".to_vec(),
        ),
    ];
    let told = answers.clone();
    let other = Backend::start("other", move |asked| {
        let nth: usize = asked.target.rsplit('/').next().unwrap().parse().unwrap();
        let (code, kind, body) = told[nth].clone();
        given(code, kind, body)
    })
    .await;
    let rig = Rig::delegating(&[other.entry(&json!({}))]).await;
    let proxy = rig.front_proxy().await;
    for (nth, (code, kind, body)) in answers.iter().enumerate() {
        let answer = asked(&proxy, &format!("{SHOP}/{nth}"), &[]).await;
        assert_eq!(
            (answer.code.as_u16(), answer.header("content-type")),
            (*code, *kind)
        );
        assert_eq!(&answer.body, body);
    }
}

#[tokio::test]
async fn a_backend_is_asked_with_the_delegate_s_token_and_nothing_of_the_asker() {
    let other = Backend::start("other", |_| value("8")).await;
    let rig = Rig::delegating(&[other.entry(&json!({}))]).await;
    let path = of("queue%20%41%2f", "a in (b,c)");
    let headers = [
        ("accept", "application/vnd.kubernetes.protobuf, */*"),
        ("authorization", "Bearer of-the-asker"),
        ("cookie", "of-the-asker"),
        ("via", "1.1 somebody"),
    ];
    let proxy = rig.front_proxy().await;
    for _ in 0..3 {
        let headers = [&headers[..], &user("alice", &["shop"])].concat();
        assert_eq!(proxy.get(&path, &headers).await.code, 200);
    }
    let questions = other.asked();
    assert_eq!(questions.len(), 3);
    for question in questions {
        let (asked_for, query) = question.target.split_once('?').unwrap();
        assert_eq!(asked_for, SHOP.replace("/shop", "/shop/queue%20A"));
        assert_eq!(query, path.split_once('?').unwrap().1);
        assert_eq!(
            question.header("accept"),
            "application/vnd.kubernetes.protobuf, */*"
        );
        assert!(
            question
                .header("authorization")
                .starts_with("Bearer delegate-")
        );
        let via: Vec<_> = question.headers.get_all("via").iter().collect();
        assert_eq!(via, ["1.1 somebody", "1.1 lagscale.lagscale.lagscale"]);
        let text = format!("{:?}", question.headers);
        assert!(
            !text.contains("alice") && !text.contains("of-the-asker"),
            "{text}"
        );
    }
    // One token for all, of the account's default audience.
    let requests = rig.cluster.token_requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0]["spec"]["audiences"], json!([]));
}

#[tokio::test]
async fn nobody_without_the_right_is_passed_on() {
    let other = Backend::start("other", |_| value("8")).await;
    let rig = Rig::delegating(&[other.entry(&json!({}))]).await;
    rig.cluster
        .on_access(|_| crate::rig::Reply::Status(json!({"allowed": false})));
    let proxy = rig.front_proxy().await;
    let alice = user("alice", &[]);
    assert_eq!(proxy.get(&of("m", ""), &alice).await.code, 403);
    let other_verb = proxy
        .send(Method::POST, &of("m", ""), &alice, "")
        .await
        .unwrap();
    assert_eq!(other_verb.code, 403);
    // Neither would a path be that leads elsewhere once somebody has cleaned it.
    rig.cluster
        .on_access(|_| crate::rig::Reply::Status(json!({"allowed": true})));
    for metric in ["..", "%2e%2e", "."] {
        assert_eq!(proxy.get(&of(metric, ""), &alice).await.code, 404);
    }
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn a_shadow_answers_no_hpa_and_whoever_asks_for_it_by_its_own_group() {
    let rig = Rig::shadow().await;
    let proxy = rig.front_proxy().await;
    rig.value("shop", "s0-kafka-orders", "orders", 5_000);
    let path = orders();
    let refused = asked(&proxy, &path, &[]).await;
    assert_eq!(refused.code, 503);
    assert!(message(&refused).contains("this lagscale is a shadow"));
    let own = path.replace("external.metrics.k8s.io", "external.metrics.lagscale.io");
    assert_eq!(asked(&proxy, &own, &[]).await.code, 200);
}
