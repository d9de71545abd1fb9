//! The metric GET: the same values in every form, byte for byte, and an error wherever there is no number.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use lagscale::scaling::table::{Outcome, Owner};
use serde_json::{Value, json};

use crate::rig::{Answer, Caller, MASTERS, READ, Reply, Rig, user};

const SHOP: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

fn of(metric: &str, selector: &str) -> String {
    let selector: String = form_urlencoded::byte_serialize(selector.as_bytes()).collect();
    format!("{SHOP}/{metric}?labelSelector={selector}")
}

fn orders() -> String {
    of("s0-kafka-orders", "scaledobject.keda.sh/name=orders")
}

async fn asked(proxy: &Caller, path: &str, headers: &[(&str, &str)]) -> Answer {
    proxy.get(path, &[&MASTERS[..], headers].concat()).await
}

fn topic(rig: &Rig, name: &str, milli: i64) {
    let at = READ.parse().unwrap();
    let outcome = Outcome::Value { milli, at };
    rig.serve("shop", "lag", Owner::Topic(name.into()), outcome);
}

#[tokio::test]
async fn the_body_is_byte_for_byte_the_one_of_the_reference() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-Orders", "orders", 1_000_000);
    let proxy = rig.front_proxy().await;
    let answer = asked(&proxy, &orders(), &[]).await;
    assert_eq!(
        answer.text(),
        "{\"kind\":\"ExternalMetricValueList\",\"apiVersion\":\"external.metrics.k8s.io/v1beta1\",\"metadata\":{},\"items\":[{\"metricName\":\"s0-kafka-Orders\",\"metricLabels\":{},\"timestamp\":\"2025-06-15T15:06:40Z\",\"value\":\"1k\"}]}\n"
    );
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-cache, private");
    topic(&rig, "b", 1_500);
    topic(&rig, "a", 0);
    let lag = asked(&proxy, &format!("{SHOP}/lag"), &[]).await;
    let (one, other) = (
        r#"{"metricName":"lag","metricLabels":{"topic":"b"},"timestamp":"2025-06-15T15:06:40Z","value":"1500m"}"#,
        r#"{"metricName":"lag","metricLabels":{"topic":"a"},"timestamp":"2025-06-15T15:06:40Z","value":"0"}"#,
    );
    assert!(
        lag.text()
            .ends_with(&format!("\"items\":[{one},{other}]}}\n")),
        "{lag:?}"
    );
}

#[tokio::test]
async fn the_time_is_that_of_the_reading_in_whole_seconds() {
    let rig = Rig::start().await;
    let outcome = Outcome::Value {
        milli: 1_000,
        at: "2025-06-15T15:06:40.987654321Z".parse().unwrap(),
    };
    let owner = Owner::ScaledObject("orders".into());
    rig.serve("shop", "s0-kafka-orders", owner, outcome);
    let answer = asked(&rig.front_proxy().await, &orders(), &[]).await;
    assert_eq!(answer.json()["items"][0]["timestamp"], READ);
}

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
async fn json_yaml_and_protobuf_carry_the_same_values_to_whoever_asks_for_which() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-orders", "orders", 1_500_000);
    let proxy = rig.front_proxy().await;
    let as_json = asked(&proxy, &orders(), &[]).await.json();
    for (accept, kind) in [
        ("application/vnd.kubernetes.protobuf, */*", PROTOBUF),
        (PROTOBUF, PROTOBUF),
        ("*/*", "application/json"),
        ("application/yaml", "application/yaml"),
        ("application/json;charset=utf-8", "application/json"),
        (
            "application/json;q=0.2,application/yaml;q=0.8",
            "application/yaml",
        ),
    ] {
        let answer = asked(&proxy, &orders(), &[("accept", accept)]).await;
        assert_eq!(answer.code, StatusCode::OK, "{accept}");
        assert_eq!(answer.header("content-type"), kind, "{accept}");
        match kind {
            PROTOBUF => assert_eq!(decoded(&answer.body), as_json),
            "application/yaml" => {
                let read: Value = serde_saphyr::from_str(answer.text()).unwrap();
                assert_eq!(read, as_json);
            }
            _ => assert_eq!(answer.json(), as_json),
        }
    }
    for (accept, said) in [
        (
            "text/html",
            "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ),
        (
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
        ),
    ] {
        let answer = asked(&proxy, &orders(), &[("accept", accept)]).await;
        assert_eq!(answer.code, StatusCode::NOT_ACCEPTABLE);
        assert!(answer.text().starts_with("{\n"), "{answer:?}");
        assert_eq!(answer.json()["message"], said);
    }
}

/// Reads field by field what protobuf's wire format says, with nothing of ours.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Result<u64, &[u8]>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = varint(&mut bytes);
        if tag & 7 == 2 {
            let (inner, rest) = bytes.split_at(usize::try_from(value).unwrap());
            bytes = rest;
            found.push((tag >> 3, Err(inner)));
        } else {
            found.push((tag >> 3, Ok(value)));
        }
    }
    found
}

fn decoded(body: &[u8]) -> Value {
    fn inner<'a>(of: &[(u64, Result<u64, &'a [u8]>)], field: u64) -> &'a [u8] {
        of.iter().find(|f| f.0 == field).unwrap().1.unwrap_err()
    }
    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }
    assert_eq!(&body[..4], b"k8s\0");
    let unknown = fields(&body[4..]);
    let types = fields(inner(&unknown, 1));
    let list = fields(inner(&unknown, 2));
    let items = list.iter().filter(|f| f.0 == 2).map(|f| {
        let item = fields(f.1.unwrap_err());
        let seconds = fields(inner(&item, 3))[0].1.unwrap();
        let seconds = jiff::Timestamp::from_second(seconds.cast_signed()).unwrap();
        let labels = item.iter().filter(|f| f.0 == 2).map(|f| {
            let entry = fields(f.1.unwrap_err());
            (text(inner(&entry, 1)), json!(text(inner(&entry, 2))))
        });
        json!({
            "metricName": text(inner(&item, 1)), "metricLabels": Value::Object(labels.collect()),
            "timestamp": seconds.to_string(), "value": text(inner(&fields(inner(&item, 5)), 1)),
        })
    });
    json!({
        "apiVersion": text(inner(&types, 1)), "kind": text(inner(&types, 2)), "metadata": {},
        "items": items.collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn an_error_is_a_status_in_the_form_that_was_asked_for() {
    let rig = Rig::start().await;
    let proxy = rig.front_proxy().await;
    let path = format!("{SHOP}/nobody");
    let answer = asked(&proxy, &path, &[]).await;
    assert_eq!(answer.code, StatusCode::NOT_FOUND);
    let said = "no matching metrics found for nobody: no ScaledObject and no LagMetric in namespace shop has a metric of this name";
    assert_eq!(
        answer.text(),
        format!(
            "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},\"status\":\"Failure\",\"message\":\"{said}\",\"reason\":\"NotFound\",\"code\":404}}\n"
        )
    );
    let binary = asked(&proxy, &path, &[("accept", PROTOBUF)]).await;
    assert_eq!(binary.header("content-type"), PROTOBUF);
    let unknown = fields(&binary.body[4..]);
    let status = fields(unknown[1].1.unwrap_err());
    assert_eq!(status[2], (3, Err(said.as_bytes())));
    assert_eq!(status.last(), Some(&(6, Ok(404))));
    let yaml = asked(&proxy, &path, &[("accept", "application/yaml")]).await;
    let yaml: Value = serde_saphyr::from_str(yaml.text()).unwrap();
    assert_eq!(yaml, answer.json());
}

#[tokio::test]
async fn kubectl_gets_rows_and_withheld_ones_say_why() {
    let rig = Rig::start().await;
    rig.value("shop", "s0-kafka-orders", "orders", 1_500_000);
    rig.value("other", "s0-kafka-x", "x", 0);
    let withheld = Outcome::Withheld("broker b:9092 does not answer".into());
    rig.serve("shop", "lag", Owner::Topic("t".into()), withheld);
    let proxy = rig.front_proxy().await;
    let table = |path: String| {
        let proxy = proxy.clone();
        async move {
            let answer = asked(&proxy, &path, &[("accept", TABLE)]).await;
            assert_eq!(answer.json()["kind"], "Table", "{answer:?}");
            let rows = answer.json()["rows"].clone();
            let cells = rows.as_array().unwrap().iter();
            cells.map(|r| r["cells"].clone()).collect::<Vec<_>>()
        }
    };
    let lag = json!([
        "lag",
        "LagMetric/lag",
        "t",
        "<unknown>",
        "",
        "broker b:9092 does not answer"
    ]);
    let orders_row = json!([
        "s0-kafka-orders",
        "ScaledObject/orders",
        "",
        "1500",
        READ,
        ""
    ]);
    let listed = format!("{SHOP}/externalmetrics?limit=500");
    assert_eq!(table(listed).await, [lag, orders_row.clone()]);
    assert_eq!(table(orders()).await, [orders_row]);
    let all = "/apis/external.metrics.k8s.io/v1beta1/externalmetrics?limit=500";
    assert_eq!(table(all.into()).await.len(), 3);
    for path in [&format!("{SHOP}/externalmetrics"), all] {
        let answer = asked(&proxy, path, &[("accept", "application/json")]).await;
        assert_eq!(answer.code, StatusCode::NOT_FOUND, "{path}");
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
