//! One partition's worker: fetches through rskafka, works, says how far it is.

use std::{sync::Arc, time::Duration};

use rskafka::client::{
    Client,
    partition::{OffsetAt, PartitionClient, UnknownTopicHandling},
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{Failure, From};

/// A record of `partition` is done; `next` is to be committed.
#[derive(Clone, Copy)]
pub struct Progress {
    pub partition: i32,
    pub next: i64,
}

/// Where a partition without a committed offset begins.
pub async fn beginning(
    records: &Client,
    topic: &str,
    partition: i32,
    from: From,
) -> Result<i64, Failure> {
    let at = match from {
        From::Earliest => OffsetAt::Earliest,
        From::Latest => OffsetAt::Latest,
    };
    let client = records
        .partition_client(topic, partition, UnknownTopicHandling::Retry)
        .await?;
    Ok(client.get_offset(at).await?)
}

/// Works from `next` on until it is aborted.
pub fn spawn(
    records: Arc<Client>,
    topic: String,
    partition: i32,
    mut next: i64,
    pause: Duration,
    progress: mpsc::UnboundedSender<Progress>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            let unknown = UnknownTopicHandling::Retry;
            if let Ok(client) = records.partition_client(&topic, partition, unknown).await {
                while let Ok(done) = some(&client, next, partition, pause, &progress).await {
                    next = done;
                }
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
}

async fn some(
    client: &PartitionClient,
    mut next: i64,
    partition: i32,
    pause: Duration,
    progress: &mpsc::UnboundedSender<Progress>,
) -> Result<i64, Failure> {
    let (records, _) = client.fetch_records(next, 1..64 << 10, 500).await?;
    let first = next;
    for record in records.into_iter().filter(|r| r.offset >= first) {
        tokio::time::sleep(pause).await;
        println!(
            "processed {}[{partition}]@{}",
            client.topic(),
            record.offset
        );
        next = record.offset + 1;
        progress.send(Progress { partition, next })?;
    }
    Ok(next)
}
