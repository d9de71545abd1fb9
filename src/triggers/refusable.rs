//! Faults of a trigger whatever its authentication and the environment of its workload will say: this much is
//! known before either is looked up.

use std::collections::BTreeMap;

use super::{Parameters, Sources, TriggerError, parse};

/// Metadata that may come from the workload's environment, under the same name with `FromEnv` behind it, and something
/// that is valid for it.
const FROM_ENVIRONMENT: [(&str, &str); 3] = [
    ("bootstrapServers", "environment:9092"),
    ("consumerGroup", "environment"),
    ("topic", "environment"),
];

/// Authentication parameters with which every mechanism has what it needs.
const GENEROUS: [(&str, &str); 8] = [
    ("tls", "enable"),
    ("username", "u"),
    ("password", "p"),
    ("oauthTokenEndpointUri", "https://token"),
    ("realm", "r"),
    ("kerberosConfig", "k"),
    ("awsAccessKeyID", "i"),
    ("awsSecretAccessKey", "s"),
];

/// The error that nothing but a change of the trigger can mend. A type that is not known here may be known to somebody
/// else, so it is none. `metric_type` is the trigger's `metricType`, empty if absent.
#[must_use]
pub fn refusable(
    kind: &str,
    metadata: &BTreeMap<String, String>,
    metric_type: &str,
) -> Option<TriggerError> {
    let set = |name: &str| metadata.get(name).is_some_and(|v| !v.trim().is_empty());
    let mut known: BTreeMap<String, String> = metadata.clone();
    known.retain(|key, _| !key.ends_with("FromEnv"));
    for (name, valid) in FROM_ENVIRONMENT {
        if !set(name) && set(&format!("{name}FromEnv")) {
            known.insert(name.into(), valid.into());
        }
    }
    // Some trigger types refuse what is set in both places.
    let parameters = GENEROUS.iter().filter(|(name, _)| !set(name));
    let parameters: Parameters = parameters
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    let sources = Sources {
        metadata: &known,
        environment: &Parameters::new(),
        parameters: &parameters,
    };
    match parse(kind, sources, metric_type) {
        Ok(_) | Err(TriggerError::UnknownType(_)) => None,
        Err(error) => Some(error),
    }
}

#[cfg(test)]
mod tests {
    use super::refusable;

    fn said(metadata: &[(&str, &str)], metric_type: &str) -> Option<String> {
        let base = [("bootstrapServers", "b:9092"), ("consumerGroup", "g")];
        let all = base.iter().chain(metadata);
        let metadata = all.map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let error = refusable("kafka", &metadata.collect(), metric_type);
        error.map(|e| e.to_string())
    }

    #[test]
    fn what_no_authentication_can_mend_is_refused() {
        for (field, value, text) in [
            (
                "lagThreshold",
                "-3",
                "\"lagThreshold\" must be positive number",
            ),
            (
                "consumerGroup",
                "",
                "missing required parameter \"consumerGroup\"",
            ),
            (
                "partitionLimitation",
                "a",
                "invalid partition limitation: a",
            ),
            (
                "offsetResetPolicy",
                "newest",
                "must be one of [latest earliest]",
            ),
            ("unsafeSsl", "maybe", "unable to parse boolean"),
            ("sasl", "scram", "must be one of [none plaintext"),
            (
                "limitToPartitionsWithLag",
                "true",
                "topic must be specified",
            ),
        ] {
            let found = said(&[(field, value)], "").unwrap_or_default();
            assert!(found.contains(text), "{field}: {found:?}");
        }
        let region = [
            ("sasl", "oauthbearer"),
            ("saslTokenProvider", "aws_msk_iam"),
        ];
        assert!(said(&region, "").unwrap().contains("no awsRegion given"));
        let metric_type = said(&[], "Utilization").unwrap();
        assert!(metric_type.contains("unsupported for external metrics"));
    }

    #[test]
    fn what_authentication_or_environment_may_still_say_is_not() {
        for metadata in [
            &[("sasl", "plaintext")][..],
            &[("sasl", "scram_sha512"), ("tls", "enable")],
            &[("sasl", "gssapi")],
            &[("sasl", "oauthbearer")],
            &[
                ("sasl", "oauthbearer"),
                ("saslTokenProvider", "aws_msk_iam"),
                ("awsRegion", "r"),
            ],
            &[
                ("bootstrapServers", ""),
                ("bootstrapServersFromEnv", "HOSTS"),
            ],
            &[("consumerGroup", " "), ("consumerGroupFromEnv", "GROUP")],
            &[
                ("topicFromEnv", "TOPIC"),
                ("limitToPartitionsWithLag", "true"),
            ],
            &[("lagThresholdFromEnv", "nobody reads it")],
        ] {
            assert_eq!(said(metadata, ""), None, "{metadata:?}");
        }
        assert_eq!(refusable("prometheus", &[].into(), ""), None);
    }
}
