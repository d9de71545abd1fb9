//! Our readings beside the truth: producers and members at a known pace on a real broker, every acknowledgement written
//! down with its time, and each pair that a poll task publishes judged by what was true while it was read.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use kafka_protocol::messages::{
    GroupId, OffsetCommitRequest, TopicName,
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
};
use lagscale::{
    kafka::{Address, Connection, Security, Topics},
    lag::Isolation,
    poll::{Manager, Timing},
    snapshot::{ClusterKey, GroupDemand, Snapshot},
};
use rskafka::{
    client::{
        ClientBuilder,
        partition::{Compression, PartitionClient, UnknownTopicHandling},
    },
    record::Record,
};
use tokio::{sync::mpsc, task::JoinSet, time::MissedTickBehavior};

use crate::{
    kafka::Kafka,
    kafka_admin::{PATIENCE, ask, text},
    ledger::{Judge, Ledger, Verdict},
    wait,
    wire::{Key, good},
};

/// How often a producer writes what has become due.
const BEAT: Duration = Duration::from_millis(50);

/// The events on one topic, and how long they last.
#[derive(Clone, Debug)]
pub struct Play {
    /// Name of the topic, which is made for it.
    pub topic: String,
    /// How many it has.
    pub partitions: i32,
    /// Records a second, over all partitions.
    pub produced: u32,
    /// How often the groups are read.
    pub every: Duration,
    /// How long it is read.
    pub span: Duration,
    /// Its members, each a group.
    pub members: Vec<Pace>,
}

/// How one member works.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Its group.
    pub group: String,
    /// Records a second, over all partitions; never more than are there.
    pub consumed: u32,
    /// How often it commits.
    pub commits: Duration,
}

type Ledgers = Arc<Vec<Mutex<Ledger>>>;

fn ledgers(partitions: i32) -> Ledgers {
    Arc::new((0..partitions).map(|_| Mutex::default()).collect())
}

/// Plays it on `kafka`; what became of each member's readings, in their order.
pub async fn play(kafka: &Kafka, play: &Play) -> Vec<Verdict> {
    kafka.create_topic(&play.topic, play.partitions).await;
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    let produced = ledgers(play.partitions);
    let rate = f64::from(play.produced) / f64::from(play.partitions);
    let client = ClientBuilder::new(vec![kafka.plaintext_bootstrap()]);
    let client = client.build().await.expect("a client");
    for partition in 0..play.partitions {
        let writer = client.partition_client(&play.topic, partition, UnknownTopicHandling::Retry);
        let writer = writer.await.expect("a partition");
        tasks.spawn(produce(writer, rate, begin, produced.clone(), partition));
    }
    let mut judges = BTreeMap::new();
    for pace in &play.members {
        let committed = ledgers(play.partitions);
        let coordinator = async || kafka.to_coordinator(Key::Group(&pace.group)).await;
        let mut member = Member {
            coordinator: wait::until("a coordinator", PATIENCE, coordinator).await,
            topic: play.topic.clone(),
            pace: pace.clone(),
            share: f64::from(pace.consumed) / f64::from(play.partitions),
            produced: produced.clone(),
            committed: committed.clone(),
        };
        // Its first commit is there before it is read; a coordinator that has just been made takes none yet.
        wait::until("a commit", PATIENCE, async || member.commit(begin).await).await;
        tasks.spawn(member.work(begin));
        let group: Arc<str> = pace.group.as_str().into();
        judges.insert(group, (committed, vec![Judge::default(); produced.len()]));
    }
    let mut reader = Reader::start(kafka, play);
    let end = tokio::time::Instant::now() + play.span;
    while let Ok(Some((_, snapshot))) = tokio::time::timeout_at(end, reader.snapshots.recv()).await
    {
        let received = Instant::now();
        for (group, (committed, judges)) in &mut judges {
            let Some(found) = snapshot.groups.get(group) else {
                continue;
            };
            let slots = found.topics.get(play.topic.as_str()).into_iter().flatten();
            for (id, slot) in slots {
                let partition = usize::try_from(*id).expect("an id");
                let produced = produced[partition].lock().expect("not poisoned");
                let committed = committed[partition].lock().expect("not poisoned");
                judges[partition].look(slot, received, &produced, &committed);
            }
        }
    }
    drop(reader);
    tasks.shutdown().await;
    let of = |pace: &Pace| {
        let (_, judges) = judges.remove(pace.group.as_str()).expect("judges");
        Verdict::of(judges)
    };
    play.members.iter().map(of).collect()
}

/// Writes what is due each beat, so that the pace is kept however long a write takes.
async fn produce(
    writer: PartitionClient,
    rate: f64,
    begin: Instant,
    ledgers: Ledgers,
    partition: i32,
) {
    let ledger = &ledgers[usize::try_from(partition).expect("an id")];
    let record = Record {
        key: None,
        value: Some(b"{}".to_vec()),
        headers: BTreeMap::new(),
        timestamp: chrono::Utc::now(),
    };
    let mut beats = tokio::time::interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut written = 0;
    loop {
        beats.tick().await;
        let due = at_pace(rate, begin) - written;
        let Ok(count @ 1..) = usize::try_from(due) else {
            continue;
        };
        written += due;
        ledger
            .lock()
            .expect("not poisoned")
            .sent(written, Instant::now());
        let records = vec![record.clone(); count];
        let done = writer.produce(records, Compression::NoCompression).await;
        done.expect("records taken");
        ledger
            .lock()
            .expect("not poisoned")
            .acknowledged(Instant::now());
    }
}

/// Records that are due since `begin`.
#[allow(clippy::cast_possible_truncation, reason = "a few minutes' records")]
fn at_pace(rate: f64, begin: Instant) -> i64 {
    (rate * begin.elapsed().as_secs_f64()) as i64
}

/// Commits by itself, as a consumer does that assigns its partitions.
struct Member {
    coordinator: Connection,
    topic: String,
    pace: Pace,
    /// Records a second of each partition.
    share: f64,
    produced: Ledgers,
    committed: Ledgers,
}

impl Member {
    async fn work(mut self, begin: Instant) {
        let mut beats = tokio::time::interval(self.pace.commits);
        beats.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            beats.tick().await;
            self.commit(begin).await.expect("a commit");
        }
    }

    /// Commits what it has consumed by now in one request: what is due, as far as its producer was told that it is there.
    async fn commit(&mut self, begin: Instant) -> Result<(), String> {
        let due = at_pace(self.share, begin);
        let offsets = self.produced.iter().map(|ledger| {
            let there = ledger.lock().expect("not poisoned").lowest(Instant::now());
            there.min(due)
        });
        let offsets: Vec<_> = offsets.collect();
        let partitions = (0..).zip(&offsets).map(|(id, offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(id)
                .with_committed_offset(*offset)
        });
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(&self.topic)))
            .with_partitions(partitions.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(&self.pace.group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let each = || self.committed.iter().zip(&offsets);
        for (ledger, offset) in each() {
            ledger
                .lock()
                .expect("not poisoned")
                .sent(*offset, Instant::now());
        }
        let answer = ask(&mut self.coordinator, &request, 7).await;
        let answer = answer.map_err(|e| e.to_string())?;
        let mut codes = answer.topics.iter().flat_map(|t| &t.partitions);
        codes.try_for_each(|p| good(p.error_code))?;
        for (ledger, _) in each() {
            ledger
                .lock()
                .expect("not poisoned")
                .acknowledged(Instant::now());
        }
        Ok(())
    }
}

/// lagscale's own poll task.
struct Reader {
    snapshots: mpsc::UnboundedReceiver<(ClusterKey, Arc<Snapshot>)>,
    _manager: Manager,
}

impl Reader {
    fn start(kafka: &Kafka, play: &Play) -> Self {
        let security = Security::default();
        let brokers = kafka.plaintext_bootstrap();
        let brokers = brokers.split(',').map(|a| {
            let (host, port) = a.rsplit_once(':').expect("host:port");
            Address::new(host, port.parse().expect("a port"))
        });
        let key = ClusterKey {
            bootstrap: brokers.collect(),
            fingerprint: security.fingerprint(),
        };
        let (sender, snapshots) = mpsc::unbounded_channel();
        let mut manager = Manager::new(Timing::default(), sender);
        let topic = Topics::parse([&play.topic].into_iter()).expect("a topic's name");
        for pace in &play.members {
            let demand = GroupDemand::new(&topic, Isolation::ReadUncommitted, play.every);
            manager.ask(
                "",
                &key,
                &pace.group.as_str().into(),
                demand,
                &security,
                None,
            );
        }
        Self {
            snapshots,
            _manager: manager,
        }
    }
}
