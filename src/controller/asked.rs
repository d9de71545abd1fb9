//! What the objects ask of Kafka, added up group by group: a change of one object changes what is asked of its own groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{index::Index, work::ObjectKey};
use crate::{
    kafka::Security,
    lag::Isolation,
    poll::{ClusterKey, GroupDemand, Manager},
    scaling::{Plan, Source, remembered_topics},
};

type Place = (ClusterKey, Arc<str>);

/// Who asks what.
#[derive(Default)]
pub(super) struct Asked {
    askers: BTreeMap<Place, BTreeMap<ObjectKey, GroupDemand>>,
    places: Index<Place>,
    clusters: Index<ClusterKey>,
}

impl Asked {
    /// Replaces what an object asks by what `plan` says, nothing without one.
    pub(super) fn set(&mut self, key: &ObjectKey, plan: Option<&Plan>, manager: &mut Manager) {
        let before = self.places.things(key);
        let mut wanted: BTreeMap<Place, (GroupDemand, &Security)> = BTreeMap::new();
        let sources = plan.into_iter().filter(|p| p.problem.is_none());
        for (source, plan) in sources.flat_map(|p| p.triggers.iter().map(move |t| (&t.source, p))) {
            let Ok(Source::Kafka {
                kafka,
                cluster,
                metric,
                ..
            }) = source
            else {
                continue;
            };
            if kafka.withheld.is_some() {
                continue;
            }
            let mut demand = GroupDemand::new(&kafka.topics, plan.sample_interval());
            demand.stable = kafka.isolation == Isolation::ReadCommitted;
            if kafka.topics.are_all() {
                let remembered = remembered_topics(plan, kafka, metric);
                demand.topics.extend(remembered);
            }
            wanted
                .entry((cluster.clone(), kafka.group.clone()))
                .and_modify(|(known, _)| known.add(&demand))
                .or_insert((demand, &kafka.security));
        }
        let places: BTreeSet<Place> = wanted.keys().cloned().collect();
        let clusters = places.iter().map(|(cluster, _)| cluster.clone());
        self.clusters.set(key, clusters.collect());
        // What is new first: a cluster that stays in use is not left for a moment.
        for (place, (demand, security)) in wanted {
            let askers = self.askers.entry(place.clone()).or_default();
            if askers.get(key) != Some(&demand) {
                askers.insert(key.clone(), demand);
                let total = total(askers);
                manager.ask(&place.0, &place.1, total, security);
            }
        }
        for place in before.difference(&places) {
            if let Some(askers) = self.askers.get_mut(place) {
                askers.remove(key);
                manager.change(&place.0, &place.1, total(askers));
                if askers.is_empty() {
                    self.askers.remove(place);
                }
            }
        }
        self.places.set(key, places);
    }

    /// The objects that ask something of a cluster.
    pub(super) fn of(&self, cluster: &ClusterKey) -> impl Iterator<Item = &ObjectKey> {
        self.clusters.of(cluster)
    }

    /// Whether anything is asked of it.
    pub(super) fn knows(&self, cluster: &ClusterKey) -> bool {
        self.clusters.knows(cluster)
    }
}

fn total(askers: &BTreeMap<ObjectKey, GroupDemand>) -> Option<GroupDemand> {
    let mut demands = askers.values();
    let mut total = demands.next()?.clone();
    demands.for_each(|demand| total.add(demand));
    Some(total)
}
