//! Conditions as KEDA writes them: no timestamps, no observed generation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::shown;

/// Characters of a message: a status has a limit, and a person too.
const LONGEST: usize = 8_000;

/// The condition that tells of an outage of a Kafka cluster, where KEDA has none.
pub const KAFKA_REACHABLE: &str = "KafkaReachable";

/// One condition of a status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    /// `Ready`, `Active`, `Fallback`, `Paused`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Condition {
    /// A condition with its reason and message.
    #[must_use]
    pub fn new(kind: &str, status: &str, reason: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            status: status.into(),
            reason: reason.into(),
            message: shown(&message.into(), LONGEST),
        }
    }
}
