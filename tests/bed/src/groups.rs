//! Live members of every kind of group, played by Kafka's own Java clients, and what the brokers say such a group is.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use kafka_protocol::messages::{
    BrokerId, ConsumerGroupDescribeRequest, DescribeGroupsRequest, GroupId, ListGroupsRequest,
    ListOffsetsRequest, OffsetFetchRequest, TopicName,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
};
use rskafka::{
    client::{
        ClientBuilder,
        partition::{Compression, UnknownTopicHandling},
    },
    record::Record,
};
use rustix::process::Signal;

use crate::{
    kafka::Kafka,
    kafka_admin::{ask, text},
    parts,
    process::Child,
    wire::{Key, good},
};

const ASSIGNED: &str = include_str!("../kafka/Assigned.java");

/// A running Java program that consumes; killed when it is dropped.
pub struct Member {
    child: Child,
}

impl Member {
    /// SIGSTOP: it stays a member for as long as its session lasts, and consumes nothing.
    pub fn freeze(&self) {
        self.child.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.child.signal(Signal::CONT);
    }

    /// Panics with its last lines if it ended.
    pub fn must_live(&mut self) {
        self.child.must_live();
    }
}

/// A group as its coordinator describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// `Stable`, `Empty` and so on.
    pub state: String,
    /// `classic`, `consumer` (KIP-848) or `streams` (KIP-1071).
    pub kind: String,
    /// `group.instance.id` of each member, empty for those that have none; a streams group's are not asked for.
    pub members: Vec<String>,
}

impl Kafka {
    /// `VerifiableConsumer`: reads a topic from its start and commits what it has read. `more` comes behind its usual arguments.
    pub fn verifiable(&self, dir: &Path, group: &str, topic: &str, more: &[&str]) -> Member {
        let mut command = Self::tool(dir, "org.apache.kafka.tools.VerifiableConsumer");
        command.args(["--bootstrap-server", &self.plaintext_bootstrap()]);
        command
            .args(["--group-id", group, "--topic", topic])
            .args(more);
        Self::member(dir, group, &mut command)
    }

    /// A consumer that assigns itself a partition: no subscription, so the group has commits and no members.
    pub fn assigned(&self, dir: &Path, group: &str, topic: &str, partition: i32) -> Member {
        let source = dir.join("Assigned.java");
        fs::write(&source, ASSIGNED).expect("a program");
        let mut command = Self::tool(dir, &source.display().to_string());
        command.args([&self.plaintext_bootstrap(), group, topic]);
        command.arg(partition.to_string());
        Self::member(dir, group, &mut command)
    }

    /// Kafka Streams' example `WordCountDemo`: it reads [`Kafka::WORDS`] and groups by word, which goes through an internal
    /// repartition topic of its own. Its application id is its group; `protocol` is `classic` or `streams` (KIP-1071).
    pub fn word_count(&self, dir: &Path, group: &str, protocol: &str) -> Member {
        let config = dir.join(format!("{group}.properties"));
        let text = format!(
            "application.id={group}
bootstrap.servers={}
state.dir={}
commit.interval.ms=200
replication.factor=1
group.protocol={protocol}
",
            self.plaintext_bootstrap(),
            dir.join(format!("{group}-state")).display()
        );
        fs::write(&config, text).expect("a configuration");
        let class = "org.apache.kafka.streams.examples.wordcount.WordCountDemo";
        let mut command = Self::tool(dir, class);
        command.arg(config);
        Self::member(dir, group, &mut command)
    }

    /// The topic that [`Kafka::word_count`] reads.
    pub const WORDS: &'static str = "streams-plaintext-input";
    /// The topic that it writes.
    pub const COUNTS: &'static str = "streams-wordcount-output";

    /// Writes lines to [`Kafka::WORDS`].
    pub async fn say(&self, lines: &[&str]) {
        let client = ClientBuilder::new(vec![self.plaintext_bootstrap()]);
        let client = client.build().await.expect("a client");
        let words = client.partition_client(Self::WORDS, 0, UnknownTopicHandling::Retry);
        let record = |line: &&str| Record {
            key: None,
            value: Some(line.as_bytes().to_vec()),
            headers: BTreeMap::new(),
            timestamp: chrono::Utc::now(),
        };
        let lines = lines.iter().map(record).collect();
        let words = words.await.expect("a partition");
        let written = words.produce(lines, Compression::NoCompression).await;
        written.expect("written");
    }

    /// The commits of a group in a topic, partition by partition.
    ///
    /// # Errors
    /// Nobody answers for the group now.
    pub async fn committed(&self, group: &str, topic: &str) -> Result<Vec<i64>, String> {
        let request = OffsetFetchRequest::default().with_group_id(GroupId(text(group)));
        let mut coordinator = self.to_coordinator(Key::Group(group)).await?;
        let request = request.with_topics(None);
        let answer = ask(&mut coordinator, &request, 7).await;
        let answer = answer.map_err(|e| e.to_string())?;
        good(answer.error_code)?;
        let found = answer.topics.iter().filter(|t| *t.name.0 == *topic);
        let found = found.flat_map(|t| &t.partitions);
        Ok(found.map(|p| p.committed_offset).collect())
    }

    /// The log end offsets of a topic, partition by partition, where the first broker leads them all.
    ///
    /// # Errors
    /// It does not now.
    pub async fn ends(&self, topic: &str) -> Result<Vec<i64>, String> {
        let found = self.described(topic).await?;
        good(found.topics[0].error_code)?;
        let partitions = found.topics[0].partitions.iter().map(|p| {
            ListOffsetsPartition::default()
                .with_partition_index(p.partition_index)
                .with_timestamp(-1)
        });
        let asked = ListOffsetsTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(partitions.collect());
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![asked]);
        let answer = ask(&mut self.first_broker().await, &request, 5).await;
        let answer = answer.map_err(|e| e.to_string())?;
        let found = answer.topics.iter().flat_map(|t| &t.partitions);
        found
            .map(|p| good(p.error_code).map(|()| p.offset))
            .collect()
    }

    /// The group as its coordinator lists and describes it.
    ///
    /// # Errors
    /// There is no such group now.
    pub async fn group(&self, group: &str) -> Result<GroupState, String> {
        let mut coordinator = self.to_coordinator(Key::Group(group)).await?;
        let listed = ask(&mut coordinator, &ListGroupsRequest::default(), 5).await;
        let listed = listed.map_err(|e| e.to_string())?;
        good(listed.error_code)?;
        let mut found = listed.groups.iter().filter(|g| *g.group_id.0 == *group);
        let found = found.next().ok_or("not listed")?;
        let members = if &*found.group_type == "consumer" {
            let request =
                ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group))]);
            let answer = ask(&mut coordinator, &request, 1).await;
            let answer = answer.map_err(|e| e.to_string())?;
            let ids = answer.groups.iter().flat_map(|g| &g.members);
            ids.map(|m| m.instance_id.clone()).collect::<Vec<_>>()
        } else {
            let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group))]);
            let answer = ask(&mut coordinator, &request, 5).await;
            let answer = answer.map_err(|e| e.to_string())?;
            let ids = answer.groups.iter().flat_map(|g| &g.members);
            ids.map(|m| m.group_instance_id.clone()).collect()
        };
        let members = members.into_iter();
        Ok(GroupState {
            state: found.group_state.to_string(),
            kind: found.group_type.to_string(),
            members: members
                .map(|id| id.unwrap_or_default().to_string())
                .collect(),
        })
    }

    fn tool(dir: &Path, program: &str) -> Command {
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-Xmx256m", "-XX:+UseSerialGC"]);
        command.args(["-cp", &parts::kafka_programs()]);
        command.arg(program).current_dir(dir);
        command
    }

    fn member(dir: &Path, group: &str, command: &mut Command) -> Member {
        let log = dir.join(format!("{group}.log"));
        Member {
            child: Child::spawn(group, command, &log),
        }
    }
}
