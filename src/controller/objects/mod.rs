//! The objects: a record of each, what it depends on and asks of Kafka. Changes come in, tasks go out; nothing here waits, speaks to
//! anybody, or reads a clock, so every case can be played by applying changes to a value.

mod account;
mod changes;
mod demand;
mod dependents;
mod entries;
mod external;
mod finalizers;
mod former_hpas;
mod hpa_writes;
mod index;
mod keys;
mod labels;
mod lag_metric;
mod origins;
mod pace;
mod planned;
mod published;
mod readiness;
mod record;
mod round;
mod scaled_object;
mod status;
mod status_writes;
mod stillness;
mod tasks;
#[cfg(test)]
mod tests;
mod work;
mod workload;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    sync::Arc,
};

use kube::ResourceExt;

use super::resolve::{Resolved, resolve};
use crate::{
    resources::{LagMetric, ScaledObject},
    scaling::{Event, Explanation, Plan, Settings, Surroundings, evaluate, follow},
    snapshot::{Changed, ClusterKey, Snapshot, Snapshots},
};
use account::explanation;
pub(super) use changes::Change;
use changes::Dirty;
use demand::{Demand, Order};
use dependents::{Authentication, Dependents, authentications};
use entries::{entries, foreign};
pub use external::{ExternalReading, ExternalValue};
use finalizers::Finalizers;
pub(super) use finalizers::is_held;
use keys::Kind;
pub(super) use keys::{NamespacedName, ObjectKey};
pub(super) use lag_metric::{StatusWrite, StatusWritten};
use origins::{Origins, origins};
pub(super) use published::Published;
use readiness::Readiness;
use record::Record;
use round::Round;
pub(super) use tasks::Task;
pub(super) use work::{ECHO, HpaWrite, Outcome, Step, Work};
pub(super) use world::World;

/// All objects.
pub(super) struct Objects {
    records: BTreeMap<ObjectKey, Record>,
    dependents: Dependents,
    demand: Demand,
    snapshots: Snapshots,
    finalizers: Finalizers,
    readiness: Readiness,
    published: Published,
    settings: Settings,
    dirty: Dirty,
    /// The set of references has changed since it was followed.
    unfollowed: bool,
    tasks: Vec<Task>,
}

impl Objects {
    pub(super) fn new(settings: Settings, published: Published) -> Self {
        Self {
            records: BTreeMap::new(),
            dependents: Dependents::default(),
            demand: Demand::default(),
            snapshots: Snapshots::default(),
            finalizers: Finalizers::default(),
            readiness: Readiness::default(),
            published,
            settings,
            dirty: Dirty::default(),
            unfollowed: false,
            tasks: Vec::new(),
        }
    }

    /// Takes in `changes` and what the passing of time has made due; returns what has to be done.
    pub(super) fn apply(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
        world: World<'_>,
    ) -> Vec<Task> {
        for change in changes {
            self.note(change, world);
        }
        let Dirty { plan, evaluate } = std::mem::take(&mut self.dirty);
        for key in &plan {
            self.plan(key, world);
        }
        if !plan.is_empty() {
            self.forget_snapshots();
        }
        if std::mem::take(&mut self.unfollowed) {
            let named = self.dependents.references.all();
            self.tasks.push(Task::Follow(named));
        }
        for key in plan.union(&evaluate) {
            self.evaluate(key, world);
        }
        self.readiness.begin(world.now.at);
        std::mem::take(&mut self.tasks)
    }

    /// Readiness: every object that is there has been planned, and the first poll of its groups is over.
    pub(super) fn are_ready(&self, world: World<'_>) -> bool {
        self.readiness.is_ready(world.now.at)
    }

    /// Why a ScaledObject has the replicas it has; `None` where there is no such object.
    pub(super) fn explain(&self, key: &ObjectKey, world: World<'_>) -> Option<Explanation> {
        let Record::ScaledObject(object) = self.records.get(key)? else {
            return None;
        };
        Some(explanation(object, &self.snapshots, self.settings, world))
    }

    fn note(&mut self, change: Change, world: World<'_>) {
        let dependents = &self.dependents;
        match change {
            Change::Object(key) => self.dirty.plan([&key]),
            Change::Hpa(key) => self.dirty.evaluate(dependents.hpas.of(&key)),
            Change::Authentication(key) => {
                let release = self.finalizers.release((&key.0, &key.1), world);
                self.tasks.extend(release);
                let named = Authentication::Namespaced(key);
                self.dirty.plan(dependents.authentications.of(&named));
            }
            Change::ClusterAuthentication(name) => {
                let release = self.finalizers.release_cluster(&name, world);
                self.tasks.extend(release);
                let named = Authentication::Cluster(name);
                self.dirty.plan(dependents.authentications.of(&named));
            }
            Change::Everything => self.note_everything(world),
            Change::Content(reference) => {
                self.dirty.plan(dependents.references.of(&reference));
            }
            Change::Snapshot(cluster, snapshot) => self.note_snapshot(cluster, snapshot),
            Change::Worked(outcome) => {
                let key = outcome.key.clone();
                if let Some(Record::ScaledObject(object)) = self.records.get_mut(&key)
                    && object.settle(*outcome, world.now.at)
                {
                    self.dirty.evaluate([&key]);
                }
            }
            Change::StatusWritten(written) => {
                if let Some(Record::LagMetric(metric)) = self.records.get_mut(&written.key) {
                    metric.settle(written, world.now.at);
                }
            }
            Change::Beat => {
                let now = world.now.at;
                let due = self.records.iter().filter(|(_, r)| r.planned().is_due(now));
                self.dirty.evaluate(due.map(|(key, _)| key));
            }
            Change::Released(uid) => self.finalizers.released(&uid),
            Change::Leading => {
                for record in self.records.values_mut() {
                    record.take_over(world.now);
                }
                self.finalizers.take_over();
                self.note_everything(world);
            }
        }
    }

    fn note_everything(&mut self, world: World<'_>) {
        let plan = &mut self.dirty.plan;
        plan.extend(world.keys());
        plan.extend(self.records.keys().cloned());
        let release = self.finalizers.release_all(world);
        self.tasks.extend(release);
    }

    fn note_snapshot(&mut self, cluster: ClusterKey, snapshot: Arc<Snapshot>) {
        if !self.demand.knows(&cluster) {
            return;
        }
        match &snapshot.changed {
            Changed::Everything => self.dirty.evaluate(self.demand.of_cluster(&cluster)),
            Changed::Groups(groups) => {
                for group in groups {
                    self.dirty.evaluate(self.demand.of_group(&cluster, group));
                }
            }
        }
        self.snapshots.insert(cluster, snapshot);
    }

    /// Plans an object anew, and begins or ends what is done for it.
    fn plan(&mut self, key: &ObjectKey, world: World<'_>) {
        let namespace = &*key.namespace;
        let (metric, found) = world.find_object(key);
        let Some(object) = found.filter(|o| !self.ends(key, o, world)) else {
            return self.forget(key, world);
        };
        // Another of the same name: nothing of the former one goes on.
        let known = self.records.get(key);
        if known.is_some_and(|k| k.planned().plan.object.uid() != object.uid()) {
            self.remove(key, world);
        }
        let authentications = authentications(namespace, &object);
        let origins = origins(namespace, &object, &world);
        let Resolved {
            mut plan,
            references,
            waiting,
        } = resolve(object, &world);
        self.dependents.authentications.set(key, authentications);
        let named = self.dependents.references.things(key);
        if let Some(record) = self.records.get_mut(key).filter(|_| named != references) {
            record.planned_mut().origins = None;
        }
        self.unfollowed |= self.dependents.references.set(key, references);
        // Its plan before stands until all of it is known.
        if self.readiness.set_waiting(key, waiting) {
            return;
        }
        if let Some(known) = self.records.get(key).map(Record::planned)
            && let Some(before) = &known.origins
        {
            let same = |index| before.get(index) == origins.get(index);
            follow(&mut plan, &known.plan, &self.snapshots, same);
        }
        let orders = self.demand.set(key, Some(&plan), &self.snapshots);
        self.poll(orders);
        self.adopt(key, Arc::new(plan), metric, origins, world);
    }

    fn adopt(
        &mut self,
        key: &ObjectKey,
        plan: Arc<Plan>,
        metric: Option<Arc<LagMetric>>,
        origins: Origins,
        world: World<'_>,
    ) {
        let record = match self.records.entry(key.clone()) {
            btree_map::Entry::Occupied(known) => {
                let record = known.into_mut();
                record.adopt(plan, metric);
                record
            }
            btree_map::Entry::Vacant(new) => {
                self.readiness.is_new(key);
                new.insert(Record::new(key.kind, plan, metric, world.now))
            }
        };
        record.planned_mut().origins = Some(origins);
        self.dependents.hpas.set(key, record.hpas());
    }

    /// Begins what has to be done first for an object that is being deleted; `false` for any other.
    fn ends(&mut self, key: &ObjectKey, object: &Arc<ScaledObject>, world: World<'_>) -> bool {
        if object.metadata.deletion_timestamp.is_none() {
            return false;
        }
        if key.kind == Kind::ScaledObject {
            self.tasks.extend(self.finalizers.end(object, world));
        }
        true
    }

    /// Nothing is known of an object any more.
    fn forget(&mut self, key: &ObjectKey, world: World<'_>) {
        let orders = self.demand.set(key, None, &self.snapshots);
        self.poll(orders);
        self.dependents.authentications.set(key, BTreeSet::new());
        self.dependents.hpas.set(key, BTreeSet::new());
        self.unfollowed |= self.dependents.references.set(key, BTreeSet::new());
        self.readiness.set_waiting(key, false);
        self.remove(key, world);
    }

    fn remove(&mut self, key: &ObjectKey, world: World<'_>) {
        let Some(record) = self.records.remove(key) else {
            return;
        };
        self.readiness.is_polled(key);
        let planned = record.planned();
        self.published.withdraw(key, &planned.entries);
        if key.kind == Kind::ScaledObject && world.leads {
            let object = planned.plan.object.clone();
            let deleted = Event::warning("ScaledObjectDeleted", "ScaledObject was deleted");
            // It may have been given to somebody else.
            self.tasks.push(if world.shares {
                Task::RecordIfGone(object, deleted)
            } else {
                Task::Record(object, deleted)
            });
        }
    }

    /// Evaluates an object, publishes what it serves, and begins the writes that follow.
    fn evaluate(&mut self, key: &ObjectKey, world: World<'_>) {
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let (snapshots, now) = (&self.snapshots, world.now);
        let plan = record.planned().plan.clone();
        let hpa = |name: &str| world.stores.hpa(&plan.namespace, name);
        let live = hpa(&plan.hpa_name);
        let around = match record {
            Record::ScaledObject(object) => object.surroundings(live.as_deref()),
            Record::LagMetric(_) | Record::External(_) => Surroundings::default(),
        };
        let memory = &mut record.planned_mut().memory;
        let evaluation = evaluate(&plan, snapshots, &around, memory, self.settings, now);
        if evaluation.polled || plan.problem.is_some() {
            self.readiness.is_polled(key);
        }
        let task = match record {
            Record::External(planned) => {
                let reading = ExternalReading::of(&plan, &evaluation);
                world.stores.external.tell(key, reading);
                external::rest(planned, &evaluation, now);
                None
            }
            Record::LagMetric(metric) => {
                let served = metric.entries(&evaluation);
                self.published
                    .serve(key, &mut metric.planned.entries, served);
                let write = metric.work(key, (&evaluation, snapshots), world.leads, now);
                write.map(|write| Task::WriteStatus(write.into()))
            }
            Record::ScaledObject(object) => {
                let foreign = foreign(&plan, live.as_deref());
                let served = entries(&plan, &evaluation, &foreign, now.wall);
                if world.shadow {
                    let shadow = object.shadow.get_or_insert_default();
                    shadow.note(&served, live.as_deref(), now.at);
                }
                self.published
                    .serve(key, &mut object.planned.entries, served);
                let shadow = object.shadow.as_deref();
                let told = (&evaluation, shadow);
                self.published.show(key, &plan, told, snapshots);
                let former = object.former_hpas.first(&object.planned.plan, hpa);
                let work = object.work(&Round {
                    evaluation: &evaluation,
                    snapshots,
                    hpa: live.as_deref(),
                    former: former.as_deref(),
                    leads: world.leads,
                    settings: self.settings,
                    now,
                });
                work.map(|work| Task::Work(key.clone(), work.into()))
            }
        };
        self.tasks.extend(task);
        if !evaluation.renewed.is_empty() {
            let planned = record.planned_mut();
            planned.drop_former(&evaluation.renewed);
            let orders = self.demand.set(key, Some(&planned.plan), &self.snapshots);
            self.poll(orders);
            self.forget_snapshots();
        }
    }

    fn poll(&mut self, orders: Vec<Order>) {
        let orders = orders.into_iter().map(Box::new);
        self.tasks.extend(orders.map(Task::Poll));
    }

    fn forget_snapshots(&mut self) {
        let demand = &self.demand;
        self.snapshots.retain(|cluster| demand.knows(cluster));
    }
}
