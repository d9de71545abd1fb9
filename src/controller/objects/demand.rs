//! The demand of all objects on Kafka, added up group by group: a change of one object changes what is asked of its own groups.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use litemap::LiteMap;

use super::{index::Index, keys::ObjectKey};
use crate::{
    kafka::Security,
    poll::Manager,
    scaling::{Plan, remembered_topics},
    snapshot::{ClusterKey, GroupDemand, GroupSnapshot, Snapshots},
};

type Place = (ClusterKey, Arc<str>);
/// The demand of each object on one place; one, as a rule.
type Askers = LiteMap<ObjectKey, GroupDemand>;

/// A change of what is asked of Kafka.
pub(in crate::controller) enum Order {
    /// Ask this of a group; a cluster that is new is dialled.
    Ask {
        namespace: Arc<str>,
        place: Place,
        demand: GroupDemand,
        security: Security,
        /// The readings by a former value of the credential.
        history: Option<Arc<GroupSnapshot>>,
    },
    /// Ask this of a group over connections that are there; `None`: nothing any more.
    Change(Place, Option<GroupDemand>),
    /// Everything that a former credential knew of a group has been read anew.
    DropHistory(Place),
    /// Dial no more.
    Retire(ClusterKey),
    /// Dial again.
    Restore(ClusterKey, Security),
}

impl Order {
    pub(in crate::controller) fn carry_out(self, manager: &mut Manager) {
        match self {
            Self::Ask {
                namespace,
                place: (cluster, group),
                demand,
                security,
                history,
            } => manager.ask(&namespace, &cluster, &group, demand, &security, history),
            Self::Change((cluster, group), demand) => manager.change(&cluster, &group, demand),
            Self::DropHistory((cluster, group)) => manager.drop_history(&cluster, &group),
            Self::Retire(cluster) => manager.retire(&cluster),
            Self::Restore(cluster, security) => manager.restore(&cluster, &security),
        }
    }
}

/// The demand of each object, by group.
#[derive(Default)]
pub(super) struct Demand {
    askers: BTreeMap<Place, Askers>,
    places: Index<Place>,
    clusters: Index<ClusterKey>,
    /// Clusters used only through a previous credential value; without a current user, no new connection is made.
    former: Index<ClusterKey>,
    /// Places that a former value of the same credential still reads for somebody.
    renewing: Index<Place>,
    /// Clusters that are not dialled any more.
    retired: BTreeSet<ClusterKey>,
}

/// One object's demand on a place.
struct Ask<'a> {
    demand: GroupDemand,
    /// `None`: only what is connected already is asked.
    security: Option<&'a Security>,
    former: Option<&'a ClusterKey>,
}

impl Demand {
    /// Replaces what an object asks by what `plan` says, nothing without one.
    pub(super) fn set(
        &mut self,
        key: &ObjectKey,
        plan: Option<&Plan>,
        snapshots: &Snapshots,
    ) -> Vec<Order> {
        let mut orders = Vec::new();
        let wanted = wanted(plan);
        let before = self.places.things(key);
        let places: BTreeSet<Place> = wanted.keys().cloned().collect();
        let cluster = |place: &Place| place.0.clone();
        let clusters_before = self.clusters.things(key);
        self.clusters.set(key, places.iter().map(cluster).collect());
        let present = wanted.iter().filter(|(_, ask)| ask.security.is_some());
        let present: BTreeSet<_> = present.map(|(place, _)| cluster(place)).collect();
        let former = places.iter().map(cluster);
        let former = former.filter(|cluster| !present.contains(cluster));
        self.former.set(key, former.collect());
        let renewing = wanted.iter().filter(|(_, ask)| ask.former.is_some());
        let renewing: BTreeSet<_> = renewing.map(|(place, _)| place.clone()).collect();
        let renewed = self.renewing.things(key);
        self.renewing.set(key, renewing);
        // New demand first: a cluster that stays in use is not left for a moment.
        for (place, ask) in wanted {
            let askers = self.askers.entry(place.clone()).or_default();
            if askers.get(key) != Some(&ask.demand) {
                askers.insert(key.clone(), ask.demand);
                if let Some((total, security)) = total(askers).zip(ask.security) {
                    let history = ask.former.and_then(|f| snapshots.group(f, &place.1));
                    orders.push(Order::Ask {
                        namespace: key.namespace.clone(),
                        place: place.clone(),
                        demand: total,
                        security: security.clone(),
                        history: history.cloned(),
                    });
                } else {
                    orders.push(Order::Change(place.clone(), total(askers)));
                }
            }
            if let Some(security) = ask.security
                && self.retired.remove(&place.0)
            {
                orders.push(Order::Restore(place.0, security.clone()));
            }
        }
        for place in before.difference(&places) {
            if let Some(askers) = self.askers.get_mut(place) {
                askers.remove(key);
                orders.push(Order::Change(place.clone(), total(askers)));
                if askers.is_empty() {
                    self.askers.remove(place);
                }
            }
        }
        for cluster in clusters_before.difference(&present) {
            let users = self.clusters.count(cluster);
            if users == 0 {
                self.retired.remove(cluster);
            } else if users == self.former.count(cluster) && self.retired.insert(cluster.clone()) {
                orders.push(Order::Retire(cluster.clone()));
            }
        }
        let renewed = renewed.into_iter().filter(|p| !self.renewing.knows(p));
        orders.extend(renewed.map(Order::DropHistory));
        self.places.set(key, places);
        orders
    }

    /// The objects that ask something of a cluster.
    pub(super) fn of_cluster(&self, cluster: &ClusterKey) -> impl Iterator<Item = &ObjectKey> {
        self.clusters.of(cluster)
    }

    /// The objects that ask something of a group.
    pub(super) fn of_group(
        &self,
        cluster: &ClusterKey,
        group: &Arc<str>,
    ) -> impl Iterator<Item = &ObjectKey> {
        self.places.of(&(cluster.clone(), group.clone()))
    }

    /// Whether anything is asked of a cluster.
    pub(super) fn knows(&self, cluster: &ClusterKey) -> bool {
        self.clusters.knows(cluster)
    }
}

/// The demand of a plan, by place.
fn wanted(plan: Option<&Plan>) -> BTreeMap<Place, Ask<'_>> {
    let mut wanted: BTreeMap<Place, Ask<'_>> = BTreeMap::new();
    for plan in plan.into_iter().filter(|p| p.problem.is_none()) {
        for source in plan.kafka_sources() {
            let kafka = &source.kafka;
            if kafka.withheld.is_some() {
                continue;
            }
            let mut demand =
                GroupDemand::new(&kafka.topics, kafka.isolation, plan.sample_interval());
            if kafka.topics.are_all() {
                let remembered = remembered_topics(plan, kafka, &source.metric);
                demand.topics.extend(remembered.iter().cloned());
                demand.remembered.extend(remembered);
            }
            let asks = [
                Some((
                    &source.cluster,
                    Some(&kafka.security),
                    source.former.as_ref(),
                )),
                source.former.as_ref().map(|former| (former, None, None)),
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
    }
    wanted
}

fn total(askers: &Askers) -> Option<GroupDemand> {
    let mut demands = askers.values();
    let mut total = demands.next()?.clone();
    demands.for_each(|demand| total.add(demand));
    Some(total)
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::{
        poll::Timing,
        scaling::{KafkaSource, PlannedTrigger, Source},
        snapshot::Snapshot,
        triggers::{self, Parameters, Sources, Trigger},
    };

    /// Asks for `group` with this password, and for what a former one reads.
    fn plan(group: &str, password: &str, former: Option<&ClusterKey>) -> (Plan, ClusterKey) {
        let object = serde_json::json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {"scaleTargetRef": {"name": "app"}, "triggers": [{
                "type": "kafka", "metadata": {
                    // Nobody listens there.
                    "bootstrapServers": "127.0.0.1:1", "consumerGroup": group, "topic": "t", "sasl": "plaintext",
                },
            }]},
        });
        let object: crate::resources::ScaledObject = serde_json::from_value(object).unwrap();
        let trigger = &object.spec.triggers[0];
        let login = [("username", "alice"), ("password", password)];
        let login = login.map(|(k, v)| (k.to_owned(), v.into()));
        let sources = Sources {
            metadata: &trigger.metadata,
            environment: &Parameters::new(),
            parameters: &Parameters::from(login),
        };
        let parsed = triggers::parse("kafka", sources, "").unwrap();
        let Trigger::Kafka(kafka, metric_type) = parsed else {
            panic!("a kafka trigger");
        };
        let cluster = ClusterKey {
            bootstrap: kafka.bootstrap.clone(),
            fingerprint: kafka.security.fingerprint(),
        };
        let source = Source::Kafka(KafkaSource {
            cluster: cluster.clone(),
            former: former.cloned(),
            metric: "m".into(),
            kafka: (*kafka).into(),
            metric_type,
        });
        let triggers = vec![PlannedTrigger::new(trigger, Ok(source))];
        (Plan::new(object.into(), triggers), cluster)
    }

    #[tokio::test]
    async fn a_value_is_retired_when_nobody_has_it_any_more_and_left_when_nobody_reads_by_it() {
        let (sender, _snapshots) = mpsc::unbounded_channel();
        let mut manager = Manager::new(Timing::default(), sender);
        let mut demand = Demand::default();
        let [a, b] = ["a", "b"].map(|name| ObjectKey::scaled_object("shop", name));
        let (first_of_a, first) = plan("g", "first", None);
        let (first_of_b, _) = plan("h", "first", None);
        let (second_of_a, second) = plan("g", "second", Some(&first));
        let group = (Arc::from("g"), Arc::new(GroupSnapshot::default()));
        let snapshot = Snapshot {
            groups: [group].into(),
            ..Snapshot::default()
        };
        let mut snapshots = Snapshots::default();
        snapshots.insert(first.clone(), snapshot.into());
        let mut set = |key: &ObjectKey, plan: Option<&Plan>| {
            for order in demand.set(key, plan, &snapshots) {
                order.carry_out(&mut manager);
            }
            let of = |cluster| manager.credential_of(cluster);
            (of(&first), of(&second))
        };
        let (dialled, retired) = (Some(true), Some(false));
        set(&a, Some(&first_of_a));
        assert_eq!(set(&b, Some(&first_of_b)), (dialled, None));
        // The other one has it as its own.
        assert_eq!(set(&a, Some(&second_of_a)), (dialled, dialled));
        assert_eq!(set(&b, None), (retired, dialled));
        assert_eq!(set(&b, Some(&first_of_b)), (dialled, dialled));
        let (second_of_b, _) = plan("h", "second", Some(&first));
        assert_eq!(set(&b, Some(&second_of_b)), (retired, dialled));
        // Put back.
        assert_eq!(set(&a, Some(&first_of_a)), (dialled, dialled));
        assert_eq!(set(&a, Some(&second_of_a)), (retired, dialled));
        let (whole_of_a, _) = plan("g", "second", None);
        let (whole_of_b, _) = plan("h", "second", None);
        assert_eq!(set(&a, Some(&whole_of_a)), (retired, dialled));
        assert_eq!(set(&b, Some(&whole_of_b)), (None, dialled));
        assert_eq!(set(&b, None), (None, dialled));
        assert_eq!(set(&a, None), (None, None));
    }
}
