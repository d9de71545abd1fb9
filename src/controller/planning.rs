//! From a change to the objects that are planned anew, and what a new plan begins and ends.

use std::{collections::BTreeSet, sync::Arc};

use kube::{Api, ResourceExt, runtime::reflector::ObjectRef};

use super::{
    changes::{Change, Dirty},
    dependents::{Authentication, authentications},
    engine::Controller,
    keys::{self, ObjectKey},
    lag_part::LagPart,
    lookup::Lookup,
    object::Object,
    origins::{Origins, origins},
    release::{end, is_held, release},
    resolve::{Resolved, resolve},
};
use crate::{
    lag::Moment,
    resources::ScaledObject,
    scaling::{Event, Plan},
};

impl Controller {
    pub(super) fn changed(&mut self, change: Change, dirty: &mut Dirty) {
        match change {
            Change::Object(key) => dirty.plan([&key]),
            Change::Hpa(key) => dirty.evaluate(self.dependents.hpas.of(&key)),
            Change::Authentication(key) => {
                self.release_authentication(&key);
                let named = Authentication::Namespaced(key);
                dirty.plan(self.dependents.authentications.of(&named));
            }
            Change::ClusterAuthentication(name) => {
                self.release_cluster_authentication(&name);
                let named = Authentication::Cluster(name);
                dirty.plan(self.dependents.authentications.of(&named));
            }
            Change::Everything => {
                let key = |o: Arc<ScaledObject>| (o.namespace().unwrap_or_default(), o.name_any());
                dirty
                    .plan
                    .extend(self.watches.objects.state().into_iter().map(key));
                dirty.plan.extend(self.lag_metric_keys());
                dirty.plan.extend(self.objects.keys().cloned());
                for held in self.watches.authentications.state() {
                    let key = (held.namespace().unwrap_or_default(), held.name_any());
                    self.release_authentication(&key);
                }
                for held in self.watches.cluster_authentications.state() {
                    self.release_cluster_authentication(&held.name_any());
                }
            }
        }
    }

    /// Resolves an object anew, and begins or ends what is done for it.
    pub(super) fn plan(&mut self, key: &ObjectKey) {
        let (namespace, name) = key;
        let reference = ObjectRef::new(name).within(namespace);
        let (metric, found) = match self.lag_metric(key) {
            Some((metric, object)) => (Some(metric), Some(object)),
            None => (None, self.watches.objects.get(&reference)),
        };
        let Some(object) = found.filter(|o| !self.ends(key, o)) else {
            return self.forget(key);
        };
        // Another of the same name: nothing of the former one goes on.
        let known = self.objects.get(key);
        if known.is_some_and(|k| k.plan.object.uid() != object.uid()) {
            self.unpublish(key);
        }
        let lookup = Lookup {
            watches: &self.watches,
            credentials: &self.credentials,
        };
        let authentications = authentications(namespace, &object);
        let origins = origins(namespace, &object, &lookup);
        let Resolved {
            mut plan,
            references,
            waiting,
        } = resolve(object, &lookup);
        self.dependents.authentications.set(key, authentications);
        let followed = self.dependents.references.things(key);
        if followed != references {
            self.forget_origins(key);
        }
        self.unfollowed |= self.dependents.references.set(key, references);
        if waiting {
            // What it was before stands until all of it is known.
            self.waiting.insert(key.clone());
            return;
        }
        self.waiting.remove(key);
        self.follow(key, &mut plan, &origins);
        let (pictures, manager) = (&self.pictures, &mut self.manager);
        self.asked.set(key, Some(&plan), pictures, manager);
        self.adopt(key, plan, origins);
        let Some((object, metric)) = self.objects.get_mut(key).zip(metric) else {
            return;
        };
        match &mut object.lag {
            Some(part) => part.adopt(metric),
            None => object.lag = Some(LagPart::new(metric)),
        }
    }

    fn adopt(&mut self, key: &ObjectKey, plan: Plan, origins: Origins) {
        let plan = Arc::new(plan);
        if let Some(object) = self.objects.get_mut(key) {
            object.adopt(plan);
        } else {
            let object = Object::new(plan, Moment::now().wall);
            self.unpolled.insert(key.clone());
            self.objects.insert(key.clone(), object);
        }
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        object.origins = Some(origins);
        let names = [object.plan.hpa_name.as_str()].into_iter();
        let hpas = names.chain(object.former_hpas());
        let hpas = hpas.map(|name| (key.0.clone(), name.to_owned()));
        self.dependents.hpas.set(key, hpas.collect());
    }

    /// Whether an object is being deleted; if so, what has to be done first is begun.
    fn ends(&mut self, (namespace, _): &ObjectKey, object: &Arc<ScaledObject>) -> bool {
        if object.metadata.deletion_timestamp.is_none() {
            return false;
        }
        if self.may_release(&**object) {
            let api = Api::namespaced(self.parts.client.clone(), namespace);
            let (client, lead) = (self.parts.client.clone(), self.parts.lead.clone());
            let done = self.released.0.clone();
            tokio::spawn(end((client, lead), api, object.clone(), done));
        }
        true
    }

    /// Nothing is known of an object any more.
    fn forget(&mut self, key: &ObjectKey) {
        let (pictures, manager) = (&self.pictures, &mut self.manager);
        self.asked.set(key, None, pictures, manager);
        self.dependents.authentications.set(key, BTreeSet::new());
        self.dependents.hpas.set(key, BTreeSet::new());
        self.unfollowed |= self.dependents.references.set(key, BTreeSet::new());
        self.waiting.remove(key);
        self.unpublish(key);
    }

    fn unpublish(&mut self, key: &ObjectKey) {
        let Some(object) = self.objects.remove(key) else {
            return;
        };
        self.unpolled.remove(key);
        self.parts.table.replace(&key.0, &object.entries, &[]);
        self.parts.samples.set(&keys::of_samples(key), None);
        if object.lag.is_some() {
            return;
        }
        if !self.parts.lead.holds() {
            return;
        }
        let deleted = Event::warning("ScaledObjectDeleted", "ScaledObject was deleted");
        self.teller.tell(&object.plan.object, deleted);
    }

    fn may_release(&mut self, object: &impl ResourceExt) -> bool {
        let uid = || object.uid().unwrap_or_default();
        is_held(object)
            && self.parts.lead.holds()
            && (object.meta().deletion_timestamp.is_some() || self.unheld.insert(uid()))
            && self.releasing.insert(uid())
    }

    fn release_authentication(&mut self, (namespace, name): &ObjectKey) {
        let reference = ObjectRef::new(name).within(namespace);
        let found = self.watches.authentications.get(&reference);
        if let Some(held) = found.filter(|a| self.may_release(&**a)) {
            let api = Api::namespaced(self.parts.client.clone(), namespace);
            let lead = self.parts.lead.clone();
            tokio::spawn(release(api, held, lead, self.released.0.clone()));
        }
    }

    fn release_cluster_authentication(&mut self, name: &str) {
        let found = self
            .watches
            .cluster_authentications
            .get(&ObjectRef::new(name));
        if let Some(held) = found.filter(|a| self.may_release(&**a)) {
            let api = Api::all(self.parts.client.clone());
            let lead = self.parts.lead.clone();
            tokio::spawn(release(api, held, lead, self.released.0.clone()));
        }
    }
}
