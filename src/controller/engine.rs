//! The engine: one task that owns every object. Watches, snapshots and ended writes come in as changes; the tasks that follow go
//! out. A turn never waits for Kafka or the API server.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::{Api, Client, runtime::reflector::Store};
use tokio::sync::{mpsc, watch};

use super::{
    authentication_status,
    credentials::{CredentialRules, Credentials, News},
    external::ExternalTriggers,
    leadership::Lead,
    objects::{Change, Objects, Published, Task, World},
    questions::{Question, Questions},
    scope::Scope,
    watches::Watches,
    write::{EventRecorder, Places, Writers, apply, end, is_gone, release, write_status},
};
use crate::{
    kafka::Budgets,
    lag::Moment,
    poll::{Manager, Timing},
    pulse::Pulse,
    resources::ScaledObject,
    scaling::{Settings, table::Table},
    snapshot::{ClusterKey, Snapshot},
    telemetry::{Counts, Samples},
};

/// Changes that come in a burst are looked at together.
const TOGETHER: Duration = Duration::from_millis(20);
/// Cool-downs, ages and retries are looked at this often.
const BEAT: Duration = Duration::from_secs(1);

/// The parts that the controller works with.
pub struct Parts {
    /// To the API server.
    pub client: Client,
    /// The objects that are handled here.
    pub scope: Scope,
    /// Where credentials may come from.
    pub rules: CredentialRules,
    /// Settings of every evaluation.
    pub settings: Settings,
    /// Timing of every poll.
    pub timing: Timing,
    /// Limits of asking brokers.
    pub budgets: Budgets,
    /// Whether this replica writes.
    pub lead: Lead,
    /// Where the external metrics API reads.
    pub table: Arc<Table>,
    /// Where `/metrics` reads.
    pub samples: Arc<Samples>,
    /// The controller's counters.
    pub counts: Counts,
    /// Tells others that the engine turns.
    pub pulse: Pulse,
    /// Becomes true once: caches are synced and every cluster's first poll is over.
    pub ready: watch::Sender<bool>,
}

/// The controller's state.
pub struct Controller {
    watches: Watches,
    credentials: Credentials,
    manager: Manager,
    objects: Objects,
    writers: Writers,
    pulse: Pulse,
    ready: watch::Sender<bool>,
    scope: Scope,
    /// Where tasks report.
    report: mpsc::UnboundedSender<Change>,
    changes: mpsc::UnboundedReceiver<Change>,
    news: mpsc::UnboundedReceiver<News>,
    snapshots: mpsc::UnboundedReceiver<(ClusterKey, Arc<Snapshot>)>,
    questions: (Questions, mpsc::Receiver<Question>),
}

impl Controller {
    /// Begins to watch.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            client,
            scope,
            rules,
            settings,
            timing,
            budgets,
            lead,
            table,
            samples,
            counts,
            pulse,
            ready,
        } = parts;
        let (news_in, news) = mpsc::unbounded_channel();
        let (report, changes) = mpsc::unbounded_channel();
        let (snapshots_in, snapshots) = mpsc::unbounded_channel();
        let published = Published {
            table,
            samples,
            counts: counts.clone(),
        };
        Self {
            watches: Watches::start(&client, &scope, lead.is_shadow(), (&report, &counts)),
            scope,
            credentials: Credentials::new(client.clone(), rules, news_in),
            manager: Manager::new(timing, snapshots_in).on(budgets),
            objects: Objects::new(settings, published),
            writers: Writers {
                events: EventRecorder::new(client.clone()),
                places: Places::default(),
                client,
                lead,
                counts,
            },
            pulse,
            ready,
            report,
            changes,
            news,
            snapshots,
            questions: Questions::new(),
        }
    }

    /// The watched ScaledObjects and HPAs, for others to read.
    #[must_use]
    pub fn stores(&self) -> (Store<ScaledObject>, Store<HorizontalPodAutoscaler>) {
        let stores = &self.watches.stores;
        (stores.scaled_objects.clone(), stores.hpas.clone())
    }

    /// Where it is asked for reasons.
    #[must_use]
    pub fn questions(&self) -> Questions {
        self.questions.0.clone()
    }

    /// Where a KEDA asks about triggers of its own.
    #[must_use]
    pub fn external(&self) -> ExternalTriggers {
        self.watches.stores.external.clone()
    }

    /// Runs until `stop` turns true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            synced = self.watches.synced() => if !synced { return },
            _ = stop.wait_for(|s| *s) => return,
        }
        tracing::info!("watches are synced");
        let mut lead = self.writers.lead.clone();
        let _statuses =
            authentication_status::keep(&self.writers, &self.watches.stores, &self.scope);
        let mut wrote = lead.holds();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.turn(vec![Change::Everything]);
        loop {
            let mut changes = Vec::new();
            tokio::select! {
                Some(change) = self.changes.recv() => changes.push(change),
                Some(news) = self.news.recv() => changes.extend(self.content(news)),
                Some((key, snapshot)) = self.snapshots.recv() => changes.push(Change::Snapshot(key, snapshot)),
                _ = beat.tick() => {
                    self.credentials.refresh();
                    let forgotten = self.watches.stores.external.forget(Instant::now());
                    changes.extend(forgotten.into_iter().map(Change::Object));
                    changes.push(Change::Beat);
                }
                () = lead.changed() => {}
                Some(question) = self.questions.1.recv() => {
                    let world = world(&self.watches, &self.credentials, &self.writers, &self.scope);
                    let explanation = self.objects.explain(&question.key, world);
                    // The request may have ended, and its receiver with it.
                    let _ = question.answer.send(explanation);
                    continue;
                }
                _ = stop.wait_for(|s| *s) => return,
            }
            tokio::time::sleep(TOGETHER).await;
            while let Ok(change) = self.changes.try_recv() {
                changes.push(change);
            }
            while let Ok(news) = self.news.try_recv() {
                changes.extend(self.content(news));
            }
            while let Ok((key, snapshot)) = self.snapshots.try_recv() {
                changes.push(Change::Snapshot(key, snapshot));
            }
            let leads = lead.holds();
            if leads && !wrote {
                changes.push(Change::Leading);
            }
            wrote = leads;
            self.turn(changes);
        }
    }

    fn content(&mut self, news: News) -> Option<Change> {
        self.credentials.take(news).map(Change::Content)
    }

    /// Applies `changes` and begins the tasks that follow.
    fn turn(&mut self, changes: Vec<Change>) {
        let world = world(&self.watches, &self.credentials, &self.writers, &self.scope);
        let tasks = self.objects.apply(changes, world);
        let are_ready = self.objects.are_ready(world);
        for task in tasks {
            self.begin(task);
        }
        self.pulse.beat(Instant::now());
        if are_ready {
            let ready = |ready: &mut bool| !std::mem::replace(ready, true);
            self.ready.send_if_modified(ready);
        }
    }

    fn begin(&mut self, task: Task) {
        let (client, lead) = (self.writers.client.clone(), self.writers.lead.clone());
        match task {
            Task::Poll(order) => order.carry_out(&mut self.manager),
            Task::Follow(named) => self.credentials.follow(named),
            Task::Record(object, event) => self.writers.events.record(&object, event),
            Task::RecordIfGone(object, event) => {
                let events = self.writers.events.clone();
                tokio::spawn(async move {
                    if is_gone(client, &object).await {
                        events.record(&object, event);
                    }
                });
            }
            Task::Work(key, work) => {
                let work = apply(self.writers.clone(), key, work);
                self.spawn(work.map(|outcome| Change::Worked(outcome.into())));
            }
            Task::WriteStatus(write) => {
                let write = write_status(self.writers.clone(), write);
                self.spawn(write.map(Change::StatusWritten));
            }
            Task::End(object) => {
                self.spawn(end((client, lead), object).map(Change::Released));
            }
            Task::Release(held) => {
                let namespace = held.metadata.namespace.clone().unwrap_or_default();
                let release = release(Api::namespaced(client, &namespace), held, lead);
                self.spawn(release.map(Change::Released));
            }
            Task::ReleaseCluster(held) => {
                let release = release(Api::all(client), held, lead);
                self.spawn(release.map(Change::Released));
            }
        }
    }

    /// Runs a task beside the engine; its report is a change. Mapped and not awaited in a further block, which would take the
    /// room of the task twice.
    fn spawn(&self, task: impl Future<Output = Change> + Send + 'static) {
        let report = self.report.clone();
        tokio::spawn(task.map(move |change| {
            // The engine is gone when nobody listens.
            let _ = report.send(change);
        }));
    }
}

/// The world as it is now.
fn world<'a>(
    watches: &'a Watches,
    credentials: &'a Credentials,
    writers: &Writers,
    scope: &Scope,
) -> World<'a> {
    World {
        stores: &watches.stores,
        contents: credentials,
        leads: writers.lead.holds(),
        shares: writers.lead.shares() || scope.is_by_label(),
        shadow: writers.lead.is_shadow(),
        now: Moment::now(),
    }
}
