//! The producer of the story: `GET /pump?count=100` answers at once and writes that many records in the background.

#[path = "../common/mod.rs"]
mod common;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Query, extract::State, http::StatusCode, routing::get};
use clap::Parser;
use common::{Failure, KafkaArgs};
use rskafka::{
    client::{
        Client,
        partition::{Compression, PartitionClient, UnknownTopicHandling},
    },
    record::Record,
};

/// Most records of one request.
const MOST: u32 = 1_000_000;
/// rskafka has no time-out of its own.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Args {
    /// Address to listen on; port 0 takes a free one and prints it.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Records per second of one request.
    #[arg(long, default_value = "1", value_parser = positive)]
    per_second: f64,
    #[command(flatten)]
    kafka: KafkaArgs,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
        _ => Err("expected a number above 0".into()),
    }
}

struct Pump {
    partitions: Vec<PartitionClient>,
    next: AtomicUsize,
    pause: Duration,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args = Args::parse();
    let client = args.kafka.client().await?;
    let pump = Arc::new(Pump {
        partitions: partitions(&client, &args.kafka.topic).await?,
        next: AtomicUsize::new(0),
        pause: Duration::from_secs_f64(1.0 / args.per_second),
    });
    let router = Router::new()
        .route("/pump", get(pump_count))
        .with_state(pump);
    let listener = tokio::net::TcpListener::bind(args.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn partitions(client: &Client, topic: &str) -> Result<Vec<PartitionClient>, Failure> {
    let topics = client.list_topics().await?;
    let found = topics.into_iter().find(|t| t.name == topic);
    let found = found.ok_or_else(|| format!("topic {topic} does not exist"))?;
    let mut clients = Vec::new();
    for partition in found.partitions {
        let unknown = UnknownTopicHandling::Retry;
        clients.push(client.partition_client(topic, partition, unknown).await?);
    }
    Ok(clients)
}

async fn pump_count(
    State(pump): State<Arc<Pump>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> (StatusCode, String) {
    let text = query.get("count").map_or("", String::as_str);
    match text.parse::<u32>() {
        Ok(count @ 1..=MOST) => {
            tokio::spawn(async move { pump.write(count).await });
            (StatusCode::OK, format!("request submitted: count={count}"))
        }
        _ => (
            StatusCode::BAD_REQUEST,
            format!("count has to be a whole number from 1 to {MOST}, found {text:?}"),
        ),
    }
}

impl Pump {
    async fn write(&self, count: u32) {
        let mut tick = tokio::time::interval(self.pause);
        for number in 1..=count {
            tick.tick().await;
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            let partition = &self.partitions[turn % self.partitions.len()];
            let order =
                serde_json::json!({"order": number, "item": "tea", "pieces": 1 + number % 5});
            while let Err(error) = produce(partition, &order.to_string()).await {
                eprintln!("record {number}: {error}; once more");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        println!("wrote {count} records");
    }
}

async fn produce(partition: &PartitionClient, text: &str) -> Result<(), Failure> {
    let record = Record {
        key: None,
        value: Some(text.as_bytes().to_vec()),
        headers: BTreeMap::new(),
        timestamp: chrono::Utc::now(),
    };
    let produced = partition.produce(vec![record], Compression::NoCompression);
    tokio::time::timeout(PATIENCE, produced).await??;
    Ok(())
}
