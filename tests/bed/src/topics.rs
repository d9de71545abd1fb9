//! Events under a group's feet: records and topics deleted, offsets gone.

use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
    GroupId, OffsetDeleteRequest, TopicName,
    create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
    delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
    offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
};

use crate::{
    kafka::Kafka,
    kafka_admin::{PATIENCE, ask, text},
    wait,
    wire::{Key, good},
};

/// `UNKNOWN_TOPIC_OR_PARTITION`.
const UNKNOWN_TOPIC: i16 = 3;

impl Kafka {
    /// Makes a topic of one partition on two brokers, the first of which leads it, that rather loses records than wait for
    /// a replica that has them all.
    pub async fn create_unclean_topic(&self, name: &str, brokers: [i32; 2]) {
        let replicas = CreatableReplicaAssignment::default()
            .with_partition_index(0)
            .with_broker_ids(brokers.map(BrokerId).to_vec());
        let config = CreatableTopicConfig::default()
            .with_name(text("unclean.leader.election.enable"))
            .with_value(Some(text("true")));
        let topic = CreatableTopic::default()
            .with_name(TopicName(text(name)))
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_assignments(vec![replicas])
            .with_configs(vec![config]);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(30_000);
        let answer = ask(&mut self.first_broker().await, &request, 5).await;
        let code = answer.expect("an answer").topics[0].error_code;
        good(code).expect("a topic");
        let led = async || self.leader(name, 0).await;
        wait::until("the partition to have a leader", PATIENCE, led).await;
    }

    /// Deletes the records of a partition below `offset`, as retention would.
    pub async fn delete_records(&self, topic: &str, partition: i32, offset: i64) {
        let partitions = DeleteRecordsPartition::default()
            .with_partition_index(partition)
            .with_offset(offset);
        let deleted = DeleteRecordsTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(vec![partitions]);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![deleted])
            .with_timeout_ms(30_000);
        wait::until("records to be deleted", PATIENCE, async || {
            let mut leader = self.to_leader(topic, partition).await?;
            let answer = ask(&mut leader, &request, 2).await;
            let answer = answer.map_err(|e| e.to_string())?;
            good(answer.topics[0].partitions[0].error_code)
        })
        .await;
    }

    /// Deletes a topic and waits until the first broker knows it no more.
    pub async fn delete_topic(&self, name: &str) {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![TopicName(text(name))])
            .with_timeout_ms(30_000);
        wait::until("a topic to be gone", PATIENCE, async || {
            let answer = ask(&mut self.first_broker().await, &request, 5).await;
            answer.map_err(|e| e.to_string())?;
            let code = self.described(name).await?.topics[0].error_code;
            if code == UNKNOWN_TOPIC {
                Ok(())
            } else {
                Err(format!("code {code}"))
            }
        })
        .await;
    }

    /// Deletes the commits of a group in one topic, as their expiry would.
    pub async fn delete_offsets(&self, group: &str, topic: &str, partitions: &[i32]) {
        let partitions = partitions
            .iter()
            .map(|id| OffsetDeleteRequestPartition::default().with_partition_index(*id));
        let deleted = OffsetDeleteRequestTopic::default()
            .with_name(TopicName(text(topic)))
            .with_partitions(partitions.collect());
        let request = OffsetDeleteRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_topics(vec![deleted]);
        wait::until("commits to be deleted", PATIENCE, async || {
            let mut coordinator = self.to_coordinator(Key::Group(group)).await?;
            let answer = ask(&mut coordinator, &request, 0).await;
            let answer = answer.map_err(|e| e.to_string())?;
            good(answer.error_code)?;
            let mut partitions = answer.topics.iter().flat_map(|t| &t.partitions);
            partitions.try_for_each(|p| good(p.error_code))
        })
        .await;
    }

    /// Deletes a group that has no members, with all its commits.
    pub async fn delete_group(&self, group: &str) {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group))]);
        wait::until("a group to be deleted", PATIENCE, async || {
            let mut coordinator = self.to_coordinator(Key::Group(group)).await?;
            let answer = ask(&mut coordinator, &request, 2).await;
            let answer = answer.map_err(|e| e.to_string())?;
            good(answer.results[0].error_code)
        })
        .await;
    }
}
