//! OffsetFetch: the committed offsets of groups, as their coordinator holds them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kafka_protocol::{
    ResponseError,
    messages::{
        GroupId, OffsetFetchRequest, TopicName,
        offset_fetch_request::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
    },
};

use super::{Partitions, Throttled, text, throttle};
use crate::kafka::{
    Connection, Error,
    reader::{Malformed, Reader},
};

/// Version 10 only swaps topic names for ids.
pub const CAP: i16 = 9;
/// From this version on many groups are asked at once (KIP-709).
pub const MANY: i16 = 8;

/// Topics of one answer; a topic with one partition takes twenty times the bytes that it has there.
const MOST_TOPICS: usize = 20_000;

/// A group and what is asked of it.
#[derive(Clone, Debug, Default)]
pub struct CommitsOf {
    /// The group id.
    pub group: Arc<str>,
    /// `None`: every topic with a commit; topics that may not be described are then silently left out by the broker.
    pub partitions: Option<Arc<Partitions>>,
    /// Members are asked too which topics they read; they are in any case where the group shows no commit.
    pub members: bool,
}

impl CommitsOf {
    /// Whether this topic is asked for.
    fn asks(&self, topic: &str) -> bool {
        let named = self.partitions.as_ref();
        named.is_none_or(|named| named.contains_key(topic))
    }

    /// How many offsets will come; a group asked for everything is taken for fifty, as measured groups had.
    #[must_use]
    pub fn expected(&self) -> usize {
        let asked = self.partitions.as_ref();
        asked.map_or(50, |p| p.values().map(Vec::len).sum())
    }
}

/// By topic and partition: the committed offset, `None` where there is none, or the partition's own error.
pub type TopicCommits = BTreeMap<Arc<str>, BTreeMap<i32, Result<Option<i64>, ResponseError>>>;

/// A group's commits, or why it could not be asked.
pub type Commits = Result<TopicCommits, ResponseError>;

/// By group. A group the answer lacks is unknown.
pub type GroupCommits = BTreeMap<Arc<str>, Commits>;

/// Asks for the commits of `groups`: all at once where the broker can, group by group else. Never sends an empty
/// list of groups: Kafka 3.9 does not answer it. Unstable offsets are not waited for (`require_stable` false).
pub(super) async fn fetch(
    connection: &mut Connection,
    groups: &[CommitsOf],
) -> Result<GroupCommits, Error> {
    let version = connection.version::<OffsetFetchRequest>(CAP)?;
    let mut all = GroupCommits::new();
    if groups.is_empty() {
        return Ok(all);
    }
    if version >= MANY {
        let asked = groups.iter().map(many).collect();
        let request = OffsetFetchRequest::default().with_groups(asked);
        let of: BTreeMap<&str, _> = groups.iter().map(|g| (&*g.group, g)).collect();
        let decode = |answer: &mut Reader<'_>| decode_kept(answer, |g| of.get(g).copied());
        return connection.ask(&request, version, decode).await;
    }
    for group in groups {
        let request = single(group);
        let decode = |answer: &mut Reader<'_>| decode_one_of(answer, &|t| group.asks(t));
        let found = connection.ask(&request, version, decode).await?;
        all.insert(group.group.clone(), found);
    }
    Ok(all)
}

fn many(of: &CommitsOf) -> OffsetFetchRequestGroup {
    let topics = of.partitions.as_ref().map(|topics| {
        let each = topics.iter().map(|(topic, ids)| {
            OffsetFetchRequestTopics::default()
                .with_name(TopicName(text(topic)))
                .with_partition_indexes(ids.clone())
        });
        each.collect()
    });
    OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(&of.group)))
        .with_topics(topics)
}

fn single(of: &CommitsOf) -> OffsetFetchRequest {
    let topics = of.partitions.as_ref().map(|topics| {
        let each = topics.iter().map(|(topic, ids)| {
            OffsetFetchRequestTopic::default()
                .with_name(TopicName(text(topic)))
                .with_partition_indexes(ids.clone())
        });
        each.collect()
    });
    OffsetFetchRequest::default()
        .with_group_id(GroupId(text(&of.group)))
        .with_topics(topics)
}

/// Takes the answer to an OffsetFetch for many groups, versions 8 and 9.
pub fn decode_many(answer: &mut Reader<'_>) -> Result<Throttled<GroupCommits>, Malformed> {
    let all = CommitsOf::default();
    decode_kept(answer, |_| Some(&all))
}

/// Takes what was asked for of an answer for many groups.
fn decode_kept<'a>(
    answer: &mut Reader<'_>,
    asked: impl Fn(&str) -> Option<&'a CommitsOf>,
) -> Result<Throttled<GroupCommits>, Malformed> {
    let throttle = throttle(answer, 3)?;
    let mut names = BTreeSet::new();
    let mut found = GroupCommits::new();
    for _ in 0..answer.count()? {
        let group = answer.text()?;
        let asked = asked(group);
        let keep = |topic: &str| asked.is_some_and(|of| of.asks(topic));
        let topics = decode_topics(answer, &mut names, &keep)?;
        let error = ResponseError::try_from_code(answer.i16()?);
        answer.tags()?;
        if asked.is_some() {
            found.insert(group.into(), error.map_or(Ok(topics), Err));
        }
    }
    answer.tags()?;
    Ok(Throttled::new(found, throttle))
}

/// Takes the answer to an OffsetFetch for one group, versions 1 to 7.
pub fn decode_one(answer: &mut Reader<'_>) -> Result<Throttled<Commits>, Malformed> {
    decode_one_of(answer, &|_| true)
}

/// Takes the topics that `keep` wants of an answer for one group.
fn decode_one_of(
    answer: &mut Reader<'_>,
    keep: &dyn Fn(&str) -> bool,
) -> Result<Throttled<Commits>, Malformed> {
    let throttle = throttle(answer, 3)?;
    let topics = decode_topics(answer, &mut BTreeSet::new(), keep)?;
    let code = if answer.version() >= 2 {
        answer.i16()?
    } else {
        0
    };
    answer.tags()?;
    let found = ResponseError::try_from_code(code).map_or(Ok(topics), Err);
    Ok(Throttled::new(found, throttle))
}

/// `names` holds each name of the answer once: many groups read the same topics.
fn decode_topics(
    answer: &mut Reader<'_>,
    names: &mut BTreeSet<Arc<str>>,
    keep: &dyn Fn(&str) -> bool,
) -> Result<TopicCommits, Malformed> {
    let version = answer.version();
    let mut commits = TopicCommits::new();
    for _ in 0..answer.count()? {
        let name = answer.text()?;
        let mut of_topic = None;
        if keep(name) {
            let name = names.get(name).cloned().unwrap_or_else(|| {
                let name = Arc::<str>::from(name);
                names.insert(name.clone());
                name
            });
            if names.len() > MOST_TOPICS {
                return Err(Malformed::Many(MOST_TOPICS));
            }
            of_topic = Some(commits.entry(name).or_default());
        }
        for _ in 0..answer.count()? {
            let (id, offset) = (answer.i32()?, answer.i64()?);
            if version >= 5 {
                answer.i32()?; // the leader's epoch when it was committed
            }
            answer.nullable_text()?; // what the committer added
            let one = match ResponseError::try_from_code(answer.i16()?) {
                Some(error) => Err(error),
                None => Ok((offset >= 0).then_some(offset)),
            };
            answer.tags()?;
            if let Some(of_topic) = &mut of_topic {
                of_topic.insert(id, one);
            }
        }
        answer.tags()?;
    }
    Ok(commits)
}
