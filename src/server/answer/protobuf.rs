//! The two objects that clients ask for as protobuf, written as Kubernetes' own serializer writes them: default values of
//! plain fields included. Only their few fields are known here, so no schema is compiled.

use crate::server::{answer::failure::Failure, answer::item::Item};

/// The first bytes of every message of `application/vnd.kubernetes.protobuf`.
const MAGIC: [u8; 4] = *b"k8s\0";
/// `ListMeta` with its three texts empty.
const LIST_META: [u8; 6] = [0x0a, 0, 0x12, 0, 0x1a, 0];

/// A message that grows.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) -> &mut Self {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return self;
            }
            self.0.push(low | 0x80);
        }
    }

    fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.varint(field << 3).varint(value)
    }

    fn bytes(&mut self, field: u64, value: &[u8]) -> &mut Self {
        self.varint(field << 3 | 2).varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn text(&mut self, field: u64, value: &str) -> &mut Self {
        self.bytes(field, value.as_bytes())
    }

    fn message(&mut self, field: u64, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(field, &inner.0)
    }
}

/// `ExternalMetricValueList`.
pub(in crate::server) fn list(api_version: &str, items: &[Item<'_>]) -> Vec<u8> {
    let mut list = Message::default();
    list.bytes(1, &LIST_META);
    for item in items {
        list.message(2, |value| {
            value.text(1, item.metric_name);
            for (key, label) in item.labels() {
                value.message(2, |entry| {
                    entry.text(1, key).text(2, label);
                });
            }
            // A time before 1970 is two's complement, as int64 is.
            let seconds = item.timestamp.as_second().cast_unsigned();
            value.message(3, |time| {
                time.number(1, seconds).number(2, 0);
            });
            value.message(5, |quantity| {
                quantity.text(1, &item.value);
            });
        });
    }
    envelope(api_version, "ExternalMetricValueList", &list.0)
}

/// `Status` of `meta/v1`.
pub(in crate::server) fn status(failure: &Failure) -> Vec<u8> {
    let mut status = Message::default();
    status
        .bytes(1, &LIST_META)
        .text(2, "Failure")
        .text(3, &failure.message)
        .text(4, failure.reason);
    if let Some(details) = &failure.details {
        status.message(5, |written| {
            written
                .text(1, &details.name)
                .text(2, &details.group)
                .text(3, &details.kind);
            for cause in &details.causes {
                written.message(4, |c| {
                    c.text(1, cause.reason)
                        .text(2, &cause.message)
                        .text(3, &cause.field);
                });
            }
            written.number(5, 0).text(6, "");
        });
    }
    status.number(6, u64::from(failure.code.as_u16()));
    envelope("v1", "Status", &status.0)
}

/// `runtime.Unknown` around it.
fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut unknown = Message(MAGIC.to_vec());
    unknown
        .message(1, |types| {
            types.text(1, api_version).text(2, kind);
        })
        .bytes(2, raw)
        .text(3, "")
        .text(4, "");
    unknown.0
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use http::StatusCode;

    use super::{Item, list, status};
    use crate::server::answer::failure::Failure;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    const TYPES: &str = "6b3873000a3a0a1f65787465726e616c2e6d6574726963732e6b38732e696f2f76316265746131121745787465726e616c4d657472696356616c75654c697374";

    #[test]
    fn the_bytes_are_those_of_the_reference() {
        let version = "external.metrics.k8s.io/v1beta1";
        assert_eq!(
            hex(&list(version, &[])),
            format!("{TYPES}12080a060a0012001a001a002200")
        );
        let item = |topic, value: &str| Item {
            metric_name: "kafka-lag",
            topic,
            timestamp: jiff::Timestamp::from_second(1_750_000_000).unwrap(),
            value: value.into(),
        };
        let two = [item(Some("orders"), "1500"), item(None, "1500m")];
        let (time, name) = ("1a080880c3bbc2061000", "0a096b61666b612d6c6167");
        let labels = "120f0a05746f70696312066f7264657273";
        assert_eq!(
            hex(&list(version, &two)),
            format!(
                "{TYPES}12580a060a0012001a00122e{name}{labels}{time}2a060a0431353030121e{name}{time}2a070a0531353030\
                 6d1a002200"
            )
        );
        let boom = Failure::new(StatusCode::NOT_FOUND, "NotFound", "boom");
        assert_eq!(
            hex(&status(&boom)),
            "6b3873000a0c0a027631120653746174757312240a060a0012001a0012074661696c7572651a04626f6f6d22084e6f74466f756e643094031a002200"
        );
    }
}
