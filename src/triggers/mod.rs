//! From a trigger's metadata and authentication parameters to something typed, or to an error a person understands.
//! Texts are KEDA's where KEDA has one; ours follow.

mod apache_kafka;
mod cron;
mod fields;
mod kafka;
mod oauth;
mod partitions;
mod refusable;
mod resource;
mod risks;
mod schedule;
mod security;
mod unmatched;

use std::collections::{BTreeMap, BTreeSet};

use crate::kafka::topics;

pub use cron::Cron;
pub use fields::{LONGEST_VALUE, Parameters, Sources, without};
pub use kafka::Kafka;
pub use oauth::OAuth;
pub use partitions::Limitation;
pub use refusable::refusable;
pub use resource::{Resource, Target};
pub use risks::risks;
pub use unmatched::{fields_of, unmatched};

/// The way an HPA compares a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// The target is per replica.
    AverageValue,
    /// The target is a total, compared with the present replicas as a ratio.
    Value,
}

/// The types of triggers that are read here.
const TYPES: [&str; 5] = ["apache-kafka", "cpu", "cron", "kafka", "memory"];

/// Several words as a sentence has them.
fn listed(words: &[&str]) -> String {
    match words {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => words.concat(),
    }
}

/// One trigger, parsed.
#[derive(Clone, Debug)]
pub enum Trigger {
    /// Lag of a consumer group, with how the HPA is to compare it.
    Kafka(Box<Kafka>, MetricType),
    /// A number of replicas at certain hours, with how the HPA is to compare it.
    Cron(Cron, MetricType),
    /// CPU or memory of the pods, which the HPA reads by itself.
    Resource(Resource),
}

/// Why a trigger can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerError {
    /// A type that is not here.
    #[error(
        "no scaler found for type: {0} (lagscale has {types}; leave this object to KEDA)",
        types = listed(&TYPES)
    )]
    UnknownType(String),
    /// Fields that are missing, do not parse, or do not go together; each on its own line.
    #[error("error parsing kafka metadata: error parsing kafka metadata: {}", .0.join("\n"))]
    Kafka(Vec<String>),
    /// Fields of a cron trigger that are missing or do not parse.
    #[error("error parsing cron metadata: {}", .0.join("\n"))]
    Cron(Vec<String>),
    /// `metricType` of a trigger served as an external metric.
    #[error("error getting scaler metric type: {0}")]
    MetricType(String),
    /// A cpu or memory trigger.
    #[error("error parsing {kind} metadata: {text}")]
    Resource {
        /// `cpu` or `memory`.
        kind: &'static str,
        /// The fault.
        text: String,
    },
}

/// Parses one trigger. `metric_type` is the trigger's `metricType`, empty if absent.
pub fn parse(kind: &str, sources: Sources<'_>, metric_type: &str) -> Result<Trigger, TriggerError> {
    let metadata = sources.metadata;
    match kind {
        "kafka" | "apache-kafka" => {
            let parse = if kind == "kafka" {
                Kafka::parse
            } else {
                apache_kafka::parse
            };
            let metric_type = external(metric_type)?;
            let kafka = parse(sources).map_err(TriggerError::Kafka)?;
            Ok(Trigger::Kafka(Box::new(kafka), metric_type))
        }
        "cron" => {
            let metric_type = external(metric_type)?;
            let cron = Cron::parse(sources).map_err(TriggerError::Cron)?;
            Ok(Trigger::Cron(cron, metric_type))
        }
        "cpu" => Resource::parse("cpu", metadata, metric_type).map(Trigger::Resource),
        "memory" => Resource::parse("memory", metadata, metric_type).map(Trigger::Resource),
        other => Err(TriggerError::UnknownType(other.chars().take(100).collect())),
    }
}

/// Whether a trigger can be connected with though this authentication parameter is absent. Generated objects name the keys of
/// a client certificate in Secrets that have none, as Knative's do; without a name or a password one would be somebody else.
#[must_use]
pub fn is_optional(parameter: &str) -> bool {
    matches!(
        parameter,
        "ca" | "cert"
            | "key"
            | "keyPassword"
            | "scopes"
            | "oauthExtensions"
            | "kerberosServiceName"
            | "kerberosDisableFAST"
            | "awsSessionToken"
    )
}

/// Hints about one trigger: the rest is as wrong.
const MOST_HINTS: usize = 10;

/// A warning for each pattern of `topics` that probably means another thing.
#[must_use]
pub fn pattern_hints(metadata: &BTreeMap<String, String>) -> Vec<String> {
    let listed = metadata
        .get("topics")
        .map(String::as_str)
        .unwrap_or_default();
    let pieces: BTreeSet<_> = listed.split(',').map(str::trim).collect();
    let hints = pieces.into_iter().filter_map(topics::hint);
    hints.take(MOST_HINTS).collect()
}

/// Whether triggers of this type are read here.
#[must_use]
pub fn knows(kind: &str) -> bool {
    TYPES.contains(&kind)
}

/// The fields of this trigger that stand only in the environment of the scale target: the key that says so, and the variable
/// it names.
#[must_use]
pub fn environment_fields<'a>(
    kind: &str,
    metadata: &'a BTreeMap<String, String>,
) -> Vec<(String, &'a str)> {
    let fields: &[&str] = match kind {
        "kafka" | "apache-kafka" => &["bootstrapServers", "consumerGroup", "topic"],
        _ => &[],
    };
    let stands = |key: &str| metadata.get(key).filter(|v| !v.trim().is_empty());
    let fields = fields.iter().filter(|field| stands(field).is_none());
    let named = fields.filter_map(|field| {
        let key = fields::from_env(field);
        stands(&key).map(|variable| (key, variable.as_str()))
    });
    named.collect()
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

/// `s<index>-<name>`, without what KEDA does not let into a metric's name.
fn metric_name(index: usize, name: &str) -> String {
    let name = name.replace(['/', '.', ':', '%', '(', ')'], "-");
    format!("s{index}-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs.map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    #[test]
    fn each_type_that_is_named_has_a_parser_and_its_fields() {
        for kind in TYPES {
            let nothing = Sources {
                metadata: &BTreeMap::new(),
                environment: &Parameters::new(),
                parameters: &Parameters::new(),
            };
            let error = parse(kind, nothing, "").unwrap_err();
            assert!(!matches!(error, TriggerError::UnknownType(_)), "{kind}");
            assert!(fields_of(kind).is_some(), "{kind}");
        }
        let unknown = TriggerError::UnknownType("x".into()).to_string();
        assert!(unknown.contains("apache-kafka, cpu, cron, kafka and memory;"));
    }

    #[test]
    fn a_field_comes_from_the_environment_only_where_the_trigger_leaves_it_out() {
        let environment = map(&[("SERVERS", "b:9092\n"), ("GROUP", "g"), ("TOPIC", " ")]);
        let environment = environment.into_iter().map(|(k, v)| (k, v.into()));
        let environment: Parameters = environment.collect();
        let trigger = |metadata: &[(&str, &str)]| {
            let metadata = map(metadata);
            let sources = Sources {
                metadata: &metadata,
                environment: &environment,
                parameters: &Parameters::new(),
            };
            let reads = environment_fields("kafka", &metadata).len();
            let read = match parse("kafka", sources, "") {
                Ok(Trigger::Kafka(kafka, _)) => Ok((kafka.group, kafka.topic)),
                Ok(other) => Err(format!("{other:?}")),
                Err(error) => Err(error.to_string()),
            };
            (reads, read)
        };
        let servers = ("bootstrapServersFromEnv", "SERVERS");
        let read = |topic: Option<&str>| Ok(("g".into(), topic.map(Into::into)));
        let group = ("consumerGroupFromEnv", "GROUP");
        assert_eq!(trigger(&[servers, group]), (2, read(None)));
        // A variable that holds nothing is no topic.
        let blank = ("topicFromEnv", "TOPIC");
        assert_eq!(trigger(&[servers, group, blank]), (3, read(None)));
        let own = [
            ("bootstrapServers", "b:9092"),
            ("consumerGroup", "g"),
            ("topic", "t"),
            ("topicFromEnv", "GROUP"),
        ];
        assert_eq!(trigger(&own), (0, read(Some("t"))));
        let (reads, missing) = trigger(&[servers, ("consumerGroupFromEnv", "NOWHERE")]);
        assert_eq!(reads, 2);
        assert!(missing.unwrap_err().contains(
            "missing required parameter \"consumerGroup\" in [triggerMetadata resolvedEnv]"
        ));
        // KEDA reads no other field from there.
        let (_, parsed) = trigger(&[servers, group, ("lagThresholdFromEnv", "GROUP")]);
        assert_eq!(parsed, read(None));
    }
}
