//! Answers and the changes they bring. Every code is looked at on its own level; what an answer leaves out is unknown, never zero.

use std::sync::Arc;

use kafka_protocol::ResponseError;

use super::{
    cluster::Cluster,
    known::Held,
    limits::MOST_BROKERS,
    words::{NAME_A_TOPIC, group_trouble},
};
use crate::{
    kafka::{
        Cause, Error,
        question::{Answer, Ask, Done, LaneId},
        requests::{CommitsOf, Coordinators, Fetched},
    },
    lag::Moment,
    snapshot::{ClusterKey, Trouble},
};

impl Cluster {
    pub(super) fn absorb(&mut self, done: Done) {
        let patience = self.timing.patience;
        let way_in = done.lane == LaneId::Seed;
        let Some(node) = self.brokers.of_lane(done.lane) else {
            return;
        };
        let Some(question) = node.finish(&done, patience) else {
            return;
        };
        let mut looking = std::mem::take(&mut node.looking);
        if matches!((&done.ask, &done.result), (Ask::Tails { .. }, Err(_))) {
            // Each Fetch that waits behind would cost a dial of its own.
            looking.append(&mut node.looks);
        }
        let trouble = trouble_of(&self.key, &done);
        if !done.left.is_empty() {
            node.batches.push_front(done.left);
        }
        let followed = trouble.is_none();
        let every = || self.groups.every().unwrap_or(patience);
        // A Fetch that failed does not even say that the broker is well again.
        if !matches!((&done.ask, &done.result), (Ask::Tails { .. }, Err(_))) {
            let retries = self.timing.retries;
            let retries = if way_in { &retries[..] } else { &[] };
            node.settle(trouble.clone(), retries, every);
        }
        if way_in {
            self.way_in(trouble.clone());
        }
        // Too much at once says nothing of the broker.
        let large =
            matches!(&done.result, Err(error) if matches!(error.cause, Cause::TooLarge { .. }));
        let failed = match (done.lane, trouble) {
            (LaneId::Node(id), Some(trouble)) if !large => Some((id, trouble)),
            _ => None,
        };
        match (done.ask, done.result) {
            (Ask::Layout(asked), Ok(Answer::Layout(layout))) if followed => {
                self.take_layout(&asked, layout);
            }
            (Ask::Layout(asked), Err(error)) if large => {
                self.topics.ask_less(asked, &Trouble::from(&error));
            }
            (Ask::Layout(asked), _) => self.topics.describe.extend(asked),
            (Ask::Listing(patterns), Ok(Answer::Layout(layout))) if followed => {
                self.take_list(&patterns, layout);
            }
            (Ask::Listing(_), Err(error)) => {
                self.topics.changed = true;
                self.topics.listing.fail(Trouble::from(&error), !followed);
            }
            (Ask::Listing(_), Ok(_)) => self.topics.listing.renew(),
            (Ask::Coordinators(asked), Ok(Answer::Coordinators(found))) => {
                self.take_coordinators(&asked, &found);
            }
            (Ask::Coordinators(asked), Err(error)) => {
                let trouble = Trouble::from(&error);
                for name in &asked {
                    self.groups.trouble(name, &trouble);
                }
            }
            (Ask::Commits(asked), Ok(Answer::Commits(commits))) => {
                self.take_commits(asked, commits, done.ended);
            }
            (Ask::Commits(asked), Err(error)) => {
                let trouble = if hung_up_on_all_topics(&asked, &error) {
                    let address = &error.address;
                    Trouble::passing(format!("{address}: {}{NAME_A_TOPIC}", Cause::Closed))
                } else {
                    Trouble::from(&error)
                };
                self.lose_commits(&asked, &trouble, large);
            }
            (
                Ask::Ends { ends: asked, .. },
                Ok(Answer::Ends {
                    ends,
                    starts,
                    stable,
                }),
            ) => {
                self.take_ends(&asked, question.claims, &ends, &starts, &stable);
            }
            (Ask::Ends { .. }, Err(error)) => {
                self.trouble_claims(question.claims, &Trouble::from(&error));
            }
            (Ask::Tails { .. }, Ok(Answer::Tails(tails))) => self.take_tails(looking, &Ok(tails)),
            (Ask::Tails { .. }, Err(error)) => self.take_tails(looking, &Err(error)),
            // An answer is always of its question's kind.
            (
                Ask::Coordinators(_) | Ask::Commits(_) | Ask::Ends { .. } | Ask::Tails { .. },
                Ok(_),
            ) => {}
        }
        if let Some((id, trouble)) = failed {
            self.fail_rest(id, &trouble);
        }
    }

    fn lose_commits(&mut self, asked: &[CommitsOf], trouble: &Trouble, large: bool) {
        for of in asked {
            if large && let Some(group) = self.groups.get_mut(&of.group) {
                group.alone = true;
            }
            self.groups.lose_coordinator(&of.group);
            self.groups.trouble(&of.group, trouble);
        }
    }

    /// Everything that waits for a broker in trouble shares it: each further question would cost another dial, or its patience.
    fn fail_rest(&mut self, id: i32, trouble: &Trouble) {
        let Some(node) = self.brokers.nodes.get_mut(&id) else {
            return;
        };
        let due = node.take_commits();
        let claims = [&mut node.ready, &mut node.gathered].map(std::mem::take);
        self.lose_commits(&due, trouble, false);
        for claims in claims {
            self.trouble_claims(claims, trouble);
        }
    }

    /// How the way in is. A cluster that refuses us is left alone as a whole, less and less often asked.
    pub(super) fn way_in(&mut self, trouble: Option<Trouble>) {
        self.groups.changed |= self.trouble != trouble;
        self.trouble = trouble;
        if self.trouble.is_some() {
            self.groups.give_up_waiting();
        }
        let Some(trouble) = &self.trouble else {
            return;
        };
        let rest = self.brokers.seed.as_ref().and_then(|s| s.rest.as_ref());
        if let (true, Some((until, _))) = (trouble.configuration, rest) {
            // Those whose coordinator is known are asked there, as long as its connection serves.
            let lost = self.groups.known.values_mut();
            for group in lost.filter(|g| g.coordinator.is_none()) {
                group.due = group.due.max(*until);
            }
        }
    }

    fn take_coordinators(&mut self, asked: &[Arc<str>], found: &Coordinators) {
        for name in asked {
            let trouble = match found.get(name) {
                Some(Ok((node, address))) => {
                    self.brokers.learn(*node, address);
                    self.groups.find_coordinator(name, *node);
                    continue;
                }
                Some(Err(code)) => group_trouble(name, *code),
                None => Trouble::passing(format!(
                    "group {name}: the broker left it out of its answer"
                )),
            };
            self.groups.trouble(name, &trouble);
        }
    }

    fn take_commits(&mut self, asked: Vec<CommitsOf>, mut found: Fetched, read: Moment) {
        self.groups.changed = true;
        for of in asked {
            let CommitsOf {
                group, partitions, ..
            } = of;
            if let (Some(topics), Some(known)) =
                (found.hidden.remove(&group), self.groups.get_mut(&group))
            {
                known.hidden = topics.first().cloned();
                self.topics.describe.extend(known.hidden.clone());
            }
            let trouble = match found.commits.remove(&group) {
                Some(Ok(topics)) => {
                    self.take_group(&group, partitions.as_deref(), topics, read);
                    continue;
                }
                Some(Err(code)) => {
                    // It moves, or is loading what it got just now.
                    if matches!(
                        code,
                        ResponseError::NotCoordinator
                            | ResponseError::CoordinatorNotAvailable
                            | ResponseError::CoordinatorLoadInProgress
                    ) {
                        self.groups.lose_coordinator(&group);
                    }
                    group_trouble(&group, code)
                }
                None => Trouble::passing(format!(
                    "group {group}: its coordinator left it out of its answer"
                )),
            };
            self.groups.trouble(&group, &trouble);
        }
    }

    /// Commits whose topics have been described meanwhile.
    pub(super) fn claim_held(&mut self) {
        for name in std::mem::take(&mut self.groups.holding) {
            let held = self.groups.get_mut(&name).and_then(|g| g.held.take());
            if let Some(Held {
                commits,
                topics,
                read,
            }) = held
            {
                self.claim(&name, topics, commits, read);
            }
        }
    }
}

/// The trouble with a broker that an answer tells of, for everybody who asks there.
fn trouble_of(key: &ClusterKey, done: &Done) -> Option<Trouble> {
    match &done.result {
        // An answer that is too large is nobody else's trouble.
        Err(error) if matches!(error.cause, Cause::TooLarge { .. }) && about_topics(&done.ask) => {
            None
        }
        // Nor is what a Fetch came to: nobody else needs one.
        Err(_) if matches!(done.ask, Ask::Tails { .. }) => None,
        Err(error) if matches!(&done.ask, Ask::Commits(asked) if hung_up_on_all_topics(asked, error)) => {
            None
        }
        Err(error) => Some(Trouble::from(error)),
        Ok(Answer::Layout(layout)) if layout.brokers.len() > MOST_BROKERS => {
            Some(Trouble::passing(format!(
                "{key}: it names more than the {MOST_BROKERS} brokers that are followed"
            )))
        }
        Ok(_) => None,
    }
}

/// A broker that can't tell every topic of a group may say so by hanging up. One that is gone does not answer the next
/// question either.
fn hung_up_on_all_topics(asked: &[CommitsOf], error: &Error) -> bool {
    matches!(error.cause, Cause::Closed | Cause::WantsSasl)
        && asked.iter().all(|of| of.partitions.is_none())
}

fn about_topics(ask: &Ask) -> bool {
    matches!(ask, Ask::Layout(_) | Ask::Listing(_))
}
