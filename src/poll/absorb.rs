//! What an answer changes. Every code is looked at on its own level; what an answer leaves out is unknown, never zero.

use std::{sync::Arc, time::Instant};

use kafka_protocol::ResponseError;

use super::{
    cluster::{Cluster, Commits, End, Group, Topic},
    picture::Trouble,
};
use crate::kafka::{
    Error,
    error::code_name,
    lane::{Answer, Ask, Done, LaneId},
    requests::{CommitsOf, Coordinators, GroupCommits, Layout, Offsets, Partitions},
};

/// As KEDA begins what it says of a topic, and of a group's commits.
const DESCRIBING: &str = "error describing topics";
const LISTING: &str = "error listing consumer group offsets";

impl Cluster {
    pub(super) fn absorb(&mut self, done: Done) {
        if let Some(lane) = self.lanes.get_mut(&done.lane) {
            lane.finished();
        }
        if done.lane == LaneId::Seed {
            self.trouble = done.result.as_ref().err().map(Trouble::from);
        }
        match (done.ask, done.result) {
            (Ask::Layout(asked), Ok(Answer::Layout(layout))) => self.take_layout(&asked, layout),
            (Ask::Layout(_), _) => self.stale = true,
            (Ask::Coordinators(asked), Ok(Answer::Coordinators(found))) => {
                self.take_coordinators(&asked, &found);
            }
            (Ask::Coordinators(asked), Err(error)) => self.trouble_groups(asked.iter(), &error),
            (Ask::Commits(asked), Ok(Answer::Commits(commits))) => {
                self.take_commits(asked, commits, done.ended);
            }
            (Ask::Commits(asked), Err(error)) => {
                self.trouble_groups(asked.iter().map(|a| &a.group), &error);
                for CommitsOf { group, .. } in asked {
                    if let Some(group) = self.groups.get_mut(&group) {
                        group.coordinator = None;
                    }
                }
            }
            (Ask::Ends { ends: asked, .. }, Ok(Answer::Ends { ends, starts })) => {
                self.take_ends(&asked, ends, &starts, done.began);
            }
            (Ask::Ends { ends: asked, .. }, Err(error)) => {
                self.stale = true;
                self.trouble_ends(&asked, &Trouble::from(&error), done.began);
            }
            // An answer is always of its question's kind.
            (Ask::Coordinators(_) | Ask::Commits(_) | Ask::Ends { .. }, Ok(_)) => {}
        }
    }

    fn take_layout(&mut self, asked: &[Arc<str>], mut layout: Layout) {
        self.stale = false;
        self.layout_at = Some(Instant::now());
        self.brokers = layout.brokers;
        let brokers = &self.brokers;
        self.lanes.retain(|id, _| match id {
            LaneId::Seed => true,
            LaneId::Node(node) => brokers.contains_key(node),
        });
        for name in asked {
            let topic = self.topics.entry(name.clone()).or_default();
            match layout.topics.remove(name) {
                Some(Ok(found)) => {
                    let known = topic.layout.as_ref().and_then(|l| l.id);
                    if known.is_some() && found.id != known {
                        *topic = Topic::default();
                    }
                    self.stale |= found.partitions.values().any(|p| p.leader.is_none());
                    topic.reads += 1;
                    topic.trouble = None;
                    topic.gone = false;
                    topic.layout = Some(found);
                }
                Some(Err(code)) => {
                    self.stale |= code.is_retriable();
                    topic.gone = code == ResponseError::UnknownTopicOrPartition;
                    topic.trouble = Some(topic_trouble(name, code));
                }
                None => {
                    self.stale = true;
                    let text = format!("topic {name}: the broker left it out of its answer");
                    topic.trouble = Some(Trouble::passing(text));
                }
            }
        }
    }

    fn take_coordinators(&mut self, asked: &[Arc<str>], found: &Coordinators) {
        for name in asked {
            let Some(group) = self.groups.get_mut(name) else {
                continue;
            };
            match found.get(name) {
                Some(Ok((node, address))) => {
                    group.coordinator = Some(*node);
                    self.brokers.insert(*node, address.clone());
                }
                Some(Err(code)) => group.suffer(group_trouble(name, *code)),
                None => group.suffer(Trouble::passing(format!(
                    "group {name}: the broker left it out of its answer"
                ))),
            }
        }
    }

    fn take_commits(
        &mut self,
        asked: Vec<CommitsOf>,
        mut commits: GroupCommits,
        read: crate::lag::Moment,
    ) {
        for CommitsOf { group, partitions } in asked {
            let name = group;
            let Some(group) = self.groups.get_mut(&name) else {
                continue;
            };
            match commits.remove(&name) {
                Some(Ok(topics)) => {
                    group.trouble = None;
                    group.dirty = true;
                    group.read = Some(read);
                    // A question may begin with a dial, and its end is taken up within a step of a tick.
                    let deadlines = self.timing.deadlines;
                    let longest = deadlines.dial + deadlines.call + self.timing.patience;
                    let waits = |c: &Commits| c.read.at.elapsed() <= longest;
                    if !group.earlier.as_ref().is_some_and(waits) {
                        group.earlier = group.commits.take();
                    }
                    group.commits = Some(Commits {
                        topics,
                        asked: partitions,
                        read,
                    });
                }
                Some(Err(code)) => {
                    if matches!(
                        code,
                        ResponseError::NotCoordinator | ResponseError::CoordinatorNotAvailable
                    ) {
                        group.coordinator = None;
                    }
                    group.suffer(group_trouble(&name, code));
                }
                None => group.suffer(Trouble::passing(format!(
                    "group {name}: its coordinator left it out of its answer"
                ))),
            }
        }
    }

    fn take_ends(
        &mut self,
        asked: &Partitions,
        mut ends: Offsets,
        starts: &Offsets,
        began: Instant,
    ) {
        for (name, ids) in asked {
            let Some(topic) = self.topics.get_mut(name) else {
                continue;
            };
            for (id, start) in starts.get(name).into_iter().flatten() {
                if let Ok(start) = start {
                    topic.starts.insert(*id, start.offset);
                }
            }
            let mut found = ends.remove(name).unwrap_or_default();
            for id in ids {
                let offset = match found.remove(id) {
                    Some(Ok(offset)) => Ok(offset),
                    Some(Err(code)) => {
                        self.stale |= code.is_retriable();
                        Err(partition_trouble(name, *id, code))
                    }
                    None => Err(Trouble::passing(format!(
                        "topic {name} partition {id}: its leader left it out of its answer"
                    ))),
                };
                topic.ends.insert(*id, End { offset, began });
            }
        }
    }

    fn trouble_groups<'a>(&mut self, names: impl Iterator<Item = &'a Arc<str>>, error: &Error) {
        let trouble = Trouble::from(error);
        for name in names {
            self.trouble_group(name, trouble.clone());
        }
    }

    pub(super) fn trouble_group(&mut self, name: &Arc<str>, trouble: Trouble) {
        if let Some(group) = self.groups.get_mut(name) {
            group.suffer(trouble);
        }
    }

    pub(super) fn trouble_ends(&mut self, asked: &Partitions, trouble: &Trouble, began: Instant) {
        for (name, ids) in asked {
            let Some(topic) = self.topics.get_mut(name) else {
                continue;
            };
            for id in ids {
                let offset = Err(trouble.clone());
                topic.ends.insert(*id, End { offset, began });
            }
        }
    }
}

impl Group {
    fn suffer(&mut self, trouble: Trouble) {
        self.trouble = Some(trouble);
        self.dirty = true;
    }
}

fn topic_trouble(name: &str, code: ResponseError) -> Trouble {
    match code {
        ResponseError::UnknownTopicOrPartition => {
            Trouble::passing(format!("{DESCRIBING}: topic {name} does not exist"))
        }
        ResponseError::TopicAuthorizationFailed => Trouble::configuration(format!(
            "{DESCRIBING}: topic {name}: not authorized (or it does not exist); the user needs Describe on it"
        )),
        ResponseError::InvalidTopicException => Trouble::configuration(format!(
            "{DESCRIBING}: topic {name}: not a valid topic name"
        )),
        code => Trouble::passing(format!("{DESCRIBING}: topic {name}: {}", code_name(code))),
    }
}

pub(super) fn partition_trouble(name: &str, id: i32, code: ResponseError) -> Trouble {
    match code {
        ResponseError::TopicAuthorizationFailed => topic_trouble(name, code),
        code => Trouble::passing(format!("topic {name} partition {id}: {}", code_name(code))),
    }
}

fn group_trouble(name: &str, code: ResponseError) -> Trouble {
    match code {
        ResponseError::GroupAuthorizationFailed => Trouble::configuration(format!(
            "{LISTING}: group {name}: not authorized; the user needs Describe on the group"
        )),
        ResponseError::InvalidGroupId => {
            Trouble::configuration(format!("{LISTING}: group {name}: not a valid group id"))
        }
        code => Trouble::passing(format!("{LISTING}: group {name}: {}", code_name(code))),
    }
}
