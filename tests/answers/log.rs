//! A partition's log with transactions, what a broker answers to a Fetch of it, and what there is to read in it.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    indexmap::IndexMap,
    messages::{
        FetchResponse, ProducerId, TopicName,
        fetch_response::{AbortedTransaction, FetchableTopicResponse, PartitionData},
    },
    protocol::StrBytes,
    records::{Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType},
};
use proptest::{collection::vec, prelude::*};

/// The content of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Transactional,
    Marker,
}

/// `count` offsets from `base` on, as one batch.
#[derive(Clone, Copy, Debug)]
pub struct Logged {
    pub base: i64,
    pub count: i64,
    pub producer: i64,
    pub kind: Kind,
}

impl Logged {
    pub fn encoded(self) -> Bytes {
        let record = |i| Record {
            transactional: self.kind != Kind::Plain,
            control: self.kind == Kind::Marker,
            delete_horizon: false,
            partition_leader_epoch: 0,
            producer_id: self.producer,
            producer_epoch: 0,
            timestamp_type: TimestampType::Creation,
            offset: self.base + i,
            sequence: i32::try_from(i).unwrap(),
            timestamp: 1,
            key: None,
            value: Some(Bytes::from_static(b"value")),
            headers: IndexMap::new(),
        };
        let records: Vec<_> = (0..self.count).map(record).collect();
        let options = RecordEncodeOptions {
            version: 2,
            compression: Compression::None,
        };
        let mut out = BytesMut::new();
        RecordBatchEncoder::encode(&mut out, &records, &options).unwrap();
        out.freeze()
    }
}

/// A transaction, while it is open without an end.
#[derive(Clone, Copy, Debug)]
struct Transaction {
    producer: i64,
    first: i64,
    /// Its marker's offset, and whether that commits.
    end: Option<(i64, bool)>,
}

/// A log as a leader has it.
#[derive(Clone, Debug)]
pub struct Log {
    batches: Vec<Logged>,
    transactions: Vec<Transaction>,
    end: i64,
}

impl Log {
    /// Any mixture of what three producers may do.
    pub fn any() -> impl Strategy<Value = Self> {
        vec((0..3_i64, 0..6_u8, 1..4_i64), 0..24).prop_map(|steps| Self::of(&steps))
    }

    fn of(steps: &[(i64, u8, i64)]) -> Self {
        let mut log = Self {
            batches: vec![],
            transactions: vec![],
            end: 0,
        };
        let mut open = BTreeMap::new();
        for &(producer, step, count) in steps {
            let base = log.end;
            let (kind, count) = match step {
                0 => (Kind::Plain, count),
                1..=3 => (Kind::Transactional, count),
                _ if open.contains_key(&producer) => (Kind::Marker, 1),
                _ => continue,
            };
            if kind == Kind::Transactional {
                open.entry(producer).or_insert_with(|| {
                    log.transactions.push(Transaction {
                        producer,
                        first: base,
                        end: None,
                    });
                    log.transactions.len() - 1
                });
            }
            if kind == Kind::Marker
                && let Some(i) = open.remove(&producer)
            {
                log.transactions[i].end = Some((base, step == 4));
            }
            log.batches.push(Logged {
                base,
                count,
                producer,
                kind,
            });
            log.end += count;
        }
        log
    }

    /// Before the first offset of any open transaction.
    pub fn last_stable(&self) -> i64 {
        let open = self.transactions.iter().filter(|t| t.end.is_none());
        open.map(|t| t.first).min().unwrap_or(self.end)
    }

    /// The first record at `asked` or behind it that a consumer with read_committed gets.
    pub fn first(&self, asked: i64) -> Option<i64> {
        let mut readable = self.batches.iter().flat_map(|batch| {
            let end = self.transactions.iter().find_map(|t| {
                let (marker, commits) = t.end?;
                let among = t.first <= batch.base && batch.base < marker;
                (among && t.producer == batch.producer).then_some(commits)
            });
            let given = match batch.kind {
                Kind::Plain => true,
                Kind::Transactional => end == Some(true),
                Kind::Marker => false,
            };
            let offsets = batch.base..batch.base + batch.count;
            offsets.filter(move |_| given)
        });
        readable.find(|offset| *offset >= asked && *offset < self.last_stable())
    }

    /// A broker's answer for partition `id` from `asked` on.
    pub fn fetched(&self, id: i32, asked: i64) -> PartitionData {
        let stable = self.last_stable();
        let batches = self.batches.iter();
        let batches = batches.filter(|b| b.base + b.count > asked && b.base < stable);
        let records: Vec<_> = batches.flat_map(|b| b.encoded()).collect();
        let aborted = self.transactions.iter().filter_map(|t| {
            let (marker, commits) = t.end?;
            (!commits && marker >= asked && t.first < stable).then(|| aborted(t.producer, t.first))
        });
        // In whichever order; theirs is by the marker.
        partition(id, stable, aborted.rev().collect(), records.into())
    }
}

pub fn aborted(producer: i64, first: i64) -> AbortedTransaction {
    AbortedTransaction::default()
        .with_producer_id(ProducerId(producer))
        .with_first_offset(first)
        .with_unknown_tagged_field(9, Bytes::from_static(b"from the future"))
}

pub fn partition(
    id: i32,
    last_stable: i64,
    aborted: Vec<AbortedTransaction>,
    records: Bytes,
) -> PartitionData {
    PartitionData::default()
        .with_partition_index(id)
        .with_high_watermark(last_stable)
        .with_last_stable_offset(last_stable)
        .with_aborted_transactions((!aborted.is_empty()).then_some(aborted))
        .with_records(Some(records))
        .with_unknown_tagged_field(9, Bytes::from_static(b"from the future"))
}

pub fn fetch(topic: &'static str, partitions: Vec<PartitionData>) -> FetchResponse {
    let topic = FetchableTopicResponse::default()
        .with_topic(TopicName(StrBytes::from_static_str(topic)))
        .with_partitions(partitions);
    FetchResponse::default()
        .with_throttle_time_ms(3)
        .with_responses(vec![topic])
        .with_unknown_tagged_field(9, Bytes::from_static(b"from the future"))
}
