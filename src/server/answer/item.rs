//! One value of a metric GET, as JSON, YAML, protobuf and a table's rows are made of it.

use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap};

/// The label of a LagMetric's items.
pub(in crate::server) const TOPIC: &str = "topic";

/// One value.
pub(in crate::server) struct Item<'a> {
    pub metric_name: &'a str,
    pub topic: Option<&'a str>,
    pub timestamp: Timestamp,
    pub value: String,
}

impl Item<'_> {
    /// Its labels, by key.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.topic.iter().map(|topic| (TOPIC, *topic))
    }
}

struct Labels<'a>(&'a Item<'a>);

impl Serialize for Labels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.labels())
    }
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut item = serializer.serialize_map(Some(4))?;
        item.serialize_entry("metricName", self.metric_name)?;
        item.serialize_entry("metricLabels", &Labels(self))?;
        item.serialize_entry("timestamp", &whole_seconds(self.timestamp))?;
        item.serialize_entry("value", &self.value)?;
        item.end()
    }
}

/// RFC 3339 in UTC, as Kubernetes writes times.
pub(in crate::server) fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}
