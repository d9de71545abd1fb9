//! KedaController: the settings of an installation, as KEDA has them under the Operator Lifecycle Manager.
// Printer columns share their type, which the lint takes for a repetition.
#![allow(clippy::duplicated_attributes)]

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// The settings of an installation: the object `keda` in lagscale's own namespace counts, and no other.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "keda.sh",
    version = "v1alpha1",
    kind = "KedaController",
    plural = "kedacontrollers",
    namespaced,
    status = "KedaControllerStatus",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct KedaControllerSpec {
    /// The namespaces to watch, with commas between; all where it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_namespace: Option<String>,
    /// How the controller logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "logging")]
    pub operator: Option<Logging>,
    /// How the API server logs: its level is a number, 0 for info and 4 for debug.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "logging")]
    pub metrics_server: Option<Logging>,
    /// How the webhooks log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "logging")]
    pub admission_webhooks: Option<Logging>,
    /// `operator.logLevel`, as it was called before that was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
    /// `operator.logEncoder`, as it was called before that was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_encoder: Option<String>,
    /// `metricsServer.logLevel`, as it was called before that was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level_metrics: Option<String>,
}

/// How one part logs. All parts are one process, so the encoder and the time of the operator are everybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// debug, info, error, or a number as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<String>,
    /// console or json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_encoder: Option<String>,
    /// epoch, millis, nano, iso8601, rfc3339 or rfc3339nano.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_time_encoding: Option<String>,
}

/// The installation as it came out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct KedaControllerStatus {
    /// `Installation Succeeded`, `Installation Failed` or `Installation Ignored`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// lagscale's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Knobs of a Deployment that is KEDA's stand beside these, and mean nothing here.
fn logging(_: &mut SchemaGenerator) -> Schema {
    let text = || serde_json::json!({ "type": "string" });
    schemars::json_schema!({
        "type": "object",
        "properties": { "logLevel": text(), "logEncoder": text(), "logTimeEncoding": text() },
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
