//! The times at which there is something to do although nothing comes in, and at which the snapshot is published.

use crate::snapshot::{Changed, Snapshot, Trouble};
use std::{sync::Arc, time::Instant};

use super::{
    cluster::{Cluster, LATE},
    node::Node,
};

impl Cluster {
    /// When there is something to do although nothing comes in.
    pub(super) fn wake(&self, now: Instant) -> Instant {
        let patience = self.timing.patience;
        let nodes = self.nodes.values().chain(&self.seed);
        let questions = nodes.clone().filter_map(|n| {
            let question = n.question.as_ref()?;
            let late = question.asked_at + patience * LATE;
            let slow = question.asked_at + patience;
            [slow, late].into_iter().find(|at| *at > now)
        });
        let rests = nodes.filter_map(|n| n.rest.as_ref().map(|(until, _)| *until));
        let others = [
            self.demand_due,
            self.next_due,
            self.stale_due,
            Some(self.layout_due),
            self.gathering,
            self.dirty.map(|since| since + patience),
        ];
        // What is due already waits for a lane, whose answer wakes us.
        let all = questions.chain(rests).chain(others.into_iter().flatten());
        all.filter(|at| *at > now)
            .min()
            .unwrap_or(now + self.timing.layout_every)
    }

    /// Says of what a broker owes for too long that it is missing; the last pairs stand.
    pub(super) fn tell_late(&mut self, now: Instant) {
        let late = self.timing.patience * LATE;
        let mut missing = Vec::new();
        for node in self.nodes.values_mut() {
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
            self.trouble_pair(&group, &topic, id, Trouble::passing(text));
        }
    }

    /// Once a tick: when nobody who is prompt still owes an answer, or after patience.
    pub(super) fn is_to_be_published(&self, now: Instant) -> bool {
        let Some(since) = self.dirty else {
            return false;
        };
        since + self.timing.patience <= now || !self.nodes.values().any(Node::owes)
    }

    pub(super) fn publish(&mut self) -> Result<(), ()> {
        self.dirty = None;
        let topics = self.topics.iter().filter(|(_, t)| t.is_seen());
        let groups = self.groups.iter();
        let mut snapshot = Snapshot {
            topics: topics
                .map(|(n, t)| (n.clone(), t.snapshot.clone()))
                .collect(),
            groups: groups
                .map(|(n, g)| (n.clone(), g.snapshot.clone()))
                .collect(),
            trouble: self.trouble.clone(),
            listing: self.listing.state(),
            listed: self.listing.topics.clone(),
            changed: Changed::Everything,
        };
        if let Some(before) = &self.published {
            snapshot.changed = snapshot.changed_since(before);
        }
        let snapshot = Arc::new(snapshot);
        self.published = Some(snapshot.clone());
        let news = (self.key.clone(), snapshot);
        self.snapshots.send(news).map_err(drop)
    }
}
