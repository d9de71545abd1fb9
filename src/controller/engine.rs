//! The engine: one task that owns every object. Watches, pictures and finished writes come in; demand, the API's table
//! and new writes go out. A turn never waits for Kafka or the API server.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{
    Client,
    runtime::reflector::{ObjectRef, Store},
};
use tokio::sync::{mpsc, watch};

use super::{
    apply::{Places, Writers, apply},
    asked::Asked,
    changes::{Change, Dirty},
    credentials::{CredentialRules, Credentials, News},
    dependents::Dependents,
    keys::{self, ObjectKey},
    lag_part::Told,
    leadership::Lead,
    object::Object,
    ownership::owns,
    publish::{entries, foreign, outcome_of},
    questions::{Question, Questions},
    teller::Teller,
    users,
    watches::Watches,
    work::Outcome,
};
use crate::{
    kafka::Budgets,
    lag::Moment,
    poll::{ClusterKey, Manager, Picture, Timing},
    pulse::Pulse,
    resources::ScaledObject,
    scaling::{Settings, evaluate, known, table::Table},
    telemetry::{Counts, ObjectSample, Samples},
    triggers::Kafka,
};

/// Changes that come in a burst are looked at together.
const TOGETHER: Duration = Duration::from_millis(20);
/// A replica is ready so long after its lists are in at the latest: whoever goes on making objects of brokers that do not answer
/// keeps nobody from being asked.
const LATEST: Duration = Duration::from_secs(15);
/// Cool-downs, ages and retries are looked at this often.
const BEAT: Duration = Duration::from_secs(1);

/// What the controller works with.
pub struct Parts {
    /// To the API server.
    pub client: Client,
    /// What is watched, and where credentials may come from.
    pub rules: CredentialRules,
    /// Settings of every evaluation.
    pub settings: Settings,
    /// Timing of every poll.
    pub timing: Timing,
    /// What asking brokers may cost.
    pub budgets: Budgets,
    /// Whether this replica writes.
    pub lead: Lead,
    /// Where the external metrics API reads.
    pub table: Arc<Table>,
    /// Where `/metrics` reads.
    pub samples: Arc<Samples>,
    /// What is counted.
    pub counts: Counts,
    /// Tells others that the engine turns.
    pub pulse: Pulse,
    /// Becomes true once: caches are synced and every cluster's first poll is over.
    pub ready: watch::Sender<bool>,
}

/// The controller's state.
pub struct Controller {
    pub(super) parts: Parts,
    pub(super) teller: Teller,
    pub(super) watches: Watches,
    changes: mpsc::UnboundedReceiver<Change>,
    pub(super) credentials: Credentials,
    news: mpsc::UnboundedReceiver<News>,
    pub(super) manager: Manager,
    pub(super) asked: Asked,
    arrived: mpsc::UnboundedReceiver<(ClusterKey, Arc<Picture>)>,
    pub(super) pictures: BTreeMap<ClusterKey, Arc<Picture>>,
    pub(super) objects: BTreeMap<ObjectKey, Object>,
    pub(super) dependents: Dependents,
    /// What is named has changed since it was followed.
    pub(super) unfollowed: bool,
    /// Objects that name what is being read for the first time.
    pub(super) waiting: BTreeSet<ObjectKey>,
    /// When the lists were in and the first objects planned.
    begun: Option<Instant>,
    /// Objects whose first poll is not over.
    pub(super) unpolled: BTreeSet<ObjectKey>,
    questions: (Questions, mpsc::Receiver<Question>),
    done: (
        mpsc::UnboundedSender<Outcome>,
        mpsc::UnboundedReceiver<Outcome>,
    ),
    /// How many workloads are looked at, and objects written for, at once.
    places: Places,
    /// Objects whose finalizer is being taken off, by uid.
    pub(super) releasing: BTreeSet<String>,
    /// UIDs of authentications whose KEDA finalizer was taken off once; if a KEDA puts it on again, it stays.
    pub(super) unheld: BTreeSet<String>,
    /// Statuses of LagMetrics that were written.
    pub(super) told: (mpsc::UnboundedSender<Told>, mpsc::UnboundedReceiver<Told>),
    pub(super) released: (
        mpsc::UnboundedSender<String>,
        mpsc::UnboundedReceiver<String>,
    ),
}

impl Controller {
    /// Begins to watch.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let (news_in, news) = mpsc::unbounded_channel();
        let (changes_in, changes) = mpsc::unbounded_channel();
        let (pictures, arrived) = mpsc::unbounded_channel();
        let namespace = parts.rules.namespace.as_deref();
        Self {
            watches: Watches::start(&parts.client, namespace, &changes_in, &parts.counts),
            changes,
            credentials: Credentials::new(parts.client.clone(), parts.rules.clone(), news_in),
            news,
            manager: Manager::new(parts.timing, pictures).on(parts.budgets.clone()),
            asked: Asked::default(),
            arrived,
            pictures: BTreeMap::new(),
            objects: BTreeMap::new(),
            dependents: Dependents::default(),
            unfollowed: false,
            waiting: BTreeSet::new(),
            begun: None,
            unpolled: BTreeSet::new(),
            questions: Questions::new(),
            done: mpsc::unbounded_channel(),
            places: Places::default(),
            releasing: BTreeSet::new(),
            unheld: BTreeSet::new(),
            told: mpsc::unbounded_channel(),
            released: mpsc::unbounded_channel(),
            teller: Teller::new(parts.client.clone()),
            parts,
        }
    }

    /// The watched ScaledObjects and HPAs, for others to read.
    #[must_use]
    pub fn stores(&self) -> (Store<ScaledObject>, Store<HorizontalPodAutoscaler>) {
        (self.watches.objects.clone(), self.watches.hpas.clone())
    }

    /// Where it is asked for reasons.
    #[must_use]
    pub fn questions(&self) -> Questions {
        self.questions.0.clone()
    }

    /// Runs until `stop` turns true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            synced = self.watches.synced() => if !synced { return },
            _ = stop.wait_for(|s| *s) => return,
        }
        tracing::info!("watches are synced");
        let every = self.parts.rules.namespace.is_none();
        let lead = self.parts.lead.clone();
        let _users = users::keep(&self.parts.client, &self.watches, every, lead);
        let mut lead = self.parts.lead.clone();
        let mut wrote = lead.holds();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut dirty = Dirty::default();
        self.changed(Change::Everything, &mut dirty);
        self.turn(&dirty);
        loop {
            let mut dirty = Dirty::default();
            tokio::select! {
                Some(change) = self.changes.recv() => self.changed(change, &mut dirty),
                Some(news) = self.news.recv() => self.news(news, &mut dirty),
                Some((key, picture)) = self.arrived.recv() => self.read(key, picture, &mut dirty),
                Some(outcome) = self.done.1.recv() => self.finished(outcome, &mut dirty),
                Some(uid) = self.released.1.recv() => drop(self.releasing.remove(&uid)),
                Some(told) = self.told.1.recv() => self.was_told(told),
                _ = beat.tick() => {
                    self.credentials.refresh();
                    // Time has passed for all of them: cool-downs, ages, retries.
                    dirty.evaluate.extend(self.objects.keys().cloned());
                }
                () = lead.changed() => {}
                Some(question) = self.questions.1.recv() => {
                    self.answer(question);
                    continue;
                }
                _ = stop.wait_for(|s| *s) => return,
            }
            tokio::time::sleep(TOGETHER).await;
            while let Ok(change) = self.changes.try_recv() {
                self.changed(change, &mut dirty);
            }
            while let Ok(news) = self.news.try_recv() {
                self.news(news, &mut dirty);
            }
            while let Ok((key, picture)) = self.arrived.try_recv() {
                self.read(key, picture, &mut dirty);
            }
            while let Ok(outcome) = self.done.1.try_recv() {
                self.finished(outcome, &mut dirty);
            }
            let leads = lead.holds();
            if leads && !wrote {
                self.take_over(&mut dirty);
            }
            wrote = leads;
            self.turn(&dirty);
        }
    }

    /// From here on this replica writes: what it goes on from is what the objects say.
    fn take_over(&mut self, dirty: &mut Dirty) {
        let now = Moment::now().wall;
        for object in self.objects.values_mut() {
            object.take_over(now);
        }
        self.unheld.clear();
        self.changed(Change::Everything, dirty);
    }

    fn news(&mut self, news: News, dirty: &mut Dirty) {
        if let Some(reference) = self.credentials.take(news) {
            dirty.plan(self.dependents.references.of(&reference));
        }
    }

    fn read(&mut self, key: ClusterKey, picture: Arc<Picture>, dirty: &mut Dirty) {
        if self.asked.knows(&key) {
            dirty.evaluate(self.asked.of(&key));
            self.pictures.insert(key, picture);
        }
    }

    /// Plans and evaluates what is to be looked at, and no other object.
    fn turn(&mut self, dirty: &Dirty) {
        for key in &dirty.plan {
            self.plan(key);
        }
        if !dirty.plan.is_empty() {
            self.forget_pictures();
        }
        if std::mem::take(&mut self.unfollowed) {
            self.credentials.follow(self.dependents.references.all());
        }
        let now = Moment::now();
        for key in dirty.plan.union(&dirty.evaluate) {
            self.evaluate(key, now);
        }
        self.parts.pulse.beat(Instant::now());
        let begun = *self.begun.get_or_insert(now.at);
        if self.waiting.is_empty() && self.unpolled.is_empty() || begun.elapsed() >= LATEST {
            let ready = &self.parts.ready;
            ready.send_if_modified(|ready| !std::mem::replace(ready, true));
        }
    }

    pub(super) fn forget_pictures(&mut self) {
        let asked = &self.asked;
        self.pictures.retain(|cluster, _| asked.knows(cluster));
    }

    /// Evaluates an object, publishes what it serves, and begins the writes that follow.
    fn evaluate(&mut self, key: &ObjectKey, now: Moment) {
        let Some(object) = self.objects.get_mut(key) else {
            return;
        };
        let plan = object.plan.clone();
        let of = |name: &str| ObjectRef::new(name).within(&plan.namespace);
        let hpa = self.watches.hpas.get(&of(&plan.hpa_name));
        let around = object.surroundings(hpa.as_deref());
        let (pictures, settings) = (&self.pictures, self.parts.settings);
        let evaluation = evaluate(&plan, pictures, &around, &mut object.memory, settings, now);
        if evaluation.polled || plan.problem.is_some() {
            self.unpolled.remove(key);
        }
        if object.lag.is_some() {
            self.publish_lag_metric(key, &evaluation);
            return self.renew(key, &evaluation.renewed);
        }
        let foreign = foreign(&plan, hpa.as_deref());
        let entries = entries(&plan, &evaluation, &foreign, now.wall);
        let table = &self.parts.table;
        table.replace(&plan.namespace, &object.entries, &entries);
        object.entries = entries;
        let place = keys::of_samples(key);
        let before = self.parts.samples.get(&place);
        let group =
            |cluster: &ClusterKey, kafka: &Kafka| known(pictures, cluster, &kafka.group).cloned();
        let sample = ObjectSample::of(&plan, &evaluation, before.as_deref(), group);
        self.parts.samples.set(&place, Some(sample.into()));
        self.parts.counts.evaluated(outcome_of(&plan, &evaluation));
        let former = {
            let names = object.former_hpas();
            let mut found = names.filter_map(|name| self.watches.hpas.get(&of(name)));
            found.find(|hpa| owns(&plan, hpa))
        };
        let (hpa, former) = (hpa.as_deref(), former.as_deref());
        let leads = self.parts.lead.holds();
        if let Some(work) = object.work(&evaluation, (hpa, former), pictures, leads, now) {
            object.working = true;
            let (client, done) = (self.parts.client.clone(), self.done.0.clone());
            let with = Writers {
                client,
                teller: self.teller.clone(),
                places: self.places.clone(),
                lead: self.parts.lead.clone(),
                counts: self.parts.counts.clone(),
            };
            tokio::spawn(apply(with, key.clone(), work, done));
        }
        self.renew(key, &evaluation.renewed);
    }

    fn finished(&mut self, outcome: Outcome, dirty: &mut Dirty) {
        let Some(object) = self.objects.get_mut(&outcome.key) else {
            return;
        };
        if object.plan.object.metadata.uid != outcome.uid {
            return;
        }
        dirty.evaluate([&outcome.key]);
        object.settle(outcome, Instant::now());
    }
}
