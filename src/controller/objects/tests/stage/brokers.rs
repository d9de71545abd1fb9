//! Brokers that are read when a test says so.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::Stage;
use crate::{
    controller::objects::{Change, demand::Order},
    lag::{Reading, Track},
    snapshot::{Changed, GroupSnapshot, Slot, Snapshot, TopicSnapshot, Trouble},
};

impl Stage {
    /// Brokers tell this of group `g`, whoever asks; the next reads bring it again.
    pub fn read(&mut self, pairs: &[(i64, i64)]) {
        self.read_group("g", pairs);
    }

    pub fn read_group(&mut self, group: &str, pairs: &[(i64, i64)]) {
        self.groups.insert(group.to_owned(), pairs.to_vec());
        self.sample_of(|name| name == group);
    }

    /// The next readings bring this of a group.
    pub fn expect_group(&mut self, group: &str, pairs: &[(i64, i64)]) {
        self.groups.insert(group.to_owned(), pairs.to_vec());
    }

    /// Every group is read once more.
    pub fn sample(&mut self) {
        self.sample_of(|_| true);
    }

    fn sample_of(&mut self, is_read: impl Fn(&str) -> bool) {
        let changes = self.readings(is_read);
        self.settle(changes);
    }

    /// `true` while anybody wants this group read.
    pub fn asks(&self, group: &str) -> bool {
        self.asked
            .values()
            .any(|(groups, _)| groups.contains(group))
    }

    /// The snapshots that tell of another reading of some groups.
    pub fn readings(&mut self, is_read: impl Fn(&str) -> bool) -> Vec<Change> {
        self.reads += 1;
        let known: Vec<_> = self
            .asked
            .iter()
            .map(|(key, (groups, _))| (key.clone(), groups.clone()))
            .collect();
        let changes = known.into_iter().filter_map(|(key, groups)| {
            let read: Vec<_> = self
                .groups
                .iter()
                .filter(|(name, _)| groups.contains(*name))
                .collect();
            let mut snapshot = self.snapshot(&read);
            let changed = read
                .iter()
                .map(|(name, _)| name.as_str())
                .filter(|name| is_read(name));
            let changed: Vec<Arc<str>> = changed.map(Into::into).collect();
            (!changed.is_empty()).then(|| {
                snapshot.changed = Changed::Groups(changed);
                Change::Snapshot(key, snapshot.into())
            })
        });
        changes.collect()
    }

    /// Nothing could be read of any group, for this reason.
    pub fn outage(&mut self, text: &str) {
        let known: Vec<_> = self
            .asked
            .iter()
            .map(|(key, (groups, _))| (key.clone(), groups.clone()))
            .collect();
        let trouble = Trouble::passing(text);
        let changes = known.into_iter().map(|(key, groups)| {
            let group = |name: String| {
                let snapshot = GroupSnapshot {
                    trouble: Some(trouble.clone()),
                    polled: true,
                    ..GroupSnapshot::default()
                };
                (name.as_str().into(), Arc::new(snapshot))
            };
            let snapshot = Snapshot {
                groups: groups.into_iter().map(group).collect(),
                trouble: Some(trouble.clone()),
                ..Snapshot::default()
            };
            Change::Snapshot(key, snapshot.into())
        });
        let changes = changes.collect();
        self.groups.clear();
        self.settle(changes);
    }

    fn snapshot(&self, read: &[(&String, &Vec<(i64, i64)>)]) -> Snapshot {
        let most = read.iter().map(|(_, pairs)| pairs.len()).max().unwrap_or(0);
        let ids: Arc<[i32]> = (0..i32::try_from(most).unwrap()).collect();
        let groups = read.iter().map(|(name, pairs)| {
            let slots = (0..).zip(pairs.iter()).map(|(id, (committed, end))| {
                let track = Track::begin(Reading {
                    committed: Some(*committed),
                    end: *end,
                    start: Some(0),
                    topic_id: Some([7; 16]),
                    stable: None,
                    leader_epoch: None,
                    at: self.now,
                });
                (
                    id,
                    Slot {
                        track: Some(track),
                        ..Slot::default()
                    },
                )
            });
            let group = GroupSnapshot {
                topics: [("t".into(), slots.collect())].into_iter().collect(),
                read: Some(self.now),
                all: true,
                polled: true,
                ..GroupSnapshot::default()
            };
            (name.as_str().into(), Arc::new(group))
        });
        let topic = TopicSnapshot {
            partitions: ids,
            reads: self.reads,
            ..TopicSnapshot::default()
        };
        Snapshot {
            topics: HashMap::from([("t".into(), topic)]),
            groups: groups.collect(),
            ..Snapshot::default()
        }
    }

    pub(super) fn poll(&mut self, order: Order) {
        match order {
            Order::Ask {
                place: (cluster, group),
                ..
            } => {
                let asked = self
                    .asked
                    .entry(cluster)
                    .or_insert_with(|| (BTreeSet::new(), true));
                asked.0.insert(group.to_string());
            }
            Order::Change((cluster, group), None) => {
                let (groups, _) = self.asked.get_mut(&cluster).unwrap();
                groups.remove(&*group);
                if groups.is_empty() {
                    self.asked.remove(&cluster);
                }
            }
            Order::Change(..) | Order::DropHistory(_) => {}
            Order::Retire(cluster) => self.asked.get_mut(&cluster).unwrap().1 = false,
            Order::Restore(cluster, _) => self.asked.get_mut(&cluster).unwrap().1 = true,
        }
    }
}
