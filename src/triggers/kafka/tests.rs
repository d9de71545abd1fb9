//! Metadata that parses, and metadata that does not, in whose words.

use std::collections::BTreeMap;

use super::*;
use crate::{
    kafka::sasl::{Mechanism, Sasl},
    triggers::Parameters,
};

fn parse(metadata: &[(&str, &str)], auth: &[(&str, &str)]) -> Result<Kafka, String> {
    let base = [("bootstrapServers", "b:9092"), ("consumerGroup", "g")];
    let metadata: BTreeMap<String, String> = base
        .iter()
        .chain(metadata)
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let auth = auth.iter().map(|(k, v)| ((*k).to_owned(), (*v).into()));
    let sources = Sources {
        metadata: &metadata,
        environment: &Parameters::new(),
        parameters: &auth.collect(),
    };
    Kafka::parse(sources).map_err(|e| e.join("\n"))
}

#[test]
fn the_story_s_trigger_parses_with_keda_s_defaults() {
    let kafka = parse(&[("topic", "test-topic"), ("lagThreshold", " 5 ")], &[]).unwrap();
    assert_eq!((kafka.threshold, kafka.activation), (5, 0));
    assert_eq!(kafka.policy, Policy::Latest);
    assert_eq!(kafka.metric_name(0), "s0-kafka-test-topic");
    let all = parse(&[], &[]).unwrap();
    assert_eq!(all.metric_name(3), "s3-kafka-g-topics");
}

#[test]
fn what_does_not_parse_is_refused_in_keda_s_words() {
    for (metadata, error) in [
        (
            ("lagThreshold", "-1"),
            "\"lagThreshold\" must be positive number",
        ),
        (
            ("lagThreshold", "+5"),
            "unable to unmarshal to field type int64",
        ),
        (
            ("lagThreshold", "05"),
            "unable to unmarshal to field type int64",
        ),
        (
            ("activationLagThreshold", "-1"),
            "must be a non-negative number",
        ),
        (
            ("allowIdleConsumers", "yes"),
            "unable to parse boolean value \"yes\"",
        ),
        (
            ("offsetResetPolicy", "Latest"),
            "must be one of [latest earliest]",
        ),
        (
            ("partitionLimitation", "x"),
            "invalid partition limitation: x",
        ),
        (
            ("partitionLimitation", "1-2-3"),
            "invalid partition limitation range: 1-2-3",
        ),
        (
            ("partitionLimitation", "0-2000000000"),
            "more than 100000 partitions",
        ),
        (
            ("limitToPartitionsWithLag", "true"),
            "topic must be specified",
        ),
        (
            ("bootstrapServers", "kafka"),
            "bootstrapServers: `kafka` has no port",
        ),
        (("sasl", "foo"), "must be one of [none plaintext"),
        (("sasl", "scram_sha512"), "no username given"),
    ] {
        let found = parse(&[metadata], &[]).unwrap_err();
        assert!(found.contains(error), "{metadata:?}: {found}");
    }
}

#[test]
fn a_list_of_topics_and_patterns_is_ours_and_stands_in_place_of_topic() {
    let listed = [
        ("topics", "orders, audit-.*"),
        ("limitToPartitionsWithLag", "true"),
    ];
    let kafka = parse(&listed, &[]).unwrap();
    assert_eq!(kafka.metric_name(0), "s0-kafka-g-topics");
    assert!(kafka.topics.take("audit-7") && kafka.topics.take("orders"));
    assert!(!kafka.topics.take("order"));
    for (metadata, error) in [
        (vec![("topics", "a"), ("topic", "b")], "topic is given too"),
        (vec![("topics", " , ")], "it names no topic"),
        (vec![("topics", "a*b(")], "pattern \"a*b(\""),
    ] {
        let found = parse(&metadata, &[]).unwrap_err();
        assert!(
            found.contains(error) && found.contains("\"topics\""),
            "{found}"
        );
    }
}

#[test]
fn credentials_come_from_the_authentication_only_and_are_trimmed() {
    let error = parse(
        &[("sasl", "plaintext"), ("username", "u"), ("password", "p")],
        &[],
    )
    .unwrap_err();
    assert_eq!(error, "no username given");
    let auth = [
        ("sasl", "scram_sha512\n"),
        ("username", "u\n"),
        ("password", "p\n"),
        ("tls", "enable"),
        ("ca", "pem"),
    ];
    let security = parse(&[("topic", "t")], &auth).unwrap().security;
    let Some(Sasl::Password {
        mechanism,
        username,
        ..
    }) = security.sasl
    else {
        panic!("{security:?}");
    };
    assert_eq!(mechanism, Mechanism::ScramSha512);
    assert_eq!(username, "u");
    assert_eq!(security.tls.unwrap().ca.as_deref(), Some("pem"));
}

#[test]
fn a_partition_limitation_takes_ids_and_ranges_and_needs_a_topic() {
    let kafka = parse(&[("topic", "t"), ("partitionLimitation", "1, 3-5")], &[]).unwrap();
    let ids: Vec<_> = kafka.partitions.unwrap().ids().collect();
    assert_eq!(ids, [1, 3, 4, 5]);
    assert!(
        parse(&[("partitionLimitation", "1")], &[])
            .unwrap()
            .partitions
            .is_none()
    );
}
