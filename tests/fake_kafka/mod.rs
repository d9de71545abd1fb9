//! Enough of a Kafka cluster to be asked for lag, to misbehave on command, and to say afterwards what it was asked.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, BrokerId, FindCoordinatorRequest,
        FindCoordinatorResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest,
        MetadataResponse, OffsetFetchRequest, OffsetFetchResponse, ResponseHeader, TopicName,
        api_versions_response::ApiVersion,
        find_coordinator_response::Coordinator,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        metadata_response::{
            MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
        },
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
        },
    },
    protocol::{
        Decodable, Encodable, HeaderVersion, Request, StrBytes, decode_request_header_from_buffer,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A group's commits by topic and partition.
type Committed = HashMap<(&'static str, i32), i64>;

/// What the cluster knows and does; changed under the lock at any time.
#[derive(Default)]
pub struct State {
    pub ports: Vec<u16>,
    /// By topic: leader and end offset of each partition. Every log begins at 0.
    pub topics: BTreeMap<&'static str, Vec<(i32, i64)>>,
    /// By group: coordinator and commits.
    pub groups: BTreeMap<String, (i32, Committed)>,
    /// These brokers take requests and answer nothing.
    pub frozen: HashSet<i32>,
    /// How long this broker takes for each ListOffsets.
    pub slow: HashMap<i32, std::time::Duration>,
    /// Left out of every ListOffsets answer.
    pub omitted: HashSet<(&'static str, i32)>,
    /// Brokers that announce a frame of two gigabytes instead of an answer to ListOffsets.
    pub boasting: HashSet<i32>,
    /// Everything asked, in order.
    pub log: Vec<ApiKey>,
    /// Connections accepted, by broker.
    pub connections: HashMap<i32, usize>,
}

/// A running fake.
pub struct FakeKafka(Arc<Mutex<State>>);

impl FakeKafka {
    /// Starts brokers 0 to `brokers` - 1.
    pub async fn start(brokers: i32) -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        for node in 0..brokers {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            state.lock().unwrap().ports.push(port);
            let state = state.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    *state.lock().unwrap().connections.entry(node).or_default() += 1;
                    let state = state.clone();
                    tokio::spawn(async move { serve(node, stream, state).await });
                }
            });
        }
        Self(state)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn text(name: &str) -> StrBytes {
    StrBytes::from_string(name.to_owned())
}

fn index(node: i32) -> usize {
    usize::try_from(node).unwrap()
}

async fn serve(node: i32, mut stream: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    loop {
        let length = stream.read_u32().await.ok()?;
        let mut frame = vec![0; length as usize];
        stream.read_exact(&mut frame).await.ok()?;
        let (answered, pause) = {
            let mut state = state.lock().unwrap();
            let answered = answer(node, frame.into(), &mut state);
            let about_offsets = state.log.last() == Some(&ApiKey::ListOffsets);
            let pause = state.slow.get(&node).copied().filter(|_| about_offsets);
            (answered, pause.unwrap_or_default())
        };
        tokio::time::sleep(pause).await;
        stream.write_all(&answered).await.ok()?;
    }
}

/// The frame that answers; nothing from a frozen broker.
fn answer(node: i32, mut body: Bytes, state: &mut State) -> BytesMut {
    let header = decode_request_header_from_buffer(&mut body).unwrap();
    let api = ApiKey::try_from(header.request_api_key).unwrap();
    let (id, version) = (header.correlation_id, header.request_api_version);
    if state.frozen.contains(&node) {
        return BytesMut::new();
    }
    match api {
        ApiKey::ApiVersions => {
            let served = [
                (ApiKey::ApiVersions, 0, 3),
                (ApiKey::Metadata, 0, 12),
                (ApiKey::FindCoordinator, 0, 4),
                (ApiKey::OffsetFetch, 1, 9),
                (ApiKey::ListOffsets, 1, 7),
            ];
            let keys = served.map(|(key, min, max)| {
                ApiVersion::default()
                    .with_api_key(key as i16)
                    .with_min_version(min)
                    .with_max_version(max)
            });
            let response = ApiVersionsResponse::default().with_api_keys(keys.to_vec());
            frame::<ApiVersionsRequest>(id, version, &response)
        }
        ApiKey::Metadata => {
            let request = MetadataRequest::decode(&mut body, version).unwrap();
            state.log.push(api);
            frame::<MetadataRequest>(id, version, &state.metadata(&request))
        }
        ApiKey::FindCoordinator => {
            let request = FindCoordinatorRequest::decode(&mut body, version).unwrap();
            state.log.push(api);
            frame::<FindCoordinatorRequest>(id, version, &state.coordinators(&request))
        }
        ApiKey::OffsetFetch => {
            let request = OffsetFetchRequest::decode(&mut body, version).unwrap();
            state.log.push(api);
            frame::<OffsetFetchRequest>(id, version, &state.commits(node, &request))
        }
        ApiKey::ListOffsets => {
            let request = ListOffsetsRequest::decode(&mut body, version).unwrap();
            state.log.push(api);
            if state.boasting.contains(&node) {
                return BytesMut::from(&0x7fff_ffff_u32.to_be_bytes()[..]);
            }
            frame::<ListOffsetsRequest>(id, version, &state.offsets(node, &request))
        }
        other => panic!("{other:?} was asked"),
    }
}

fn frame<R: Request>(id: i32, version: i16, response: &R::Response) -> BytesMut {
    let mut out = BytesMut::from(&[0; 4][..]);
    let header = ResponseHeader::default().with_correlation_id(id);
    let version_of_header = R::Response::header_version(version);
    header.encode(&mut out, version_of_header).unwrap();
    response.encode(&mut out, version).unwrap();
    let length = u32::try_from(out.len() - 4).unwrap();
    out[..4].copy_from_slice(&length.to_be_bytes());
    out
}

fn committed(id: i32, offset: Option<i64>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(id)
        .with_committed_offset(offset.unwrap_or(-1))
}

impl State {
    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let brokers = self.ports.iter().zip(0..).map(|(port, node)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(node))
                .with_host(text("127.0.0.1"))
                .with_port((*port).into())
        });
        let names = request.topics.iter().flatten();
        let topics = names.filter_map(|t| t.name.clone()).map(|name| {
            let topic = MetadataResponseTopic::default().with_name(Some(name.clone()));
            let Some(partitions) = self.topics.get(name.as_str()) else {
                return topic.with_error_code(ResponseError::UnknownTopicOrPartition.code());
            };
            let partitions = partitions.iter().zip(0..).map(|((leader, _), id)| {
                MetadataResponsePartition::default()
                    .with_partition_index(id)
                    .with_leader_id(BrokerId(*leader))
            });
            topic.with_partitions(partitions.collect())
        });
        MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_topics(topics.collect())
    }

    fn coordinators(&self, request: &FindCoordinatorRequest) -> FindCoordinatorResponse {
        let found = request.coordinator_keys.iter().map(|key| {
            let node = self.groups.get(key.as_str()).map_or(0, |(node, _)| *node);
            Coordinator::default()
                .with_key(key.clone())
                .with_node_id(BrokerId(node))
                .with_host(text("127.0.0.1"))
                .with_port(self.ports[index(node)].into())
        });
        FindCoordinatorResponse::default().with_coordinators(found.collect())
    }

    fn commits(&self, node: i32, request: &OffsetFetchRequest) -> OffsetFetchResponse {
        let groups = request.groups.iter().map(|asked| {
            let group = OffsetFetchResponseGroup::default().with_group_id(asked.group_id.clone());
            let known = self.groups.get(asked.group_id.as_str());
            if known.is_some_and(|(coordinator, _)| *coordinator != node) {
                return group.with_error_code(ResponseError::NotCoordinator.code());
            }
            let Some(topics) = &asked.topics else {
                let commits = known.iter().flat_map(|(_, commits)| commits);
                let each = commits.map(|((topic, id), offset)| {
                    OffsetFetchResponseTopics::default()
                        .with_name(TopicName(text(topic)))
                        .with_partitions(vec![committed(*id, Some(*offset))])
                });
                return group.with_topics(each.collect());
            };
            let topics = topics.iter().map(|topic| {
                let partitions = topic.partition_indexes.iter().map(|id| {
                    let name = self.topics.keys().find(|t| **t == topic.name.as_str());
                    let commit = known.zip(name).and_then(|((_, c), t)| c.get(&(*t, *id)));
                    committed(*id, commit.copied())
                });
                OffsetFetchResponseTopics::default()
                    .with_name(topic.name.clone())
                    .with_partitions(partitions.collect())
            });
            group.with_topics(topics.collect())
        });
        OffsetFetchResponse::default().with_groups(groups.collect())
    }

    fn offsets(&self, node: i32, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let topics = request.topics.iter().map(|asked| {
            let name: &TopicName = &asked.name;
            let known = self.topics.get(name.as_str());
            let omitted = |id: i32| {
                self.omitted
                    .iter()
                    .any(|(t, p)| *t == name.as_str() && *p == id)
            };
            let partitions = asked.partitions.iter();
            let partitions = partitions.filter(|p| !omitted(p.partition_index)).map(|p| {
                let answer =
                    ListOffsetsPartitionResponse::default().with_partition_index(p.partition_index);
                match known.and_then(|k| k.get(index(p.partition_index))) {
                    None => answer.with_error_code(ResponseError::UnknownTopicOrPartition.code()),
                    Some((leader, _)) if *leader != node => {
                        answer.with_error_code(ResponseError::NotLeaderOrFollower.code())
                    }
                    Some((_, end)) => answer.with_offset(if p.timestamp == -1 { *end } else { 0 }),
                }
            });
            ListOffsetsTopicResponse::default()
                .with_name(name.clone())
                .with_partitions(partitions.collect())
        });
        ListOffsetsResponse::default().with_topics(topics.collect())
    }
}
