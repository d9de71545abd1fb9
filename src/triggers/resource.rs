//! The `cpu` and `memory` triggers: metrics that the HPA reads by itself.

use std::collections::BTreeMap;

use super::TriggerError;

/// A resource metric of the pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// `cpu` or `memory`.
    pub kind: &'static str,
    /// The target that the HPA compares it with.
    pub target: Target,
    /// One container's use instead of the pod's.
    pub container: Option<String>,
}

/// A resource target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Percent of the request.
    Utilization(i32),
    /// A quantity per pod, as written.
    AverageValue(String),
}

impl Resource {
    pub(super) fn parse(
        kind: &'static str,
        metadata: &BTreeMap<String, String>,
        metric_type: &str,
    ) -> Result<Self, TriggerError> {
        let error = |text: String| TriggerError::Resource { kind, text };
        let field = |name| {
            metadata
                .get(name)
                .map(|v| v.trim())
                .filter(|v| !v.is_empty())
        };
        let value = field("value").ok_or_else(|| {
            error("missing required parameter \"value\" in [triggerMetadata]".into())
        })?;
        let target = match metric_type {
            "Utilization" => {
                let percent = value.parse().ok().filter(|p| *p > 0);
                Target::Utilization(percent.ok_or_else(|| {
                    error(format!(
                        "value \"{value}\" must be a whole number of percent above 0"
                    ))
                })?)
            }
            "AverageValue" => match crate::quantity::parse_milli(value) {
                Ok(milli) if milli > 0 => Target::AverageValue(value.to_owned()),
                _ => {
                    return Err(error(format!(
                        "value \"{value}\" must be a quantity above 0"
                    )));
                }
            },
            other => {
                return Err(error(format!(
                    "unknown metric type: {other}, allowed values are 'Utilization' or 'AverageValue'"
                )));
            }
        };
        Ok(Self {
            kind,
            target,
            container: field("containerName").map(Into::into),
        })
    }
}
