//! The `apache-kafka` trigger: KEDA's second Kafka scaler, with a validator of its own over nearly the fields of `kafka`.

use super::{
    fields::{ECHO, Fields, Sources},
    kafka::{Common, Kafka},
    partitions::Limitation,
    security::apache_security,
};
use crate::text::shown;

/// Parses and validates; all field errors, then the first error between fields.
pub(super) fn parse(sources: Sources<'_>) -> Result<Kafka, Vec<String>> {
    let mut fields = Fields::new(sources);
    let common = Common::read(&mut fields, &["earliest", "latest"]);
    let topics: Vec<&str> = common.topic.map_or_else(Vec::new, pieces);
    let partitions = common.limitation.and_then(|text| {
        let ids = Limitation::parse(text);
        if let Err((at, why)) = &ids {
            fields.errors.push(format!(
                "unable to set param \"partitionLimitation\" value \"{}\": slice element {at}: unable to unmarshal to field type int: {why}",
                shown(text, ECHO)
            ));
        }
        ids.ok()
    });
    let checks = [
        (common.threshold <= 0).then(|| {
            format!(
                "lagThreshold must be a positive number, found {}",
                common.threshold
            )
        }),
        (common.activation < 0).then(|| {
            format!(
                "activationLagThreshold must be a positive number, found {} (0 is allowed)",
                common.activation
            )
        }),
        (common.allow_idle_consumers && common.limit).then(|| {
            "allowIdleConsumers and limitToPartitionsWithLag cannot be set simultaneously".into()
        }),
        (common.names_none() && common.limit)
            .then(|| "topic must be specified when using limitToPartitionsWithLag".into()),
    ];
    let secured = apache_security(&mut fields);
    let first = checks.into_iter().flatten().next();
    let secured = first.map_or(secured, Err);
    common.finish(&topics, partitions, secured, fields.errors)
}

fn pieces(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).collect()
}
