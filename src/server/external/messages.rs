//! The messages of KEDA's `externalscaler.proto` (package `externalscaler`, KEDA 2.21), field by field.

use std::collections::BTreeMap;

use prost::Message;

/// A trigger of an object.
#[derive(Clone, PartialEq, Message)]
pub struct ScaledObjectRef {
    /// The object.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its namespace.
    #[prost(string, tag = "2")]
    pub namespace: String,
    /// The trigger's metadata.
    #[prost(btree_map = "string, string", tag = "3")]
    pub scaler_metadata: BTreeMap<String, String>,
}

/// The answer to a question for work.
#[derive(Clone, PartialEq, Message)]
pub struct IsActiveResponse {
    /// Above the activation threshold.
    #[prost(bool, tag = "1")]
    pub result: bool,
}

/// The metrics of a trigger, each with its target.
#[derive(Clone, PartialEq, Message)]
pub struct GetMetricSpecResponse {
    /// One.
    #[prost(message, repeated, tag = "1")]
    pub metric_specs: Vec<MetricSpec>,
}

/// A metric with its target.
#[derive(Clone, PartialEq, Message)]
pub struct MetricSpec {
    /// Without the trigger's place, which KEDA puts before it.
    #[prost(string, tag = "1")]
    pub metric_name: String,
    /// Records per replica, for a KEDA that does not know the field after it.
    #[prost(int64, tag = "2")]
    pub target_size: i64,
    /// Records per replica; counts where it is above 0.
    #[prost(double, tag = "3")]
    pub target_size_float: f64,
}

/// A question for the value of a metric.
#[derive(Clone, PartialEq, Message)]
pub struct GetMetricsRequest {
    /// The trigger.
    #[prost(message, optional, tag = "1")]
    pub scaled_object_ref: Option<ScaledObjectRef>,
    /// The metric.
    #[prost(string, tag = "2")]
    pub metric_name: String,
}

/// Values of a metric.
#[derive(Clone, PartialEq, Message)]
pub struct GetMetricsResponse {
    /// One.
    #[prost(message, repeated, tag = "1")]
    pub metric_values: Vec<MetricValue>,
}

/// A value of a metric.
#[derive(Clone, PartialEq, Message)]
#[allow(clippy::struct_field_names, reason = "KEDA's names")]
pub struct MetricValue {
    /// As it was asked for.
    #[prost(string, tag = "1")]
    pub metric_name: String,
    /// The value, for a KEDA that does not know the field after it.
    #[prost(int64, tag = "2")]
    pub metric_value: i64,
    /// The value; counts where it is above 0.
    #[prost(double, tag = "3")]
    pub metric_value_float: f64,
}
