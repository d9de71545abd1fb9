//! The metric GET: which values a name and a selector stand for, and an error wherever there is no number.

use http::StatusCode;
use lagscale::scaling::table::{Outcome, Owner};

use crate::rig::{Answer, Caller, MASTERS, READ, Rig};

pub const SHOP: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop";
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

pub fn of(metric: &str, selector: &str) -> String {
    let selector: String = form_urlencoded::byte_serialize(selector.as_bytes()).collect();
    format!("{SHOP}/{metric}?labelSelector={selector}")
}

pub fn orders() -> String {
    of("s0-kafka-orders", "scaledobject.keda.sh/name=orders")
}

pub async fn asked(proxy: &Caller, path: &str, headers: &[(&str, &str)]) -> Answer {
    proxy.get(path, &[&MASTERS[..], headers].concat()).await
}

pub fn topic(rig: &Rig, name: &str, milli: i64) {
    let at = READ.parse().unwrap();
    let outcome = Outcome::Value { milli, at };
    rig.serve("shop", "lag", Owner::Topic(name.into()), outcome);
}

/// Reads field by field what protobuf's wire format says, with nothing of ours.
#[tokio::test]
async fn no_value_is_below_zero_or_above_what_the_hpa_controller_can_multiply() {
    let rig = Rig::start().await;
    let proxy = rig.front_proxy().await;
    for (milli, value) in [
        (-5_000, "0"),
        (0, "0"),
        (999_000, "999"),
        (1_000_500, "1000500m"),
        (9_223_372_036_854_775_000, "9223372036854775"),
        (i64::MAX, "9223372036854775"),
        (i64::MIN, "0"),
    ] {
        rig.value("shop", "s0-kafka-orders", "orders", milli);
        let answer = asked(&proxy, &orders(), &[]).await;
        assert_eq!(answer.json()["items"][0]["value"], value, "{milli}");
    }
}

#[tokio::test]
async fn a_name_counts_without_its_case() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-Orders", "orders", 5_000);
    let proxy = rig.front_proxy().await;
    for name in ["s0-kafka-orders", "S0-Kafka-Orders", "s0-KAFKA-ORDERS"] {
        let path = of(name, "scaledobject.keda.sh/name=orders");
        let answer = asked(&proxy, &path, &[]).await;
        assert_eq!(answer.json()["items"][0]["metricName"], "s0-kafka-Orders");
    }
}

#[tokio::test]
async fn a_metric_of_a_scaled_object_is_one_item_and_only_by_its_name() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-t", "a", 1_000);
    rig.value("shop", "s0-kafka-t", "b", 2_000);
    let proxy = rig.front_proxy().await;
    for (selector, code, said) in [
        ("scaledobject.keda.sh/name=a", 200, "1"),
        ("scaledobject.keda.sh/name==b", 200, "2"),
        ("scaledobject.keda.sh/name in (b)", 200, "2"),
        ("scaledobject.keda.sh/name=a,!x", 200, "1"),
        (
            "",
            400,
            "scaledobject.keda.sh/name=<name of the ScaledObject>",
        ),
        ("scaledobject.keda.sh/name", 400, "name is not specified"),
        (
            "scaledobject.keda.sh/name in (a,b)",
            400,
            "name is not specified",
        ),
        ("scaledobject.keda.sh/name!=a", 400, "name is not specified"),
        (
            "scaledobject.keda.sh/name=c",
            404,
            "ScaledObject c in namespace shop",
        ),
        (
            "scaledobject.keda.sh/name=a,topic=t",
            404,
            "fits the label selector",
        ),
    ] {
        let answer = asked(&proxy, &of("s0-kafka-t", selector), &[]).await;
        assert_eq!(answer.code.as_u16(), code, "{selector}: {answer:?}");
        assert!(answer.text().contains(said), "{selector}: {answer:?}");
    }
}

#[tokio::test]
async fn every_operator_filters_the_topics_of_a_lag_metric_and_none_is_left_out_without_one() {
    let rig = Rig::start().await;
    for (name, milli) in [("a", 1_000), ("b", 2_000), ("5", 4_000)] {
        topic(&rig, name, milli);
    }
    let proxy = rig.front_proxy().await;
    for (selector, sum) in [
        ("", 7),
        ("topic", 7),
        ("topic=a", 1),
        ("topic==b", 2),
        ("topic!=a", 6),
        ("topic in (a,b)", 3),
        ("topic notin (a,b)", 4),
        ("topic>4", 4),
        ("topic<6", 4),
        ("!x", 7),
        ("x notin (y)", 7),
        ("topic in (a,5),topic!=5", 1),
    ] {
        let answer = asked(&proxy, &of("lag", selector), &[]).await.json();
        let items = answer["items"].as_array().unwrap();
        let values = items.iter().map(|i| i["value"].as_str().unwrap());
        let found: i64 = values.map(|v| v.parse::<i64>().unwrap()).sum();
        assert_eq!(found, sum, "{selector}");
    }
    for selector in ["topic=z", "!topic", "x", "scaledobject.keda.sh/name=lag"] {
        let answer = asked(&proxy, &of("lag", selector), &[]).await;
        assert_eq!(answer.code, StatusCode::NOT_FOUND, "{selector}");
    }
}

#[tokio::test]
async fn what_is_stale_is_503_with_its_reason_and_without_retry_after() {
    let rig = Rig::start().await;
    let reason = "no reading for 21 s: broker b:9092 does not answer";
    let owner = Owner::ScaledObject("orders".into());
    rig.serve(
        "shop",
        "s0-kafka-orders",
        owner,
        Outcome::Withheld(reason.into()),
    );
    topic(&rig, "a", 1_000);
    let withheld = Outcome::Withheld("topic is gone".into());
    rig.serve("shop", "lag", Owner::Topic("b".into()), withheld);
    let proxy = rig.front_proxy().await;
    for (path, said) in [
        (orders(), reason),
        (of("lag", ""), "topic b: topic is gone"),
        (of("lag", "topic!=a"), "topic b: topic is gone"),
    ] {
        let answer = asked(&proxy, &path, &[]).await;
        assert_eq!(answer.code, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.header("retry-after"), "");
        assert_eq!(answer.json()["reason"], "ServiceUnavailable");
        assert_eq!(answer.json()["message"], said);
    }
    let good = asked(&proxy, &of("lag", "topic=a"), &[]).await;
    assert_eq!(good.json()["items"][0]["value"], "1");
}

#[tokio::test]
async fn a_name_with_a_dollar_sign_is_found_in_either_spelling() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-$Default-topics", "orders", 5_000);
    let proxy = rig.front_proxy().await;
    for name in ["s0-kafka-$Default-topics", "s0-kafka-%24Default-topics"] {
        let path = of(name, "scaledobject.keda.sh/name=orders");
        let answer = asked(&proxy, &path, &[]).await;
        let item = &answer.json()["items"][0];
        assert_eq!(item["metricName"], "s0-kafka-$Default-topics", "{name}");
        assert_eq!(item["value"], "5", "{name}");
    }
}
