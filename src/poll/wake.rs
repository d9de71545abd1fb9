//! The times at which there is something to do although nothing comes in, and at which the snapshot is published.

use std::time::Instant;

use super::{
    cluster::{Cluster, LATE},
    node::Node,
};
use crate::snapshot::{Changed, Snapshot, Trouble};

impl Cluster {
    /// When there is something to do although nothing comes in.
    pub(super) fn wake(&self, now: Instant) -> Instant {
        let patience = self.timing.patience;
        let questions = self.brokers.all().filter_map(|n| {
            let question = n.question.as_ref()?;
            let late = question.asked_at + patience * LATE;
            let slow = question.asked_at + patience;
            [slow, late].into_iter().find(|at| *at > now)
        });
        let rests = self.brokers.all();
        let rests = rests.filter_map(|n| n.rest.as_ref().map(|(until, _)| *until));
        let others = [
            self.demand_due,
            self.groups.next_due,
            self.topics.stale_due,
            Some(self.topics.due),
            self.brokers.gathering,
            self.publisher.due(patience),
        ];
        // A lane that is busy is waited for: its answer wakes us.
        let all = questions.chain(rests).chain(others.into_iter().flatten());
        all.filter(|at| *at > now)
            .min()
            .unwrap_or(now + self.timing.layout_every)
    }

    /// Says of what a broker owes for too long that it is missing; the last pairs stand.
    pub(super) fn tell_late(&mut self, now: Instant) {
        let late = self.timing.patience * LATE;
        let mut missing = Vec::new();
        for node in self.brokers.all_mut() {
            let Some(question) = &mut node.question else {
                continue;
            };
            node.prompt &= question.asked_at + self.timing.patience > now;
            if !question.told && question.asked_at + late <= now {
                question.told = true;
                let claims = question.claims.iter();
                missing.extend(claims.map(|c| (c.group.clone(), c.topic.clone(), c.id)));
            }
        }
        for (group, topic, id) in missing {
            let text = format!("topic {topic} partition {id}: its leader has not answered yet");
            self.groups
                .trouble_pair(&group, &topic, id, Trouble::passing(text));
        }
    }

    /// Once a tick: when nobody who is prompt still owes an answer, or after patience; in a large cluster not more often than it can
    /// bear.
    pub(super) fn is_to_be_published(&self, now: Instant) -> bool {
        let Some(due) = self.publisher.due(self.timing.patience) else {
            return false;
        };
        let may = self.publisher.has_rested(now);
        due <= now || may && !self.brokers.all().any(Node::owes)
    }

    pub(super) fn publish(&mut self) -> Result<(), ()> {
        let begun = Instant::now();
        let groups = self.groups.known.iter();
        let listing = &self.topics.listing;
        let snapshot = Snapshot {
            topics: self.topics.snapshot(),
            groups: groups
                .map(|(n, g)| (n.clone(), g.snapshot.clone()))
                .collect(),
            trouble: self.trouble.clone(),
            listing: listing.state(),
            listed: listing.topics.clone(),
            changed: Changed::Everything,
        };
        self.publisher.publish(snapshot, begun)
    }
}
