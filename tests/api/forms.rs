//! The forms of a metric's answer: JSON, YAML, protobuf and rows, byte for byte, and errors in the same.

use http::StatusCode;
use lagscale::scaling::table::{Outcome, Owner};
use serde_json::{Value, json};

use crate::{
    metric::{PROTOBUF, SHOP, TABLE, asked, orders, topic},
    rig::{READ, Rig},
};

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
