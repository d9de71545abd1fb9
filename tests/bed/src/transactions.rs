//! A small transactional producer: one transaction on one partition, left open until it is told how to end.

use std::sync::atomic::{AtomicUsize, Ordering};

use kafka_protocol::{
    messages::{
        AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest, ProduceRequest,
        ProducerId, TopicName, TransactionalId,
        add_partitions_to_txn_request::AddPartitionsToTxnTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    records::{
        Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchEncoder, RecordEncodeOptions,
        TimestampType,
    },
};

use crate::{
    kafka::Kafka,
    kafka_admin::{PATIENCE, ask, text},
    wait,
    wire::{Key, good},
};

/// Longer than any scenario, and below the broker's own limit of 15 minutes.
const TIMEOUT_MS: i32 = 600_000;

/// An open transaction; left alone, the broker aborts it after ten minutes.
#[must_use]
pub struct Transaction<'a> {
    kafka: &'a Kafka,
    id: TransactionalId,
    producer: ProducerId,
    epoch: i16,
}

impl Kafka {
    /// Writes `count` records to one partition in a transaction that stays open.
    pub async fn open(&self, topic: &str, partition: i32, count: usize) -> Transaction<'_> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let id = format!("{topic}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let id = TransactionalId(text(&id));
        let (producer, epoch) = self.producer(&id).await;
        let transaction = Transaction {
            kafka: self,
            id,
            producer,
            epoch,
        };
        transaction.enlist(topic, partition).await;
        transaction.write(topic, partition, count).await;
        transaction
    }

    async fn producer(&self, id: &TransactionalId) -> (ProducerId, i16) {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id.clone()))
            .with_transaction_timeout_ms(TIMEOUT_MS)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        wait::until("a producer id", PATIENCE, async || {
            let mut coordinator = self.to_coordinator(Key::Transaction(id)).await?;
            let answer = ask(&mut coordinator, &request, 4).await;
            let answer = answer.map_err(|e| e.to_string())?;
            good(answer.error_code)?;
            Ok::<_, String>((answer.producer_id, answer.producer_epoch))
        })
        .await
    }
}

impl Transaction<'_> {
    /// Ends it: its records count. A marker of one offset follows them.
    pub async fn commit(self) {
        self.end(true).await;
    }

    /// Ends it: nobody reads its records. A marker of one offset follows them.
    pub async fn abort(self) {
        self.end(false).await;
    }

    async fn enlist(&self, topic: &str, partition: i32) {
        let topics = AddPartitionsToTxnTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id.clone())
            .with_v3_and_below_producer_id(self.producer)
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![topics]);
        wait::until("a partition to be enlisted", PATIENCE, async || {
            let mut coordinator = self
                .kafka
                .to_coordinator(Key::Transaction(&self.id))
                .await?;
            let answer = ask(&mut coordinator, &request, 3).await;
            let answer = answer.map_err(|e| e.to_string())?;
            let topics = &answer.results_by_topic_v3_and_below;
            good(topics[0].results_by_partition[0].partition_error_code)
        })
        .await;
    }

    /// One batch; not tried twice, since its sequence number would be taken.
    async fn write(&self, topic: &str, partition: i32, count: usize) {
        let request = ProduceRequest::default()
            .with_transactional_id(Some(self.id.clone()))
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![
                TopicProduceData::default()
                    .with_name(TopicName(text(topic)))
                    .with_partition_data(vec![
                        PartitionProduceData::default()
                            .with_index(partition)
                            .with_records(Some(self.batch(count).into())),
                    ]),
            ]);
        let leader = async || self.kafka.to_leader(topic, partition).await;
        let mut leader = wait::until("a leader", PATIENCE, leader).await;
        let answer = ask(&mut leader, &request, 9).await.expect("an answer");
        let code = answer.responses[0].partition_responses[0].error_code;
        good(code).expect("records taken");
    }

    fn batch(&self, count: usize) -> Vec<u8> {
        let record = |sequence: i32| Record {
            transactional: true,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: self.producer.0,
            producer_epoch: self.epoch,
            timestamp_type: TimestampType::Creation,
            offset: sequence.into(),
            sequence,
            timestamp: chrono::Utc::now().timestamp_millis(),
            key: None,
            value: Some(b"{}"[..].into()),
            headers: std::iter::empty().collect(),
        };
        let count = i32::try_from(count).expect("a batch of one request");
        let records: Vec<_> = (0..count).map(record).collect();
        let options = RecordEncodeOptions {
            version: 2,
            compression: Compression::None,
        };
        let mut batch = Vec::new();
        RecordBatchEncoder::encode(&mut batch, &records, &options).expect("a batch");
        batch
    }

    async fn end(self, committed: bool) {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(self.producer)
            .with_producer_epoch(self.epoch)
            .with_committed(committed);
        wait::until("a transaction to end", PATIENCE, async || {
            let mut coordinator = self
                .kafka
                .to_coordinator(Key::Transaction(&self.id))
                .await?;
            let answer = ask(&mut coordinator, &request, 3).await;
            good(answer.map_err(|e| e.to_string())?.error_code)
        })
        .await;
    }
}
