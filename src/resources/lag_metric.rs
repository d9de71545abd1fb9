//! LagMetric: the lag of a consumer group as a metric of its own name, for an HPA that somebody writes by hand.
// Printer columns share their type, which the lint takes for a repetition.
#![allow(clippy::duplicated_attributes)]

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AuthenticationRef, Condition, Remembered};

/// Serves the lag of a consumer group as an external metric: one item per topic, labelled `topic`.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "lagscale.io",
    version = "v1alpha1",
    kind = "LagMetric",
    plural = "lagmetrics",
    shortname = "lm",
    namespaced,
    status = "LagMetricStatus",
    validation = Rule::new("!self.metadata.name.matches('^s[0-9]+-') && !(self.metadata.name in ['composite-metric', 'externalmetrics'])")
        .message("this name is kept for the metrics of ScaledObjects (s<number>-..., composite-metric) or for the list of all metrics (externalmetrics)"),
    printcolumn(name = "Group", type_ = "string", json_path = ".spec.consumerGroup"),
    printcolumn(name = "Lag", type_ = "string", json_path = ".status.value"),
    printcolumn(name = "Partitions", type_ = "integer", json_path = ".status.partitions"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"
    ),
    printcolumn(name = "Read", type_ = "date", json_path = ".status.lastReadTime"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct LagMetricSpec {
    /// Brokers to begin with, `host:port` with commas between.
    #[schemars(length(min = 1))]
    pub bootstrap_servers: String,
    /// The group whose lag it is.
    #[schemars(length(min = 1))]
    pub consumer_group: String,
    /// The topics, 1 to 100, each an item of its own.
    #[schemars(length(min = 1, max = 100), inner(length(min = 1, max = 249), regex(pattern = "^[a-zA-Z0-9._-]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub topics: Vec<String>,
    /// The partitions that count, such as `1-3,5`; all of them if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub partition_limitation: Option<String>,
    /// Where a group without a commit begins: `latest` (if absent) or `earliest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(latest|earliest)$"))]
    pub offset_reset_policy: Option<String>,
    /// A partition without a commit counts 0, whatever the policy says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale_to_zero_on_invalid_offset: Option<bool>,
    /// A lag whose commit does not move counts for one polling interval only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_persistent_lag: Option<bool>,
    /// Up to where records count: `readUncommitted` (if absent) or `readCommitted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(readUncommitted|readCommitted)$"))]
    pub isolation: Option<String>,
    /// Seconds, 30 if absent: the interval of `excludePersistentLag`. Lag is read at least every five seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub polling_interval: Option<i32>,
    /// `enable` or `disable` (if absent); the authentication may say it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(enable|disable)$"))]
    pub tls: Option<String>,
    /// `none` (if absent), `plaintext`, `scram_sha256`, `scram_sha512` or `oauthbearer`; the authentication may say it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^(none|plaintext|scram_sha256|scram_sha512|oauthbearer)$"))]
    pub sasl: Option<String>,
    /// Where its credential comes from, as for a trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication_ref: Option<AuthenticationRef>,
}

/// Status of the metric. The numbers are written once a minute at most while nothing else changes; the API has them at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LagMetricStatus {
    /// The generation of the specification that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The lag in records, over all topics; absent while one of them is withheld.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// How many partitions count; absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<i64>,
    /// When the oldest reading behind the value was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_read_time: Option<String>,
    /// `Ready`: every topic has a value. `Partial`: some of it stands on older readings, or lost commits or records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the group stood, by the name of a trigger on each topic, once it had not moved for a minute: a workload that its HPA scales to zero
    /// leaves a group without members, whose commits brokers forget.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remembered: BTreeMap<String, Remembered>,
}
