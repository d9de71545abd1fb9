//! What the objects ask of Kafka, added up group by group: a change of one object changes what is asked of its own groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{index::Index, work::ObjectKey};
use crate::{
    kafka::Security,
    poll::{ClusterKey, GroupDemand, Manager, Picture},
    scaling::{Plan, Source, known, remembered_topics},
};

type Place = (ClusterKey, Arc<str>);

/// Who asks what.
#[derive(Default)]
pub(super) struct Asked {
    askers: BTreeMap<Place, BTreeMap<ObjectKey, GroupDemand>>,
    places: Index<Place>,
    clusters: Index<ClusterKey>,
    /// Clusters with the present value of somebody's credential: the others are not dialled.
    present: Index<ClusterKey>,
    /// Places that a former value of the same credential still reads for somebody.
    renewing: Index<Place>,
}

/// What an object asks of a place.
struct Ask<'a> {
    demand: GroupDemand,
    /// `None`: only what is connected already is asked.
    security: Option<&'a Security>,
    former: Option<&'a ClusterKey>,
}

impl Asked {
    /// Replaces what an object asks by what `plan` says, nothing without one.
    pub(super) fn set(
        &mut self,
        key: &ObjectKey,
        plan: Option<&Plan>,
        pictures: &BTreeMap<ClusterKey, Arc<Picture>>,
        manager: &mut Manager,
    ) {
        let wanted = wanted(plan);
        let before = self.places.things(key);
        let places: BTreeSet<Place> = wanted.keys().cloned().collect();
        let cluster = |place: &Place| place.0.clone();
        self.clusters.set(key, places.iter().map(cluster).collect());
        let present = wanted.iter().filter(|(_, ask)| ask.security.is_some());
        let present: BTreeSet<_> = present.map(|(place, _)| cluster(place)).collect();
        let replaced = self.present.things(key);
        self.present.set(key, present);
        let renewing = wanted.iter().filter(|(_, ask)| ask.former.is_some());
        let renewing: BTreeSet<_> = renewing.map(|(place, _)| place.clone()).collect();
        let renewed = self.renewing.things(key);
        self.renewing.set(key, renewing);
        // What is new first: a cluster that stays in use is not left for a moment.
        for (place, ask) in wanted {
            let askers = self.askers.entry(place.clone()).or_default();
            if askers.get(key) != Some(&ask.demand) {
                askers.insert(key.clone(), ask.demand);
                let total = total(askers);
                let history = ask.former.and_then(|f| known(pictures, f, &place.1));
                match ask.security {
                    Some(security) => {
                        manager.ask(&place.0, &place.1, total, security, history.cloned());
                    }
                    None => manager.change(&place.0, &place.1, total),
                }
            }
            if let Some(security) = ask.security {
                manager.restore(&place.0, security);
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
        for cluster in replaced.iter().filter(|c| !self.present.knows(c)) {
            manager.retire(cluster);
        }
        for place in renewed.iter().filter(|p| !self.renewing.knows(p)) {
            manager.drop_history(&place.0, &place.1);
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

/// What a plan asks, by place.
fn wanted(plan: Option<&Plan>) -> BTreeMap<Place, Ask<'_>> {
    let mut wanted: BTreeMap<Place, Ask<'_>> = BTreeMap::new();
    let sources = plan.into_iter().filter(|p| p.problem.is_none());
    for (source, plan) in sources.flat_map(|p| p.triggers.iter().map(move |t| (&t.source, p))) {
        let Ok(Source::Kafka {
            kafka,
            cluster,
            former,
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
        if kafka.topics.are_all() {
            let remembered = remembered_topics(plan, kafka, metric);
            demand.topics.extend(remembered);
        }
        let asks = [
            Some((cluster, Some(&kafka.security), former.as_ref())),
            former.as_ref().map(|former| (former, None, None)),
        ];
        for (cluster, security, former) in asks.into_iter().flatten() {
            let place = (cluster.clone(), kafka.group.clone());
            let ask = wanted.entry(place).or_insert_with(|| Ask {
                demand: demand.clone(),
                security: None,
                former: None,
            });
            ask.demand.add(&demand);
            ask.security = ask.security.or(security);
            ask.former = ask.former.or(former);
        }
    }
    wanted
}

fn total(askers: &BTreeMap<ObjectKey, GroupDemand>) -> Option<GroupDemand> {
    let mut demands = askers.values();
    let mut total = demands.next()?.clone();
    demands.for_each(|demand| total.add(demand));
    Some(total)
}
