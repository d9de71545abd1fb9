//! Rows about a kafka trigger's fields, credentials and names.

use std::collections::BTreeMap;

use lagscale::{
    lag::Policy,
    triggers::{self, Kafka, Parameters, Sources, Trigger},
};
use serde_json::{Value, json};

use crate::{Outcome, Row};

/// The trigger of a row; what sections leave out is filled in as the reference's own tables do.
pub fn parse(row: &Row) -> Result<Kafka, String> {
    let mut metadata = BTreeMap::from(
        [
            ("bootstrapServers", "b:9092"),
            ("consumerGroup", "g"),
            ("topic", "t"),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned())),
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let pairs = |value: &Row| -> Vec<(String, String)> {
        let map = value.as_object().into_iter().flatten();
        map.map(|(k, v)| (k.clone(), text(v))).collect()
    };
    if row["md"].is_object() {
        metadata = pairs(&row["md"]).into_iter().collect();
    }
    metadata.extend(pairs(&row["md_extra"]));
    let values = |value: &Row| -> Parameters {
        let pairs = pairs(value).into_iter();
        pairs.map(|(k, v)| (k, v.into())).collect()
    };
    let sources = Sources {
        metadata: &metadata,
        environment: &values(&row["env"]),
        parameters: &values(&row["auth"]),
    };
    let kind = row["scaler"].as_str().unwrap_or("kafka");
    match triggers::parse(kind, sources, "") {
        Ok(Trigger::Kafka(kafka, _)) => Ok(*kafka),
        Ok(other) => Err(format!("{other:?}")),
        Err(error) => Err(error.to_string()),
    }
}

pub fn config(row: &Row) -> Outcome {
    let expected = &row["expect"];
    let parsed = parse(row);
    if expected["ok"] == false {
        let error = parsed.err().ok_or("it was accepted")?;
        let texts = expected["err"].as_array().into_iter().flatten();
        let missing = texts.filter_map(Value::as_str).find(|t| !error.contains(t));
        return missing.map_or(Ok(()), |m| Err(format!("{m:?} is not in {error:?}")));
    }
    let kafka = parsed?;
    // Kerberos is not connected with, so no such file is looked for.
    let _ = row["ccacheFile"].as_str();
    let found = seen(&kafka);
    for (key, value) in expected.as_object().into_iter().flatten() {
        if key == "ok" {
            continue;
        }
        if found[key] != *value {
            return Err(format!("{key}: expected {value}, found {}", found[key]));
        }
    }
    Ok(())
}

/// A parsed trigger in the words of the rows.
fn seen(kafka: &Kafka) -> Value {
    let policy = match kafka.policy {
        Policy::Earliest => "earliest",
        Policy::Latest => "latest",
    };
    json!({
        "brokers": kafka.bootstrap.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "group": *kafka.group,
        "topic": kafka.topic.as_deref().unwrap_or_default(),
        "topics": kafka.topics.names.iter().map(|t| &**t).collect::<Vec<_>>(),
        "partitions": kafka.partitions.as_deref().map(|p| p.ids().collect::<Vec<_>>()),
        "policy": policy,
        "lagThreshold": kafka.threshold, "activation": kafka.activation,
        "tls": kafka.security.tls.is_some(), "sasl": kafka.sasl,
        // Named topics are all that is ever asked for.
        "fetchWholeClusterMetadata": false,
        "saslEnabled": kafka.sasl != "none",
        "tokenProvider": kafka.oauth.as_ref().map(|o| o.provider),
        "scopes": kafka.oauth.as_ref().map(|o| &o.scopes),
        "extensions": kafka.oauth.as_ref().map(|o| &o.extensions),
        "allowIdleConsumers": kafka.allow_idle_consumers,
        "excludePersistentLag": kafka.exclude_persistent_lag,
        "scaleToZeroOnInvalidOffset": kafka.zero_without_commit,
        "limitToPartitionsWithLag": kafka.limit_to_partitions_with_lag,
        "ensureEvenDistributionOfPartitions": kafka.even,
        "unsafeSsl": kafka.security.tls.as_ref().is_some_and(|t| t.unsafe_ssl),
    })
}

/// Rows that change a whole trigger.
pub fn client_options(row: &Row) -> Outcome {
    let row = json!({"md_extra": *row["md"], "auth": *row["auth"], "expect": *row["expect"]});
    config(&row.into())
}

/// A trigger by Kerberos is valid without its file, and is not asked.
pub fn withheld(row: &Row) -> Outcome {
    match parse(row)?.withheld {
        Some(_) => Ok(()),
        None => Err("it would be asked".into()),
    }
}

/// The option is taken and changes nothing.
pub fn named_topics_only(row: &Row) -> Outcome {
    parse(&json!({"md": *row["md"]}).into()).map(drop)
}

pub fn metric_name(row: &Row) -> Outcome {
    let trigger = json!({"scaler": *row["scaler"], "md": {
        "bootstrapServers": "b:9092", "consumerGroup": *row["group"], "topic": *row["topic"],
    }});
    let kafka = parse(&trigger.into())?;
    let index = usize::try_from(row["triggerIndex"].as_u64().unwrap()).unwrap();
    let name = kafka.metric_name(index);
    if row["expect"] == *name {
        Ok(())
    } else {
        Err(name)
    }
}

pub fn limitation(row: &Row) -> Outcome {
    let trigger = json!({
        "md_extra": {"partitionLimitation": *row["text"]},
        "expect": {"ok": *row["expect"]["ok"], "err": *row["expect"]["err"], "partitions": *row["expect"]["ids"]},
    });
    let trigger = Row::from(trigger);
    if row["expect"]["ok"] == true {
        let found = seen(&parse(&trigger)?)["partitions"].clone();
        let wanted = &row["expect"]["ids"];
        return if *wanted == found {
            Ok(())
        } else {
            Err(found.to_string())
        };
    }
    config(&trigger)
}
