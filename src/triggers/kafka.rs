//! The `kafka` trigger: every field of KEDA 2.21 with its validation, in its order.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    fields::{ECHO, Fields, From, Sources},
    oauth::{OAuth, aws_credentials},
    partitions::Limitation,
    security::{Secured, security},
};
use crate::{
    kafka::{Address, Security, Topics},
    lag::{Counting, Isolation, Policy},
    text::shown,
};

/// Addresses of `bootstrapServers`: any broker that answers names all of them.
const MOST_ADDRESSES: usize = 64;

/// A valid `kafka` or `apache-kafka` trigger.
#[derive(Clone, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "KEDA's switches, each independent"
)]
pub struct Kafka {
    /// In the order they are written.
    pub bootstrap: Arc<[Address]>,
    /// `consumerGroup`.
    pub group: Arc<str>,
    /// `topic` as the metric's name has it: of `apache-kafka` a list with commas. `None`: every topic the group has commits for.
    pub topic: Option<Arc<str>>,
    /// The topics of it, or those of `topics`, which is ours: a list of names and patterns.
    pub topics: Topics,
    /// `partitionLimitation`; only with a topic.
    pub partitions: Option<Arc<Limitation>>,
    /// `lagThreshold`, above 0: records per replica.
    pub threshold: i64,
    /// `activationLagThreshold`, 0 or more: a lag above it wakes the workload.
    pub activation: i64,
    /// `offsetResetPolicy`.
    pub policy: Policy,
    /// `isolation`, which is ours.
    pub isolation: Isolation,
    /// More consumers than partitions are wanted.
    pub allow_idle_consumers: bool,
    /// A lag whose commit does not move counts for one polling interval only.
    pub exclude_persistent_lag: bool,
    /// `scaleToZeroOnInvalidOffset`.
    pub zero_without_commit: bool,
    /// At most one consumer per partition that has a lag.
    pub limit_to_partitions_with_lag: bool,
    /// Replica counts that divide the partitions evenly.
    pub even: bool,
    /// TLS and SASL.
    pub security: Security,
    /// `sasl` as it is written; `none` where it selects no mechanism.
    pub sasl: &'static str,
    /// Where a token comes from under `oauthbearer`.
    pub oauth: Option<OAuth>,
    /// Why it is not asked although it parses: a setting that can't be connected with, or a credential that is missing.
    pub withheld: Option<String>,
}

/// The fields that both kinds read alike.
#[allow(
    clippy::struct_excessive_bools,
    reason = "KEDA's switches, each independent"
)]
pub(super) struct Common<'a> {
    bootstrap: Arc<[Address]>,
    group: &'a str,
    pub(super) topic: Option<&'a str>,
    /// `topics`: names and patterns.
    listed: Option<&'a str>,
    pub(super) limitation: Option<&'a str>,
    pub(super) threshold: i64,
    pub(super) activation: i64,
    policy: &'a str,
    isolation: &'a str,
    pub(super) allow_idle_consumers: bool,
    exclude_persistent_lag: bool,
    zero_without_commit: bool,
    pub(super) limit: bool,
    pub(super) even: bool,
}

impl<'a> Common<'a> {
    pub(super) fn read(fields: &mut Fields<'a>, policies: &[&'static str]) -> Self {
        Self {
            bootstrap: bootstrap(fields),
            group: fields.required("consumerGroup"),
            topic: fields.text("topic", From::TriggerThenEnvironment),
            listed: fields.text("topics", From::Trigger),
            limitation: fields.text("partitionLimitation", From::Trigger),
            threshold: fields.integer("lagThreshold", 10),
            activation: fields.integer("activationLagThreshold", 0),
            policy: fields.choice("offsetResetPolicy", From::Trigger, policies, "latest"),
            isolation: fields.choice(
                "isolation",
                From::Trigger,
                &["readUncommitted", "readCommitted"],
                "readUncommitted",
            ),
            allow_idle_consumers: fields.boolean("allowIdleConsumers", From::Trigger),
            exclude_persistent_lag: fields.boolean("excludePersistentLag", From::Trigger),
            zero_without_commit: fields.boolean("scaleToZeroOnInvalidOffset", From::Trigger),
            limit: fields.boolean("limitToPartitionsWithLag", From::Trigger),
            even: fields.boolean("ensureEvenDistributionOfPartitions", From::Trigger),
        }
    }

    /// Whether all topics of the group are meant.
    pub(super) fn names_none(&self) -> bool {
        self.topic.is_none() && self.listed.is_none()
    }

    /// The trigger, if nothing was wrong; `topics` are the pieces of its topic, trimmed.
    pub(super) fn finish(
        self,
        topics: &[&str],
        partitions: Option<Limitation>,
        secured: Result<Secured, String>,
        mut errors: Vec<String>,
    ) -> Result<Kafka, Vec<String>> {
        let listed = self.listed();
        if let Err(error) = &listed {
            errors.push(error.clone());
        }
        let Secured {
            security,
            sasl,
            oauth,
            withheld,
        } = match secured {
            Ok(secured) if errors.is_empty() => secured,
            Ok(_) => return Err(errors),
            Err(error) => {
                errors.push(error);
                return Err(errors);
            }
        };
        let names = topics.iter().filter(|t| !t.is_empty());
        let names: BTreeSet<Arc<str>> = names.map(|t| (*t).into()).collect();
        let topic = (!names.is_empty()).then(|| topics.join(",").into());
        let topics = listed.ok().flatten();
        let topics = topics.unwrap_or_else(|| Topics::named(names));
        Ok(Kafka {
            bootstrap: self.bootstrap,
            group: self.group.into(),
            partitions: partitions.filter(|_| !topics.are_all()).map(Arc::new),
            topic,
            topics,
            threshold: self.threshold,
            activation: self.activation,
            // The reference lets "latest,earliest" pass; of the two readings the higher number is the safe one.
            policy: if self.policy == "latest" {
                Policy::Latest
            } else {
                Policy::Earliest
            },
            // Both in a list: of the two readings the higher number is the safe one.
            isolation: if self.isolation == "readCommitted" {
                Isolation::ReadCommitted
            } else {
                Isolation::ReadUncommitted
            },
            allow_idle_consumers: self.allow_idle_consumers,
            exclude_persistent_lag: self.exclude_persistent_lag,
            zero_without_commit: self.zero_without_commit,
            limit_to_partitions_with_lag: self.limit,
            even: self.even,
            security,
            sasl,
            oauth,
            withheld,
        })
    }

    fn listed(&self) -> Result<Option<Topics>, String> {
        let Some(text) = self.listed else {
            return Ok(None);
        };
        let wrong = |why: String| {
            let text = shown(text, ECHO);
            format!("unable to set param \"topics\" value \"{text}\": {why}")
        };
        if self.topic.is_some() {
            return Err(wrong(
                "topic is given too, and only one of both can be".into(),
            ));
        }
        let pieces = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        let topics = Topics::parse(pieces).map_err(wrong)?;
        if topics.are_all() {
            return Err(wrong("it names no topic".into()));
        }
        Ok(Some(topics))
    }
}

impl Kafka {
    /// How its lag is counted, persistent lag included.
    #[must_use]
    pub fn counting(&self) -> Counting {
        Counting {
            policy: self.policy,
            isolation: self.isolation,
            zero_without_commit: self.zero_without_commit,
            exclude_persistent_after: None,
        }
    }

    /// Parses and validates; all field errors, then the first error between fields.
    pub fn parse(sources: Sources<'_>) -> Result<Self, Vec<String>> {
        let mut fields = Fields::new(sources);
        let common = Common::read(&mut fields, &["latest", "earliest"]);
        let without_full_metadata = fields
            .text("fullMetadata", From::Trigger)
            .is_some()
            .then(|| !fields.boolean("fullMetadata", From::Trigger));
        let (partitions, bad_limitation) =
            match common.limitation.map(Limitation::parse).transpose() {
                Ok(partitions) => (partitions, None),
                Err((_, error)) => (None, Some(error)),
            };
        let none = common.names_none();
        let Common {
            topic,
            threshold,
            activation,
            limit,
            even,
            ..
        } = common;
        let checks = [
            (threshold <= 0)
                .then(|| format!("\"lagThreshold\" must be positive number, found {threshold}")),
            (activation < 0)
                .then(|| format!("\"activationLagThreshold\" must be a non-negative number, found {activation}")),
            bad_limitation,
            (common.allow_idle_consumers && limit).then(|| {
                "allowIdleConsumers and limitToPartitionsWithLag cannot be set simultaneously".into()
            }),
            (none && limit)
                .then(|| "topic must be specified when using limitToPartitionsWithLag".into()),
            (limit && even).then(|| {
                "limitToPartitionsWithLag and ensureEvenDistributionOfPartitions cannot be set simultaneously".into()
            }),
            (none && even).then(|| {
                "topic must be specified when using ensureEvenDistributionOfPartitions".into()
            }),
            (none && without_full_metadata == Some(true))
                .then(|| "topic must be specified when fullMetadata is false".into()),
        ];
        let secured = security(&mut fields);
        let first = checks.into_iter().flatten().next();
        let secured = first.map_or(secured, Err);
        let version = fields.text("version", From::Trigger).unwrap_or("1.0.0");
        let secured = secured.and_then(|secured| {
            version_shape(version)?;
            let signs = secured.oauth.as_ref().map(|o| o.provider) == Some("aws_msk_iam");
            let credentials = signs.then(|| aws_credentials(&fields)).transpose();
            credentials.map_err(|e| format!("error getting AWS authorization: {e}"))?;
            Ok(secured)
        });
        let topics = topic.as_slice();
        common.finish(topics, partitions, secured, fields.errors)
    }

    /// `s<index>-kafka-<topic>`, as KEDA names it; the HPA asks for it in lower case.
    #[must_use]
    pub fn metric_name(&self, index: usize) -> String {
        let name = match &self.topic {
            Some(topic) => format!("kafka-{topic}"),
            None => format!("kafka-{}-topics", self.group),
        };
        super::metric_name(index, &name)
    }
}

/// `0.a.b.c` or `a.b.c`; what brokers speak is negotiated, so nothing else is made of it.
fn version_shape(version: &str) -> Result<(), String> {
    let numbers: Option<Vec<u32>> = version.split('.').map(|n| n.parse().ok()).collect();
    let good = match numbers.as_deref() {
        Some([0, _, _, _]) => true,
        Some([major, _, _]) => *major > 0,
        _ => false,
    };
    if good {
        Ok(())
    } else {
        let version = shown(version, ECHO);
        Err(format!(
            "error parsing kafka version: invalid version `{version}`, expected one like 3.9.0"
        ))
    }
}

fn bootstrap(fields: &mut Fields<'_>) -> Arc<[Address]> {
    let text = fields.required("bootstrapServers");
    let mut addresses = Vec::new();
    let pieces = text.split(',').map(str::trim).filter(|p| !p.is_empty());
    let count = pieces.clone().count();
    if count > MOST_ADDRESSES {
        fields.errors.push(format!(
            "bootstrapServers: {count} addresses, at most {MOST_ADDRESSES} are tried: the others are found through any of them"
        ));
        return Arc::default();
    }
    for piece in pieces {
        match piece.parse() {
            Ok(address) => addresses.push(address),
            Err(error) => fields.errors.push(format!("bootstrapServers: {error}")),
        }
    }
    addresses.into()
}

#[cfg(test)]
mod tests;
