//! Metadata and FindCoordinator.

use kafka_protocol::{
    ResponseError,
    messages::{
        BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
        MetadataResponse, TopicName,
        find_coordinator_response::Coordinator,
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{
    answers::{code, is_named_left_out, named, of_partition, text, throttle},
    fault::What,
    state::State,
};

pub fn keys(request: &FindCoordinatorRequest, version: i16) -> impl Iterator<Item = &StrBytes> {
    let single = (version < 4).then_some(&request.key);
    single.into_iter().chain(&request.coordinator_keys)
}

pub fn metadata(
    request: &MetadataRequest,
    version: i16,
    faults: &[What],
    state: &State,
) -> MetadataResponse {
    let real = state.ports.iter().zip(0..);
    let real = || {
        real.map(|(port, node)| (node, state.host.clone(), *port))
            .collect()
    };
    let brokers = state.claimed_brokers.clone().unwrap_or_else(real);
    let brokers = brokers.iter().map(|(node, host, port)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(*node))
            .with_host(text(host))
            .with_port((*port).into())
    });
    let names: Vec<String> = if let Some(topics) = &request.topics {
        let names = topics.iter().filter_map(|t| t.name.as_ref());
        names.map(|n| n.to_string()).collect()
    } else {
        let seen = state.topics.keys().filter(|t| !state.hidden.contains(*t));
        seen.cloned().collect()
    };
    let names = names.iter().filter(|n| !is_named_left_out(faults, n));
    let topics = names.map(|name| {
        let topic = MetadataResponseTopic::default().with_name(Some(TopicName(text(name))));
        let missing = Some(ResponseError::UnknownTopicOrPartition);
        let refused = Some(ResponseError::TopicAuthorizationFailed);
        let known = state.topics.get(name.as_str());
        let error = named(faults, name)
            .or_else(|| refused.filter(|_| state.hidden.contains(name)))
            .or_else(|| missing.filter(|_| known.is_none()));
        let (Some(known), None) = (known, error) else {
            return topic.with_error_code(code(error));
        };
        let partitions = (0..).zip(&known.partitions).map(|(id, p)| {
            let error = of_partition(faults, name, id);
            let none = ResponseError::LeaderNotAvailable;
            let error = error.or_else(|| (p.leader < 0).then_some(none));
            let leader = if error.is_some() { -1 } else { p.leader };
            MetadataResponsePartition::default()
                .with_partition_index(id)
                .with_error_code(code(error))
                .with_leader_id(BrokerId(leader))
        });
        let id = if version >= 10 {
            Uuid::from_bytes(known.id)
        } else {
            Uuid::nil()
        };
        topic
            .with_topic_id(id)
            .with_partitions(partitions.collect())
    });
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_topics(topics.collect())
        .with_throttle_time_ms(throttle(faults))
}

pub fn coordinators(
    request: &FindCoordinatorRequest,
    version: i16,
    faults: &[What],
    state: &mut State,
) -> FindCoordinatorResponse {
    if version >= 4 && request.coordinator_keys.is_empty() {
        state
            .violations
            .push("FindCoordinator without a key".into());
    }
    let response = FindCoordinatorResponse::default().with_throttle_time_ms(throttle(faults));
    let found = keys(request, version).filter(|k| !is_named_left_out(faults, k));
    let found = found.map(|key| {
        let node = state.groups.get(key.as_str()).map_or(0, |g| g.coordinator);
        let error = named(faults, key);
        let node = if error.is_some() { -1 } else { node };
        let port = usize::try_from(node)
            .ok()
            .map_or(-1, |n| state.ports[n].into());
        (key.clone(), node, port, code(error))
    });
    let found: Vec<_> = found.collect();
    if version < 4 {
        let Some((_, node, port, code)) = found.first() else {
            return response;
        };
        return response
            .with_node_id(BrokerId(*node))
            .with_host(text(&state.host))
            .with_port(*port)
            .with_error_code(*code);
    }
    let each = found.into_iter().map(|(key, node, port, code)| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(BrokerId(node))
            .with_host(text(&state.host))
            .with_port(port)
            .with_error_code(code)
    });
    response.with_coordinators(each.collect())
}
