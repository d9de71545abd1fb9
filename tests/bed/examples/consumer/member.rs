//! A member of a KIP-848 group over the project's own connection. The broker assigns; a member says which epoch it is in
//! and, in the beat after that changed, what it owns. Fenced, it owns nothing and joins again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use kafka_protocol::{
    ResponseError,
    messages::{
        ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, FindCoordinatorRequest,
        GroupId, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest, TopicName,
        consumer_group_heartbeat_request::TopicPartitions,
        metadata_request::MetadataRequestTopic,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
    },
    protocol::{Decodable, Request, StrBytes},
};
use lagscale::kafka::{Address, Connection, connection::Deadlines, reader::Reader};
use rskafka::client::Client;
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;

use crate::{
    Args, Failure,
    work::{self, Progress},
};

const JOINING: i32 = 0;
const LEAVING: i32 = -1;
/// How long the broker waits for us to give partitions up.
const REBALANCE_MS: i32 = 30_000;

pub struct Member {
    args: Args,
    records: Arc<Client>,
    id: String,
    epoch: i32,
    topic_id: Option<Uuid>,
    coordinator: Option<Connection>,
    owned: BTreeMap<i32, JoinHandle<()>>,
    /// Positions that are not committed yet.
    pending: BTreeMap<i32, i64>,
    progress: mpsc::UnboundedSender<Progress>,
}

fn text(name: &str) -> StrBytes {
    StrBytes::from_string(name.to_owned())
}

/// Asks with kafka-protocol's decoders: this consumer is for brokers that one trusts.
async fn ask<R: Request>(
    connection: &mut Connection,
    request: &R,
    version: i16,
) -> Result<R::Response, Failure> {
    let decode = |body: &mut Reader<'_>| Ok(R::Response::decode(&mut body.rest(), version));
    Ok(connection.call(request, version, decode).await??)
}

fn good(code: i16) -> Result<(), Failure> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(error) => Err(format!("the broker answered {error:?}").into()),
    }
}

impl Member {
    pub fn new(args: Args, records: Arc<Client>) -> (Self, mpsc::UnboundedReceiver<Progress>) {
        let (progress, done) = mpsc::unbounded_channel();
        let member = Self {
            args,
            records,
            id: Uuid::new_v4().to_string(),
            epoch: JOINING,
            topic_id: None,
            coordinator: None,
            owned: BTreeMap::new(),
            pending: BTreeMap::new(),
            progress,
        };
        (member, done)
    }

    /// A record is done; one of a partition that was given up meanwhile is another member's.
    pub fn progressed(&mut self, done: Progress) {
        if self.owned.contains_key(&done.partition) {
            self.pending.insert(done.partition, done.next);
        }
    }

    /// Looks for the coordinator anew at the next beat.
    pub fn forget_coordinator(&mut self) {
        self.coordinator = None;
    }

    /// One beat, and another at once where what we own changed.
    pub async fn beat(&mut self) -> Result<(), Failure> {
        self.commit().await;
        let mut answer = self.heartbeat(self.epoch, false).await?;
        loop {
            match ResponseError::try_from_code(answer.error_code) {
                None => {}
                Some(ResponseError::FencedMemberEpoch | ResponseError::UnknownMemberId) => {
                    println!("fenced");
                    for (_, worker) in std::mem::take(&mut self.owned) {
                        worker.abort();
                    }
                    self.pending.clear();
                    self.epoch = JOINING;
                    return Ok(());
                }
                Some(error) => {
                    let why = answer.error_message.unwrap_or_default();
                    return Err(format!("heartbeat: {error:?} {why}").into());
                }
            }
            self.epoch = answer.member_epoch;
            let Some(assignment) = answer.assignment else {
                return Ok(());
            };
            let ours = assignment.topic_partitions.iter();
            let ours = ours.filter(|t| Some(t.topic_id) == self.topic_id);
            let wanted: BTreeSet<i32> = ours.flat_map(|t| t.partitions.iter().copied()).collect();
            if !self.own(&wanted).await? {
                return Ok(());
            }
            answer = self.heartbeat(self.epoch, true).await?;
        }
    }

    /// Gives up what is not wanted, committed first, and begins what is new. Whether anything changed.
    async fn own(&mut self, wanted: &BTreeSet<i32>) -> Result<bool, Failure> {
        let have: BTreeSet<i32> = self.owned.keys().copied().collect();
        if have == *wanted {
            return Ok(false);
        }
        for partition in have.difference(wanted) {
            if let Some(worker) = self.owned.remove(partition) {
                worker.abort();
            }
        }
        self.commit().await;
        self.pending
            .retain(|partition, _| wanted.contains(partition));
        for partition in wanted.difference(&have) {
            let next = self.position(*partition).await?;
            let worker = work::spawn(
                self.records.clone(),
                self.args.kafka.topic.clone(),
                *partition,
                next,
                Duration::from_millis(self.args.work_ms),
                self.progress.clone(),
            );
            self.owned.insert(*partition, worker);
        }
        self.commit().await;
        println!("assigned {}{:?}", self.args.kafka.topic, self.owned.keys());
        Ok(true)
    }

    /// Commits what is done; what the broker does not take stays for the next try.
    pub async fn commit(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if let Err(error) = self.commit_pending().await {
            eprintln!("commit: {error}");
        }
    }

    async fn commit_pending(&mut self) -> Result<(), Failure> {
        let partitions = self.pending.iter().map(|(partition, next)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*next)
        });
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(&self.args.kafka.topic)))
            .with_partitions(partitions.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(&self.args.group)))
            .with_generation_id_or_member_epoch(self.epoch)
            .with_member_id(text(&self.id))
            .with_topics(vec![topic]);
        let coordinator = self.coordinator().await?;
        let version = coordinator.version::<OffsetCommitRequest>(9)?;
        let answer = match ask(coordinator, &request, version).await {
            Ok(answer) => answer,
            Err(error) => {
                self.forget_coordinator();
                return Err(error);
            }
        };
        for done in answer.topics.iter().flat_map(|t| &t.partitions) {
            good(done.error_code)?;
            self.pending.remove(&done.partition_index);
        }
        Ok(())
    }

    /// The committed offset, or where to begin, which is then to be committed.
    async fn position(&mut self, partition: i32) -> Result<i64, Failure> {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(TopicName(text(&self.args.kafka.topic)))
            .with_partition_indexes(vec![partition]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text(&self.args.group)))
            .with_member_id(Some(text(&self.id)))
            .with_member_epoch(self.epoch)
            .with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default()
            .with_require_stable(true)
            .with_groups(vec![group]);
        let coordinator = self.coordinator().await?;
        let version = coordinator.version::<OffsetFetchRequest>(9)?;
        let answer = ask(coordinator, &request, version).await?;
        let group = answer.groups.first().ok_or("no group in the answer")?;
        good(group.error_code)?;
        let found = group.topics.first().and_then(|t| t.partitions.first());
        let found = found.ok_or("no partition in the answer")?;
        good(found.error_code)?;
        if found.committed_offset >= 0 {
            return Ok(found.committed_offset);
        }
        let (topic, from) = (&self.args.kafka.topic, self.args.from);
        let next = work::beginning(&self.records, topic, partition, from).await?;
        self.pending.insert(partition, next);
        Ok(next)
    }

    /// Stops, commits what is done, and tells the group.
    pub async fn leave(&mut self, done: &mut mpsc::UnboundedReceiver<Progress>) {
        for worker in self.owned.values() {
            worker.abort();
        }
        while let Ok(done) = done.try_recv() {
            self.progressed(done);
        }
        self.commit().await;
        if let Err(error) = self.heartbeat(LEAVING, false).await {
            eprintln!("leaving: {error}");
        }
    }

    async fn heartbeat(
        &mut self,
        epoch: i32,
        owned: bool,
    ) -> Result<ConsumerGroupHeartbeatResponse, Failure> {
        let topic_id = self.topic().await?;
        let mut request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(&self.args.group)))
            .with_member_id(text(&self.id))
            .with_member_epoch(epoch)
            .with_rebalance_timeout_ms(-1)
            .with_subscribed_topic_names(None)
            .with_topic_partitions(None);
        if epoch == JOINING {
            request = request
                .with_rebalance_timeout_ms(REBALANCE_MS)
                .with_subscribed_topic_names(Some(vec![TopicName(text(&self.args.kafka.topic))]))
                .with_topic_partitions(Some(vec![]));
        } else if owned {
            let ours = TopicPartitions::default()
                .with_topic_id(topic_id)
                .with_partitions(self.owned.keys().copied().collect());
            request = request.with_topic_partitions(Some(vec![ours]));
        }
        let coordinator = self.coordinator().await?;
        let version = coordinator.version::<ConsumerGroupHeartbeatRequest>(1)?;
        ask(coordinator, &request, version).await
    }

    async fn any_broker(&self) -> Result<Connection, Failure> {
        let security = self.args.kafka.security();
        let mut last: Failure = "no bootstrap server".into();
        for server in self.args.kafka.bootstrap_servers.split(',') {
            match lagscale::kafka::dial(&server.trim().parse()?, &security, Deadlines::default())
                .await
            {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }

    async fn topic(&mut self) -> Result<Uuid, Failure> {
        if let Some(id) = self.topic_id {
            return Ok(id);
        }
        let name = Some(TopicName(text(&self.args.kafka.topic)));
        let topic = MetadataRequestTopic::default().with_name(name);
        let request = MetadataRequest::default().with_topics(Some(vec![topic]));
        let mut broker = self.any_broker().await?;
        let version = broker.version::<MetadataRequest>(12)?;
        let answer = ask(&mut broker, &request, version).await?;
        let topic = answer.topics.first().ok_or("no topic in the answer")?;
        good(topic.error_code)?;
        self.topic_id = Some(topic.topic_id);
        Ok(topic.topic_id)
    }

    async fn coordinator(&mut self) -> Result<&mut Connection, Failure> {
        if self.coordinator.is_none() {
            let request = FindCoordinatorRequest::default()
                .with_coordinator_keys(vec![text(&self.args.group)]);
            let mut broker = self.any_broker().await?;
            let version = broker.version::<FindCoordinatorRequest>(4)?;
            let answer = ask(&mut broker, &request, version).await?;
            let found = answer
                .coordinators
                .first()
                .ok_or("no coordinator in the answer")?;
            good(found.error_code)?;
            let port = u16::try_from(found.port)?;
            let address = Address::new(found.host.as_str(), port);
            let security = self.args.kafka.security();
            let connection =
                lagscale::kafka::dial(&address, &security, Deadlines::default()).await?;
            self.coordinator = Some(connection);
        }
        self.coordinator
            .as_mut()
            .ok_or_else(|| "no coordinator".into())
    }
}
