//! Commits of groups together with what a list of all topics leaves out: topics that may not be described, and, at brokers that
//! tell no such list, every topic. Members name the topics that they read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kafka_protocol::ResponseError;

use super::{
    CommitsOf, GroupCommits, Partitions, TopicLayout, describe_groups, metadata,
    offset_fetch::{self, TopicCommits},
};
use crate::kafka::{Cause, Connection, Error};

/// Topics that members name and that are looked up: a member writes what it likes.
const MOST_NAMED: usize = 1_000;

/// Commits of groups, and topics of theirs that may not be seen.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// Their commits.
    pub commits: GroupCommits,
    /// Topics that members read and that may not be described, by group; of groups whose members were asked.
    pub hidden: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
}

/// Asks for the commits of `groups`, as [`offset_fetch::fetch`] does. One that is asked for everything and shows nothing has what may not be
/// seen, and is answered with `TopicAuthorizationFailed`, if it is there without a member, or if a member reads a topic that may
/// not be described. Else what its members read is asked by name: some brokers tell no list of all topics.
pub async fn fetch(connection: &mut Connection, groups: &[CommitsOf]) -> Result<Fetched, Error> {
    let listed = offset_fetch::fetch(connection, groups).await?;
    let mut all = Fetched::default();
    let shows_nothing = |of: &CommitsOf| {
        let found = listed.get(&of.group);
        of.partitions.is_none() && found.is_some_and(|f| f.as_ref().is_ok_and(BTreeMap::is_empty))
    };
    let asked = groups.iter().filter(|of| of.members || shows_nothing(of));
    let asked: Vec<_> = asked.map(|of| of.group.clone()).collect();
    let unseen = groups.iter().filter(|of| shows_nothing(of));
    let unseen: BTreeSet<_> = unseen.map(|of| of.group.clone()).collect();
    all.commits = listed;
    if asked.is_empty() {
        return Ok(all);
    }
    let members = match describe_groups::fetch(connection, &asked).await {
        Ok(members) => members,
        Err(error) if matches!(error.cause, Cause::Version { .. }) => return Ok(all),
        Err(error) => return Err(error),
    };
    let named = members.values().flatten().flat_map(|d| &d.topics);
    let named: BTreeSet<_> = named.cloned().collect();
    let named: Vec<_> = named.into_iter().take(MOST_NAMED).collect();
    let mut topics = BTreeMap::new();
    if !named.is_empty() {
        let described = metadata::fetch(connection, &named).await?;
        topics = described.topics;
    }
    let is_hidden =
        |topic: &Arc<str>| topics.get(topic) == Some(&Err(ResponseError::TopicAuthorizationFailed));
    let mut by_name = Vec::new();
    for (group, described) in members {
        let Ok(described) = described else {
            continue;
        };
        let (hidden, seen): (BTreeSet<_>, BTreeSet<_>) =
            described.topics.into_iter().partition(is_hidden);
        if unseen.contains(&group) && (described.empty || !hidden.is_empty()) {
            let refused = Err(ResponseError::TopicAuthorizationFailed);
            all.commits.insert(group, refused);
            continue;
        }
        if unseen.contains(&group) {
            by_name.extend(named_of(&group, &seen, &topics));
        }
        all.hidden.insert(group, hidden);
    }
    let named = offset_fetch::fetch(connection, &by_name).await?;
    for (group, commits) in named {
        let commits = commits.map(with_a_commit);
        all.commits.insert(group, commits);
    }
    Ok(all)
}

/// A question about the partitions of `topics` that a description knows; `None`: it knows none.
fn named_of(
    group: &Arc<str>,
    topics: &BTreeSet<Arc<str>>,
    described: &BTreeMap<Arc<str>, Result<TopicLayout, ResponseError>>,
) -> Option<CommitsOf> {
    let each = topics.iter().filter_map(|topic| {
        let layout = described.get(topic)?.as_ref().ok()?;
        let ids: Vec<_> = layout.partitions.keys().copied().collect();
        (!ids.is_empty()).then(|| (topic.clone(), ids))
    });
    let partitions: Partitions = each.collect();
    (!partitions.is_empty()).then(|| CommitsOf {
        group: group.clone(),
        partitions: Some(Arc::new(partitions)),
        members: false,
    })
}

/// Leaves out topics without a commit, as a list of all topics does.
fn with_a_commit(mut commits: TopicCommits) -> TopicCommits {
    commits.retain(|_, ids| ids.values().any(|id| id != &Ok(None)));
    commits
}
