//! Descriptions of topics and brokers (Metadata), and what becomes of the brokers that one does not list any more.

use std::sync::Arc;

use super::{cluster::Cluster, known::Stage, node::Node};
use crate::{
    kafka::{requests::Layout, topics::TopicPattern},
    snapshot::Trouble,
};

impl Cluster {
    pub(super) fn take_list(&mut self, patterns: &[TopicPattern], layout: Layout) {
        let names: Vec<Arc<str>> = layout.topics.keys().cloned().collect();
        if self.topics.take_list(patterns, &names) {
            self.forget_topics();
        }
        let left = self.topics.listing.left().iter().cloned();
        self.topics.describe.extend(left);
        self.take_layout(&names, layout);
    }

    pub(super) fn take_layout(&mut self, asked: &[Arc<str>], layout: Layout) {
        let groups = &self.groups.known;
        let is_coordinator = |id| groups.values().any(|g| g.coordinator == Some(id));
        let gone = self.brokers.list(layout.brokers, is_coordinator);
        for (id, node) in gone {
            self.lose_broker(id, node);
        }
        self.topics.take(asked, layout.topics);
        self.claim_held();
    }

    /// A broker that is gone owes nothing any more.
    fn lose_broker(&mut self, id: i32, node: Node) {
        let trouble = Trouble::passing(format!("broker {id} has left the cluster"));
        for claims in [node.ready, node.gathered] {
            self.trouble_claims(claims, &trouble);
        }
        for looks in [node.looks, node.looking] {
            self.look_again(looks);
        }
        if let Some(question) = node.question {
            self.trouble_claims(question.claims, &trouble);
        }
        let lost = self.groups.known.iter();
        let lost = lost.filter(|(_, g)| g.coordinator == Some(id));
        let lost: Vec<_> = lost.map(|(n, g)| (n.clone(), g.stage)).collect();
        for (name, stage) in lost {
            self.groups.lose_coordinator(&name);
            if stage == Stage::Asked {
                self.groups.trouble(&name, &trouble);
            }
        }
    }
}
