//! The brokers of a cluster: the way in, and a lane to each that is asked. Which are dialled, and which may be asked now.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::mpsc;

use super::{
    limits::MOST_BROKERS,
    node::{Claim, Node},
};
use crate::{
    kafka::{
        Address, Budget,
        connection::Deadlines,
        lane::{Credential, Lane},
        question::{Ask, Done, LaneId},
    },
    snapshot::{ClusterKey, Trouble},
};

/// The parts of a lane.
pub(super) struct Dialling {
    pub(super) key: ClusterKey,
    pub(super) credential: Credential,
    pub(super) deadlines: Deadlines,
    pub(super) budget: Budget,
    /// Where lanes report.
    pub(super) done: mpsc::UnboundedSender<Done>,
}

/// The brokers of one cluster.
pub(super) struct Brokers {
    dialling: Dialling,
    serial: u64,
    /// The way in; made at the first question.
    pub(super) seed: Option<Node>,
    pub(super) nodes: HashMap<i32, Node>,
    pub(super) addresses: BTreeMap<i32, Address>,
    /// Until when commits are waited for before the ends of those that are there are asked for.
    pub(super) gathering: Option<Instant>,
}

impl Brokers {
    pub(super) fn new(dialling: Dialling) -> Self {
        Self {
            dialling,
            serial: 0,
            seed: None,
            nodes: HashMap::new(),
            addresses: BTreeMap::new(),
            gathering: None,
        }
    }

    /// The way in and every broker.
    pub(super) fn all(&self) -> impl Iterator<Item = &Node> + Clone {
        self.nodes.values().chain(&self.seed)
    }

    /// The way in and every broker, to be changed.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.values_mut().chain(&mut self.seed)
    }

    /// The lane that a question went to.
    pub(super) fn of_lane(&mut self, lane: LaneId) -> Option<&mut Node> {
        match lane {
            LaneId::Seed => self.seed.as_mut(),
            LaneId::Node(id) => self.nodes.get_mut(&id),
        }
    }

    /// A broker that may be asked; else why it may not.
    pub(super) fn node(&mut self, id: i32, now: Instant) -> Result<&mut Node, Trouble> {
        if !self.addresses.contains_key(&id) {
            let text = format!("the cluster names broker {id} but not its address");
            return Err(Trouble::passing(text));
        }
        if !self.nodes.contains_key(&id) {
            if self.nodes.len() >= MOST_BROKERS {
                let text = format!(
                    "the cluster names more than {MOST_BROKERS} brokers, no others are dialled"
                );
                return Err(Trouble::passing(text));
            }
            let node = self.spawn(LaneId::Node(id))?;
            self.nodes.insert(id, node);
        }
        match self.nodes.get_mut(&id) {
            Some(node) => match node.rests(now) {
                Some(trouble) => Err(trouble.clone()),
                None => Ok(node),
            },
            None => Err(Trouble::passing(format!("broker {id} is gone"))),
        }
    }

    /// The way in; else why nobody more is dialled.
    pub(super) fn way_in(&mut self) -> Result<&mut Node, Trouble> {
        let seed = match self.seed.take() {
            Some(seed) => seed,
            None => self.spawn(LaneId::Seed)?,
        };
        Ok(self.seed.insert(seed))
    }

    fn spawn(&self, id: LaneId) -> Result<Node, Trouble> {
        let Dialling {
            key,
            credential,
            deadlines,
            budget,
            done,
        } = &self.dialling;
        let Some(place) = budget.lane() else {
            return Err(Trouble::passing(format!(
                "{key}: no broker more is dialled: the objects of a namespace may use {} connections, and all together no more than the process may have",
                budget.most_lanes()
            )));
        };
        let budget = (budget.clone(), place);
        let lane = Lane::spawn(id, credential.clone(), *deadlines, budget, done.clone());
        Ok(Node::new(lane))
    }

    /// Asks at the way in.
    pub(super) fn ask_way_in(&mut self, ask: Ask) {
        let seeds = self.seeds();
        self.serial += 1;
        if let Some(seed) = &mut self.seed {
            seed.put(self.serial, seeds, ask, Vec::new());
        }
    }

    /// Asks a broker. `claims` come back with the answer.
    pub(super) fn ask(&mut self, id: i32, ask: Ask, claims: Vec<Claim>) {
        if let (Some(node), Some(address)) = (self.nodes.get_mut(&id), self.addresses.get(&id)) {
            self.serial += 1;
            node.put(self.serial, [address.clone()].into(), ask, claims);
        }
    }

    /// Addresses to ask at: those that were written, and with every one of them gone a broker that is known.
    fn seeds(&self) -> Arc<[Address]> {
        let mut seeds: Vec<_> = self.dialling.key.bootstrap.to_vec();
        for address in self.addresses.values() {
            if !seeds.contains(address) {
                seeds.push(address.clone());
            }
        }
        seeds.into()
    }

    /// Learns of a coordinator. Where Metadata lists it, that is where it is.
    pub(super) fn learn(&mut self, id: i32, address: &Address) {
        if self.addresses.len() < MOST_BROKERS {
            let known = self.addresses.entry(id);
            known.or_insert_with(|| address.clone());
        }
    }

    /// Takes those that Metadata lists for all there are, but for `coordinators`: one may be behind a proxy, or on its way out.
    /// Returns the lanes to brokers that are gone.
    pub(super) fn list(
        &mut self,
        mut listed: BTreeMap<i32, Address>,
        is_coordinator: impl Fn(i32) -> bool,
    ) -> Vec<(i32, Node)> {
        let mut unlisted = std::mem::take(&mut self.addresses);
        unlisted.retain(|id, _| !listed.contains_key(id) && is_coordinator(*id));
        let room = MOST_BROKERS.saturating_sub(listed.len());
        listed.extend(unlisted.into_iter().take(room));
        self.addresses = listed;
        let addresses = &self.addresses;
        let gone = self.nodes.extract_if(|id, _| !addresses.contains_key(id));
        gone.collect()
    }

    /// Claims go out once the commits of everybody prompt are there, or after patience.
    pub(super) fn gather(&mut self, now: Instant) {
        let Some(until) = self.gathering else {
            return;
        };
        if until > now && self.nodes.values().any(Node::owes_commits) {
            return;
        }
        self.gathering = None;
        for node in self.nodes.values_mut() {
            let mut gathered = std::mem::take(&mut node.gathered);
            if !node.ready.is_empty() {
                // Claims that a slow broker has not been asked yet are overtaken by newer commits.
                let newer: HashSet<_> = gathered.iter().map(|c| c.group.clone()).collect();
                node.ready.retain(|c| !newer.contains(&c.group));
            }
            node.ready.append(&mut gathered);
        }
    }

    /// Asks no more about a group that waits for its turn.
    pub(super) fn forget(&mut self, group: &str) {
        for node in self.nodes.values_mut() {
            node.forget(group);
        }
    }

    /// Brokers that failed may be asked at once.
    pub(super) fn try_again(&mut self) {
        for node in self.nodes.values_mut().chain(&mut self.seed) {
            node.settle(None, &[], || Duration::ZERO);
        }
    }
}
