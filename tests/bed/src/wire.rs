//! Connections to the broker that a question is for: the first, a leader, a coordinator; through its plain listener.

use kafka_protocol::{
    ResponseError,
    messages::{
        FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, MetadataResponse,
        TopicName, metadata_request::MetadataRequestTopic,
    },
};
use lagscale::kafka::{Address, Connection, Error, Security};

use crate::{
    kafka::Kafka,
    kafka_admin::{DEADLINES, PATIENCE, ask, text},
    wait,
};

/// Whose coordinator is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Key<'a> {
    Group(&'a str),
    Transaction(&'a str),
}

/// `Ok` for code 0.
pub(crate) fn good(code: i16) -> Result<(), String> {
    ResponseError::try_from_code(code).map_or(Ok(()), |e| Err(format!("{e:?}")))
}

impl Kafka {
    /// A connection to the first broker, which is the one that scenarios leave alive.
    pub(crate) async fn first_broker(&self) -> Connection {
        let address = Address::new("localhost", self.plain_port());
        wait::until("a connection to Kafka", PATIENCE, async || {
            dial(&address).await
        })
        .await
    }

    /// The first broker's description of a topic.
    pub(crate) async fn described(&self, topic: &str) -> Result<MetadataResponse, String> {
        let topic = MetadataRequestTopic::default().with_name(Some(TopicName(text(topic))));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(false);
        let answer = ask(&mut self.first_broker().await, &request, 9).await;
        answer.map_err(|e| e.to_string())
    }

    /// The broker that leads a partition.
    ///
    /// # Errors
    /// The topic or partition has no leader that answers now.
    pub async fn leader(&self, topic: &str, partition: i32) -> Result<usize, String> {
        let found = self.described(topic).await?;
        good(found.topics[0].error_code)?;
        let mut partitions = found.topics[0].partitions.iter();
        let found = partitions.find(|p| p.partition_index == partition);
        let found = found.ok_or("no such partition")?;
        usize::try_from(found.leader_id.0).map_err(|_| "no leader".to_owned())
    }

    /// A connection to the broker that leads a partition.
    pub(crate) async fn to_leader(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Connection, String> {
        let id = self.leader(topic, partition).await?;
        let found = self.described(topic).await?;
        let broker = found.brokers.iter();
        let mut broker = broker.filter(|b| usize::try_from(b.node_id.0) == Ok(id));
        let broker = broker.next().ok_or("a leader without an address")?;
        reach(&broker.host, broker.port).await
    }

    /// The broker that coordinates a group.
    ///
    /// # Errors
    /// None does now.
    pub async fn coordinator(&self, group: &str) -> Result<usize, String> {
        let found = self.found(Key::Group(group)).await?;
        usize::try_from(found.node_id.0).map_err(|e| e.to_string())
    }

    /// A connection to the coordinator of a group or a transactional id.
    pub(crate) async fn to_coordinator(&self, key: Key<'_>) -> Result<Connection, String> {
        let found = self.found(key).await?;
        reach(&found.host, found.port).await
    }

    async fn found(&self, key: Key<'_>) -> Result<FindCoordinatorResponse, String> {
        let (kind, key) = match key {
            Key::Group(id) => (0, id),
            Key::Transaction(id) => (1, id),
        };
        let find = FindCoordinatorRequest::default()
            .with_key(text(key))
            .with_key_type(kind);
        let found = ask(&mut self.first_broker().await, &find, 3).await;
        let found = found.map_err(|e| e.to_string())?;
        good(found.error_code)?;
        Ok(found)
    }
}

async fn dial(address: &Address) -> Result<Connection, Error> {
    lagscale::kafka::dial(address, &Security::default(), DEADLINES).await
}

async fn reach(host: &str, port: i32) -> Result<Connection, String> {
    let port = u16::try_from(port).map_err(|e| e.to_string())?;
    let dialled = dial(&Address::new(host, port)).await;
    dialled.map_err(|e| e.to_string())
}
