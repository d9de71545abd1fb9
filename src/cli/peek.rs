//! `lagscale peek`: the record a group stands before, for finding what a consumer is stuck on.

use std::{fmt::Write, sync::Arc, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use clap::Args;
use rskafka::{
    client::{Client, ClientBuilder, Credentials, SaslConfig, partition::UnknownTopicHandling},
    record::RecordAndOffset,
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    Done, Output,
    brokers::{Asked, Brokers, ClusterArgs},
};
use crate::{
    kafka::sasl::{Mechanism, Sasl},
    triggers::Kafka,
};

/// Most bytes of a fetch; one batch is always answered whole.
const BYTES: i32 = 1 << 20;
const WAIT_MS: i32 = 1_000;

/// Flags of `peek`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0: there is a record. 1: there is none, or it can't be read. 2: the arguments are wrong."
)]
pub struct PeekArgs {
    /// The way to the brokers.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The consumer group.
    #[arg(long)]
    pub group: String,
    /// The topic.
    #[arg(long)]
    pub topic: String,
    /// The partition.
    #[arg(long)]
    pub partition: i32,
    /// The record's value too: it may hold what is nobody's business.
    #[arg(long)]
    pub value: bool,
    /// Text, JSON or YAML.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs it.
pub async fn peek(args: &PeekArgs) -> Done {
    let asked = Asked {
        groups: vec![args.group.clone()],
        topics: vec![args.topic.clone()],
        ..Asked::default()
    };
    let brokers = Brokers::new(&args.cluster, &asked)?;
    let look = brokers.look().await;
    let kafka = brokers.triggers.first().ok_or("no group")?;
    let place = format!("{}/{}", args.topic, args.partition);
    let group = look.snapshot.groups.get(&kafka.group);
    let slot = group.and_then(|g| g.topics.get(args.topic.as_str())?.get(&args.partition));
    let Some(track) = slot.and_then(|slot| slot.track.as_ref()) else {
        let trouble = slot
            .and_then(|s| s.trouble.clone())
            .or_else(|| look.of(kafka).trouble);
        let why = trouble.map_or_else(
            || "there is no such partition".to_owned(),
            |t| t.text.to_string(),
        );
        return Err(format!("{place}: {why}").into());
    };
    let Some(committed) = track.committed else {
        return Err(format!("{} has no commit on {place}", args.group).into());
    };
    let start = track.start.unwrap_or(0);
    if committed < start {
        eprintln!("offset {committed} of {place} was deleted: the log begins at {start}");
    }
    if committed >= track.end {
        super::say(&format!(
            "{} stands at the log end of {place}: {committed}\n",
            args.group
        ))?;
        return Ok(false);
    }
    let fetched = tokio::time::timeout(
        Duration::from_secs(args.cluster.timeout),
        fetch(kafka, args, committed.max(start)),
    );
    let record = fetched
        .await
        .map_err(|_| format!("{place}: no answer in time"))??;
    let Some(record) = record else {
        super::say(&format!(
            "between {committed} and the log end {} of {place} there is no record: compacted away, or marks of transactions\n",
            track.end
        ))?;
        return Ok(false);
    };
    super::say(&written(args, committed, track.end, &record)?)?;
    Ok(true)
}

async fn fetch(
    kafka: &Kafka,
    args: &PeekArgs,
    from: i64,
) -> Result<Option<RecordAndOffset>, String> {
    let client = client(kafka).await?;
    let said = |e: rskafka::client::error::Error| e.to_string();
    let unknown = UnknownTopicHandling::Error;
    let partition = client.partition_client(args.topic.clone(), args.partition, unknown);
    let partition = partition.await.map_err(said)?;
    let (records, _) = partition
        .fetch_records(from, 1..BYTES, WAIT_MS)
        .await
        .map_err(said)?;
    Ok(records.into_iter().find(|r| r.offset >= from))
}

async fn client(kafka: &Kafka) -> Result<Arc<Client>, String> {
    let servers = kafka.bootstrap.iter().map(ToString::to_string).collect();
    let mut builder = ClientBuilder::new(servers);
    if let Some(tls) = &kafka.security.tls {
        builder = builder.tls_config(tls.client_config().map_err(|e| e.to_string())?);
    }
    match &kafka.security.sasl {
        None => {}
        Some(Sasl::Password {
            mechanism,
            username,
            password,
        }) => {
            let credentials =
                Credentials::new(username.clone(), password.expose_secret().to_owned());
            builder = builder.sasl_config(match mechanism {
                Mechanism::Plain => SaslConfig::Plain(credentials),
                Mechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
                Mechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
            });
        }
        Some(Sasl::Bearer(_)) => {
            return Err("records can't be fetched with sasl.mechanism=OAUTHBEARER yet".into());
        }
    }
    builder
        .build()
        .await
        .map(Arc::new)
        .map_err(|e| e.to_string())
}

/// As text where it is text, else in base64.
fn shown(bytes: Option<&[u8]>) -> Value {
    match bytes.map(|b| (b, std::str::from_utf8(b))) {
        None => Value::Null,
        Some((_, Ok(text))) => json!(text),
        Some((bytes, Err(_))) => json!({"base64": BASE64_STANDARD.encode(bytes)}),
    }
}

fn written(
    args: &PeekArgs,
    committed: i64,
    end: i64,
    found: &RecordAndOffset,
) -> Result<String, String> {
    let record = &found.record;
    let millis = record.timestamp.timestamp_millis();
    let at = jiff::Timestamp::from_millisecond(millis).map_err(|e| e.to_string())?;
    let age = jiff::Timestamp::now().duration_since(at);
    let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(Vec::len);
    let headers = record
        .headers
        .iter()
        .map(|(name, value)| json!({"name": name, "value": shown(Some(value))}));
    let mut whole = json!({
        "group": args.group, "topic": args.topic, "partition": args.partition, "committedOffset": committed,
        "logEndOffset": end, "offset": found.offset, "timestamp": at.to_string(), "ageSeconds": age.as_secs(),
        "keySize": size(&record.key), "valueSize": size(&record.value), "key": shown(record.key.as_deref()),
        "headers": headers.collect::<Vec<_>>(),
    });
    if args.value {
        whole["value"] = shown(record.value.as_deref());
    }
    if let Some(data) = args.output.data(&whole) {
        return data;
    }
    let mut text = String::new();
    for (name, value) in whole.as_object().into_iter().flatten() {
        let _ = match value {
            // A key with a line break in it is no other line.
            Value::String(value) => writeln!(text, "{name}: {}", value.replace('\n', "\\n")),
            value => writeln!(text, "{name}: {value}"),
        };
    }
    Ok(text)
}
