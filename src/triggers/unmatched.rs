//! Metadata that a trigger does not read: a misspelt field is silently its default. KEDA tells of these only where
//! `KEDA_CHECK_UNEXPECTED_SCALERS_PARAMS` is `enabled`, in its scaler's words, which come first here.

use std::collections::BTreeMap;

/// Fields that are told of one trigger; the rest is as wrong.
const MOST: usize = 10;
/// Letters of a field that is told.
const LONGEST: usize = 60;
/// Names that look alike this much are taken for the same.
const ALIKE: f64 = 0.75;

/// Fields that both of KEDA's Kafka scalers read, and `isolation`, a field of ours.
const EITHER_KAFKA: [&str; 23] = [
    "activationLagThreshold",
    "allowIdleConsumers",
    "awsAccessKeyID",
    "awsAccessKeyIDFromEnv",
    "awsRegion",
    "awsSecretAccessKeyFromEnv",
    "bootstrapServers",
    "bootstrapServersFromEnv",
    "consumerGroup",
    "consumerGroupFromEnv",
    "ensureEvenDistributionOfPartitions",
    "excludePersistentLag",
    "identityOwner",
    "isolation",
    "lagThreshold",
    "limitToPartitionsWithLag",
    "offsetResetPolicy",
    "partitionLimitation",
    "sasl",
    "scaleToZeroOnInvalidOffset",
    "tls",
    "topic",
    "topicFromEnv",
];
/// A field of ours.
const TOPICS: [&str; 1] = ["topics"];
const KAFKA: [&str; 4] = ["fullMetadata", "saslTokenProvider", "unsafeSsl", "version"];
const CRON: [&str; 4] = ["desiredReplicas", "end", "start", "timezone"];
const RESOURCE: [&str; 3] = ["containerName", "type", "value"];

/// Parameters that both read from an authentication only.
const EITHER_SECRET: [&str; 6] = ["ca", "cert", "key", "keyPassword", "password", "username"];
const KAFKA_SECRET: [&str; 9] = [
    "ccacheName",
    "kerberosConfig",
    "kerberosDisableFAST",
    "kerberosServiceName",
    "keytab",
    "oauthExtensions",
    "oauthTokenEndpointUri",
    "realm",
    "scopes",
];

/// Names of fields, in lists.
type Names = &'static [&'static [&'static str]];

/// The fields of a trigger of this type: those that are read from its metadata, and those from its authentication only. `None`
/// for a type that is not known here.
#[must_use]
pub fn fields_of(kind: &str) -> Option<(Names, Names)> {
    Some(match kind {
        "kafka" => (
            &[&EITHER_KAFKA, &TOPICS, &KAFKA],
            &[&EITHER_SECRET, &KAFKA_SECRET],
        ),
        "apache-kafka" => (&[&EITHER_KAFKA, &TOPICS], &[&EITHER_SECRET]),
        "cron" => (&[&CRON], &[]),
        "cpu" | "memory" => (&[&RESOURCE], &[]),
        _ => return None,
    })
}

/// Names that other tools have for a field.
const OTHERS: [(&str, &str); 6] = [
    ("brokerList", "bootstrapServers"),
    ("brokers", "bootstrapServers"),
    ("groupId", "consumerGroup"),
    ("group", "consumerGroup"),
    ("topicName", "topic"),
    ("autoOffsetReset", "offsetResetPolicy"),
];

/// A warning for each field of the trigger that nothing reads, with what was probably meant. `name` is the trigger's, empty
/// without one. A type that is not known here is somebody else's to judge.
#[must_use]
pub fn unmatched(kind: &str, name: &str, metadata: &BTreeMap<String, String>) -> Vec<String> {
    let Some((known, elsewhere)) = fields_of(kind) else {
        return Vec::new();
    };
    let known = known.concat();
    let scaler = if name.is_empty() {
        kind.to_owned()
    } else {
        format!("{kind} ({name})")
    };
    let unread = metadata.keys().filter(|key| !known.contains(&key.as_str()));
    let told = unread.take(MOST).map(|key| {
        let short: String = key.chars().take(LONGEST).collect();
        let hint = if elsewhere.iter().any(|names| names.contains(&key.as_str())) {
            ": it is read from the TriggerAuthentication only".to_owned()
        } else {
            nearest(&short, &known)
                .map(|near| format!(": did you mean {near}?"))
                .unwrap_or_default()
        };
        format!("Unmatched input property {short} in scaler {scaler}{hint}")
    });
    told.collect()
}

fn nearest<'a>(field: &str, known: &[&'a str]) -> Option<&'a str> {
    let meant = OTHERS.iter().find(|(other, _)| *other == field);
    if let Some((_, meant)) = meant {
        return known.iter().find(|k| *k == meant).copied();
    }
    let lower = field.to_lowercase();
    let alike = |name: &&str| strsim::jaro_winkler(&lower, &name.to_lowercase());
    let best = known.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)))?;
    (alike(best) >= ALIKE).then_some(*best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: &str, fields: &[&str]) -> Vec<String> {
        let metadata = fields.iter().map(|f| ((*f).to_owned(), "x".to_owned()));
        unmatched(kind, "", &metadata.collect())
    }

    /// Reports from outside: R15, R16 and R43.
    #[test]
    fn a_misspelt_field_is_told_with_the_one_that_was_meant() {
        for (kind, field, hint) in [
            (
                "kafka",
                "offsetRestPolicy",
                "did you mean offsetResetPolicy?",
            ),
            ("kafka", "lagthreshold", "did you mean lagThreshold?"),
            ("kafka", "bootstrapServer", "did you mean bootstrapServers?"),
            ("kafka", "brokerList", "did you mean bootstrapServers?"),
            ("apache-kafka", "topcs", "did you mean topics?"),
            ("cron", "timeZone", "did you mean timezone?"),
            ("cron", "desiredReplica", "did you mean desiredReplicas?"),
            (
                "kafka",
                "ca",
                "it is read from the TriggerAuthentication only",
            ),
            (
                "kafka",
                "password",
                "it is read from the TriggerAuthentication only",
            ),
        ] {
            let told = said(kind, &[field]);
            let expected = format!("Unmatched input property {field} in scaler {kind}: {hint}");
            assert_eq!(told, [expected]);
        }
        let far = said("kafka", &["xyz"]);
        assert_eq!(far, ["Unmatched input property xyz in scaler kafka"]);
        let named = unmatched(
            "kafka",
            "orders",
            &BTreeMap::from([("qq".into(), String::new())]),
        );
        assert_eq!(
            named,
            ["Unmatched input property qq in scaler kafka (orders)"]
        );
    }

    #[test]
    fn what_is_read_or_is_another_type_s_is_not_told() {
        for kind in ["kafka", "apache-kafka", "cron", "cpu", "memory"] {
            let (known, _) = fields_of(kind).unwrap();
            let none = Vec::<String>::new();
            assert!(known.iter().all(|names| said(kind, names) == none));
        }
        // Only one of the two scalers reads it.
        assert_eq!(said("apache-kafka", &KAFKA).len(), KAFKA.len());
        assert_eq!(said("prometheus", &["query"]), Vec::<String>::new());
    }

    #[test]
    fn many_or_long_fields_are_told_in_a_bounded_space() {
        let long: Vec<String> = (0..1_000)
            .map(|n| format!("{}{n}", "é".repeat(300)))
            .collect();
        let fields: Vec<&str> = long.iter().map(String::as_str).collect();
        let told = said("kafka", &fields);
        assert_eq!(told.len(), MOST);
        assert!(told.iter().all(|t| t.chars().count() < 200));
    }
}
