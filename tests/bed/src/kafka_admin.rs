//! Administration of a Kafka: topics, records, and commits by an outsider, through its plain listener.

use std::{collections::BTreeMap, time::Duration};

use kafka_protocol::{
    ResponseError,
    messages::{
        CreateAclsRequest, CreatePartitionsRequest, CreateTopicsRequest, FindCoordinatorRequest,
        GroupId, MetadataRequest, OffsetCommitRequest, TopicName,
        create_acls_request::AclCreation,
        create_partitions_request::CreatePartitionsTopic,
        create_topics_request::CreatableTopic,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    },
    protocol::{Decodable, Request, StrBytes},
};
use lagscale::kafka::{
    Address, Connection, Error, Security, connection::Deadlines, reader::Reader,
};
use rskafka::{
    client::{
        ClientBuilder,
        partition::{Compression, UnknownTopicHandling},
    },
    record::Record,
};

use crate::{kafka::Kafka, wait};

pub(crate) const DEADLINES: Deadlines = Deadlines {
    dial: Duration::from_secs(10),
    call: Duration::from_secs(30),
};
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// The resource that a user may be allowed to describe.
#[derive(Clone, Copy, Debug)]
pub enum Described<'a> {
    /// A topic of this name.
    Topic(&'a str),
    /// A consumer group of this name.
    Group(&'a str),
}

pub(crate) fn text(name: &str) -> StrBytes {
    StrBytes::from_string(name.to_owned())
}

/// Asks for what only tests want, with kafka-protocol's decoders: a broker of ours tells no lies.
pub(crate) async fn ask<R: Request>(
    connection: &mut Connection,
    request: &R,
    version: i16,
) -> Result<R::Response, Error> {
    let decode = |body: &mut Reader<'_>| {
        let answer = R::Response::decode(&mut body.rest(), version);
        Ok(answer.expect("an answer that can be decoded"))
    };
    connection.call(request, version, decode).await
}

impl Kafka {
    pub(crate) async fn connection(&self) -> Connection {
        self.dial(&Address::new("localhost", self.plain_port()))
            .await
    }

    async fn dial(&self, address: &Address) -> Connection {
        wait::until("a connection to Kafka", PATIENCE, async || {
            lagscale::kafka::dial(address, &Security::default(), DEADLINES).await
        })
        .await
    }

    /// Whether the broker at `port` serves metadata: it listens a little before that.
    pub(crate) async fn serves(port: u16) -> Result<(), String> {
        let address = Address::new("localhost", port);
        let dialled = lagscale::kafka::dial(&address, &Security::default(), DEADLINES).await;
        let mut connection = dialled.map_err(|e| e.to_string())?;
        let request = MetadataRequest::default().with_topics(Some(vec![]));
        let answer = ask(&mut connection, &request, 9).await;
        if answer.map_err(|e| e.to_string())?.brokers.is_empty() {
            return Err("no broker yet".to_owned());
        }
        Ok(())
    }

    /// Makes a topic with one replica per partition and waits until every partition has a leader.
    pub async fn create_topic(&self, name: &str, partitions: i32) {
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(partitions)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000);
        wait::until("a topic to be made", PATIENCE, async || {
            let mut connection = self.connection().await;
            let answer = ask(&mut connection, &request, 5)
                .await
                .map_err(|e| e.to_string())?;
            match ResponseError::try_from_code(answer.topics[0].error_code) {
                None | Some(ResponseError::TopicAlreadyExists) => Ok(()),
                Some(error) => Err(format!("{error:?}")),
            }
        })
        .await;
        self.led(name, partitions).await;
    }

    /// Adds partitions until there are `total`.
    pub async fn add_partitions(&self, name: &str, total: i32) {
        let topic = CreatePartitionsTopic::default()
            .with_name(TopicName(text(name)))
            .with_count(total)
            .with_assignments(None);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000);
        let answer = ask(&mut self.connection().await, &request, 2)
            .await
            .expect("an answer");
        let code = ResponseError::try_from_code(answer.results[0].error_code);
        assert_eq!(code, None, "adding partitions");
        self.led(name, total).await;
    }

    async fn led(&self, name: &str, partitions: i32) {
        wait::until("every partition to have a leader", PATIENCE, async || {
            let topic = kafka_protocol::messages::metadata_request::MetadataRequestTopic::default()
                .with_name(Some(TopicName(text(name))));
            let request = MetadataRequest::default().with_topics(Some(vec![topic]));
            let answer = ask(&mut self.connection().await, &request, 9).await;
            let answer = answer.map_err(|e| e.to_string())?;
            let led = answer.topics[0].partitions.iter();
            let led = led
                .filter(|p| p.leader_id.0 >= 0 && p.error_code == 0)
                .count();
            if i32::try_from(led) == Ok(partitions) {
                Ok(())
            } else {
                Err(format!("{led} have one"))
            }
        })
        .await;
    }

    /// Allows a user (a name, or `CN=...`) of a guarded Kafka to describe this and nothing else.
    pub async fn allow(&self, user: &str, what: Described<'_>) {
        // As the protocol numbers them: resource types, a literal pattern, the operation Describe, the permission Allow.
        let (kind, name) = match what {
            Described::Topic(name) => (2, name),
            Described::Group(name) => (3, name),
        };
        let acl = AclCreation::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_resource_pattern_type(3)
            .with_principal(text(&format!("User:{user}")))
            .with_host(text("*"))
            .with_operation(8)
            .with_permission_type(3);
        let request = CreateAclsRequest::default().with_creations(vec![acl]);
        let answer = ask(&mut self.connection().await, &request, 2).await;
        let answer = answer.expect("an answer");
        let code = ResponseError::try_from_code(answer.results[0].error_code);
        assert_eq!(code, None, "allowing {user} {what:?}");
    }

    /// Writes `count` records to one partition.
    pub async fn produce(&self, topic: &str, partition: i32, count: usize) {
        let work = async {
            let client = ClientBuilder::new(vec![format!("localhost:{}", self.plain_port())])
                .build()
                .await
                .expect("a client");
            let partition = client
                .partition_client(topic, partition, UnknownTopicHandling::Retry)
                .await
                .expect("a partition");
            let record = |_| Record {
                key: None,
                value: Some(b"{}".to_vec()),
                headers: BTreeMap::new(),
                timestamp: chrono::Utc::now(),
            };
            for chunk in 0..count.div_ceil(1000) {
                let records = (0..(count - chunk * 1000).min(1000)).map(record).collect();
                partition
                    .produce(records, Compression::NoCompression)
                    .await
                    .expect("produced");
            }
        };
        tokio::time::timeout(PATIENCE, work)
            .await
            .expect("produced in time");
    }

    /// Commits as an outsider, so that a lag stands still; the group must have no members.
    pub async fn commit(&self, group: &str, topic: &str, offsets: &[(i32, i64)]) {
        let partitions = offsets.iter().map(|(id, offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(*id)
                .with_committed_offset(*offset)
        });
        let topic = OffsetCommitRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(partitions.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        wait::until("a commit to be taken", PATIENCE, async || {
            let find = FindCoordinatorRequest::default().with_key(text(group));
            let found = ask(&mut self.connection().await, &find, 3)
                .await
                .map_err(|e| e.to_string())?;
            if found.error_code != 0 {
                return Err(format!("coordinator: code {}", found.error_code));
            }
            let port = u16::try_from(found.port).expect("a port");
            let mut coordinator = self.dial(&Address::new(found.host.as_str(), port)).await;
            let answer = ask(&mut coordinator, &request, 7)
                .await
                .map_err(|e| e.to_string())?;
            let codes = answer.topics.iter().flat_map(|t| &t.partitions);
            match codes.map(|p| p.error_code).find(|c| *c != 0) {
                None => Ok(()),
                Some(code) => Err(format!("commit: code {code}")),
            }
        })
        .await;
    }
}
