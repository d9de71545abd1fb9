//! From a trigger's metadata and authentication parameters to something typed, or to an error a person understands.
//! Texts are KEDA's where KEDA has one; ours follow.

mod fields;
mod kafka;
mod resource;
mod security;

use std::collections::BTreeMap;

pub use fields::Parameters;
pub use kafka::Kafka;
pub use resource::{Resource, Target};

/// What an HPA compares a metric with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// The target is per replica.
    AverageValue,
    /// The target is a total, compared with the present replicas as a ratio.
    Value,
}

/// One trigger, parsed.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// Lag of a consumer group, with how the HPA is to compare it.
    Kafka(Box<Kafka>, MetricType),
    /// CPU or memory of the pods, which the HPA reads by itself.
    Resource(Resource),
}

/// Why a trigger can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// A type that is not here.
    #[error(
        "no scaler found for type: {0} (lagscale has kafka, cpu and memory; leave this object to KEDA)"
    )]
    UnknownType(String),
    /// Fields that are missing, do not parse, or do not go together; each on its own line.
    #[error("error parsing kafka metadata: error parsing kafka metadata: {}", .0.join("\n"))]
    Kafka(Vec<String>),
    /// `metricType` of a trigger served as an external metric.
    #[error("error getting scaler metric type: {0}")]
    MetricType(String),
    /// A cpu or memory trigger.
    #[error("error parsing {kind} metadata: {text}")]
    Resource {
        /// `cpu` or `memory`.
        kind: &'static str,
        /// What is wrong.
        text: String,
    },
}

/// Parses one trigger. `metric_type` is the trigger's `metricType`, empty if absent.
pub fn parse(
    kind: &str,
    metadata: &BTreeMap<String, String>,
    metric_type: &str,
    parameters: &Parameters,
) -> Result<Trigger, TriggerError> {
    match kind {
        "kafka" => {
            let kafka = Kafka::parse(metadata, parameters).map_err(TriggerError::Kafka)?;
            Ok(Trigger::Kafka(Box::new(kafka), external(metric_type)?))
        }
        "cpu" => Resource::parse("cpu", metadata, metric_type).map(Trigger::Resource),
        "memory" => Resource::parse("memory", metadata, metric_type).map(Trigger::Resource),
        other => Err(TriggerError::UnknownType(other.chars().take(100).collect())),
    }
}

fn external(metric_type: &str) -> Result<MetricType, TriggerError> {
    match metric_type {
        "" | "AverageValue" => Ok(MetricType::AverageValue),
        "Value" => Ok(MetricType::Value),
        "Utilization" => Err(TriggerError::MetricType(
            "'Utilization' metric type is unsupported for external metrics, allowed values are 'Value' or 'AverageValue'"
                .into(),
        )),
        other => Err(TriggerError::MetricType(format!(
            "unknown metric type: {other}, allowed values are 'Value' or 'AverageValue'"
        ))),
    }
}
