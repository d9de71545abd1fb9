//! The record of one ScaledObject: what is known of its workload, its HPA and its status, and what is to be done for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::{
    former_hpas::FormerHpas,
    hpa_writes::{Decision, HpaWrites},
    labels::Labels,
    pace::Pace,
    planned::Planned,
    round::{Busy, Round},
    status_writes::StatusWrites,
    work::{HpaWrite, Outcome, Step, Work},
    workload::Workload,
};
use crate::{
    lag::Moment,
    scaling::{
        Activity, Due, Evaluation, Health, Live, Move, Plan, Shadow, Surroundings, conditions,
        floor, foreign, keeps_awake, next_move, owns, sleeps_at,
    },
};

/// A new object's first status and its HPA wait this long for a first answer: each is then written once.
const FIRST_STATUS: Duration = Duration::from_secs(10);
const FIRST_HPA: Duration = Duration::from_secs(30);
/// The status of a predecessor stands while nothing is known yet, as long as a reading is served.
const STANDS: Duration = Duration::from_secs(20);

/// The engine's record of one ScaledObject.
pub(super) struct ScaledObjectRecord {
    pub(super) planned: Planned,
    pub(super) workload: Workload,
    pace: Pace,
    busy: Busy,
    hpa_writes: HpaWrites,
    pub(super) statuses: StatusWrites,
    pub(super) last_active: Option<Timestamp>,
    pub(super) active_before: bool,
    pub(super) former_hpas: FormerHpas,
    labels: Labels,
    /// Its metrics beside what its HPA was told; for a shadow alone.
    pub(super) shadow: Option<Box<Shadow>>,
}

impl ScaledObjectRecord {
    pub(super) fn new(planned: Planned, now: Timestamp) -> Self {
        let status = planned.plan.object.status.as_ref();
        // Nobody knows what happened while nobody looked: a cool-down begins anew with whoever takes over.
        let last_active = status
            .and_then(|s| s.last_active_time.as_ref())
            .map(|_| now);
        Self {
            planned,
            workload: Workload::default(),
            pace: Pace::default(),
            busy: Busy::Idle,
            hpa_writes: HpaWrites::default(),
            statuses: StatusWrites::default(),
            last_active,
            active_before: false,
            former_hpas: FormerHpas::default(),
            labels: Labels::default(),
            shadow: None,
        }
    }

    /// Goes on with a plan made anew.
    pub(super) fn adopt(&mut self, plan: Arc<Plan>) {
        let before = &self.planned.plan;
        self.former_hpas.renamed(&before.hpa_name, &plan.hpa_name);
        let old = &before.object.spec;
        if old.scale_target_ref != plan.object.spec.scale_target_ref {
            self.pace.look_anew();
            self.workload = Workload::default();
        }
        if old != &plan.object.spec {
            self.pace.begin_anew();
        }
        let (was, is) = (&before.object.metadata, &plan.object.metadata);
        let labelled = was.labels != is.labels || was.annotations != is.annotations;
        if old != &plan.object.spec || labelled {
            self.hpa_writes.begin_anew();
        }
        self.planned.plan = plan;
        self.hpa_writes.replanned();
        self.statuses.forget(&self.planned.plan.object);
    }

    /// Begins to write. What it had under way may still report to it.
    pub(super) fn take_over(&mut self, now: Timestamp) {
        let since = self.planned.since;
        let blank = Planned::new(self.planned.plan.clone(), since);
        let planned = std::mem::replace(&mut self.planned, blank);
        let busy = self.busy;
        *self = Self::new(planned, now);
        self.busy = busy;
    }

    /// The surroundings that are watched.
    pub(super) fn surroundings(&self, hpa: Option<&HorizontalPodAutoscaler>) -> Surroundings {
        self.workload.surroundings(&self.planned.plan, hpa)
    }

    /// The work that is due now, if any; none while something is being done.
    pub(super) fn work(&mut self, round: &Round<'_>) -> Option<Work> {
        let mut due = Due::after(round.now);
        due.at(round.evaluation.due);
        let work = match self.busy {
            Busy::Idle => self.decide(round, &mut due),
            Busy::Working | Busy::Missed => None,
        };
        self.busy = match self.busy {
            Busy::Idle if work.is_none() => Busy::Idle,
            Busy::Idle => Busy::Working,
            Busy::Working | Busy::Missed => Busy::Missed,
        };
        self.planned.rest_until(due.next(), round.now.at);
        work
    }

    fn decide(&mut self, round: &Round<'_>, due: &mut Due) -> Option<Work> {
        let Round {
            evaluation,
            hpa,
            now,
            ..
        } = *round;
        let plan = self.planned.plan.clone();
        let (activity, polled) = self.planned.memory.activity(&plan, evaluation, now);
        due.at(self.planned.memory.poll_due());
        if keeps_awake(&plan, &activity, evaluation) {
            // An annotation forces all the time.
            self.last_active = Some(if plan.forced { now.wall } else { polled.wall });
        }
        let pace = &mut self.pace;
        let look = self
            .workload
            .look(&plan, (evaluation, hpa), pace, (now, due));
        if !round.leads {
            return look.then(|| Work::look(plan, self.workload.counts_pods()));
        }
        // A failing write must not keep a workload asleep.
        let (writes, steps) = (self.pace.may_write(now.at), self.pace.may_step(now.at));
        let step = if steps {
            self.step(&activity, hpa, now)
        } else {
            Move::Stay
        };
        if step == Move::CoolDown {
            due.at_wall(sleeps_at(&plan, self.last_active));
        }
        let own = hpa.filter(|h| owns(&plan, h));
        let hpa_write = if writes {
            self.hpa_write(round, &activity, &step)
        } else {
            None
        };
        self.hpa_writes.due(due);
        let made = matches!(hpa_write, Some(HpaWrite::Create(_) | HpaWrite::Replace(_)))
            || self.hpa_writes.is_made(now.at);
        // The former one's name is told until it is gone, so that it is not forgotten.
        let named = round.former.is_none() && (own.is_some() || made);
        let status = if writes && self.may_tell(evaluation, now) {
            let health = self.health(hpa);
            let live = hpa.map(Live::of);
            let (live, settings) = (live.as_ref(), round.settings);
            let conditions =
                conditions(&plan, evaluation, &activity, &step, &health, live, settings);
            let replicas = self.replicas(hpa);
            let remembered =
                self.remembered(evaluation, round.snapshots, (step.to(), replicas), now.at);
            self.status(evaluation, conditions, named, &activity, remembered, now)
        } else {
            None
        };
        self.statuses.due(due);
        self.active_before = matches!(activity, Activity::Active(_));
        let step = self.noted(step, status.is_some());
        let step = step.to().zip(self.replicas(hpa)).map(|(to, from)| Step {
            from,
            to,
            why: step,
        });
        let (status, events) = status.unzip();
        let work = Work {
            look,
            count_pods: self.workload.counts_pods(),
            metadata: if writes { self.labels.due(&plan) } else { None },
            hpa: hpa_write,
            step,
            status,
            confirmed: self.statuses.confirmed(),
            events: events.unwrap_or_default(),
            plan,
        };
        (!work.is_empty()).then_some(work)
    }

    /// The change of the workload's replicas that is wanted.
    fn step(
        &mut self,
        activity: &Activity,
        hpa: Option<&HorizontalPodAutoscaler>,
        now: Moment,
    ) -> Move {
        let plan = &self.planned.plan;
        let step = match self.replicas(hpa) {
            Some(replicas) if plan.problem.is_none() => {
                next_move(plan, activity, replicas, self.last_active, now.wall)
            }
            _ => Move::Stay,
        };
        if step.to().is_none() && self.workload.was_looked_at() {
            self.pace.no_step_is_wanted();
        }
        step
    }

    /// The step that may be made now: what the workload had is told before it has something else. Where that is not restored, a
    /// status that can't be written, or is not kept as it was written, holds up nothing.
    fn noted(&self, step: Move, is_told: bool) -> Move {
        let plan = &self.planned.plan;
        let status = plan.object.status.as_ref();
        let told = status.and_then(|s| s.original_replica_count);
        let tried = self.statuses.confirmed() || self.statuses.failing();
        let noted = told.is_some() || is_told || tried && !plan.restores();
        if noted { step } else { Move::Stay }
    }

    fn health(&self, hpa: Option<&HorizontalPodAutoscaler>) -> Health {
        Health {
            target: self.workload.error().cloned(),
            write: foreign(&self.planned.plan, hpa).or_else(|| self.pace.write_error().cloned()),
            step: self.pace.step_error().cloned(),
            pruned: self.statuses.is_pruned(),
        }
    }

    /// Whether a status may be written: enough is known, and it is over no other version than the one that was seen.
    fn may_tell(&self, evaluation: &Evaluation, now: Moment) -> bool {
        let is_present =
            self.statuses.confirmed() || !self.statuses.is_past(&self.planned.plan.object);
        is_present && self.workload.was_looked_at() && self.is_known(evaluation, now)
    }

    /// The write that its HPA is due: the deletion of one that is not wanted any more, or the spec it is to have.
    fn hpa_write(
        &mut self,
        round: &Round<'_>,
        activity: &Activity,
        step: &Move,
    ) -> Option<HpaWrite> {
        let Round {
            evaluation,
            hpa,
            former,
            now,
            ..
        } = *round;
        let plan = self.planned.plan.clone();
        let own = hpa.filter(|h| owns(&plan, h));
        let paused = own.filter(|_| plan.pause.whole);
        // Only once its successor is there: two hold still for a moment, none would for as long as it can't be made.
        let gone = paused.or_else(|| former.filter(|_| own.is_some() || plan.pause.whole));
        if let Some(gone) = gone {
            return self.hpa_writes.delete(gone, now.at);
        }
        if self.workload.found().is_none()
            || plan.pause.whole
            || !self.is_enough(evaluation, hpa, now)
        {
            return None;
        }
        let replicas = self.replicas(hpa).unwrap_or(plan.min);
        let live = hpa.and_then(|h| h.spec.as_ref()?.min_replicas);
        let bounds = (floor(&plan, activity, step, replicas, live), evaluation.max);
        match self.hpa_writes.write(&plan, bounds, hpa, now.at) {
            Decision::Write(write) => Some(write),
            Decision::AsWanted => {
                self.pace.hpa_is_as_wanted();
                None
            }
            Decision::Nothing => None,
        }
    }

    /// Whether enough is known for a status.
    fn is_known(&self, evaluation: &Evaluation, now: Moment) -> bool {
        let status = self.planned.plan.object.status.as_ref();
        let told = status.is_some_and(|s| !s.conditions.is_empty());
        self.planned
            .is_settled(evaluation, if told { STANDS } else { FIRST_STATUS }, now)
    }

    /// Whether enough is known for an HPA.
    fn is_enough(
        &self,
        evaluation: &Evaluation,
        live: Option<&HorizontalPodAutoscaler>,
        now: Moment,
    ) -> bool {
        let patience = if live.is_some() { STANDS } else { FIRST_HPA };
        self.planned.is_settled(evaluation, patience, now)
    }

    /// Takes what came of its last work; whether it has to be evaluated for that.
    pub(super) fn settle(&mut self, mut outcome: Outcome, now: Instant) -> bool {
        if self.planned.plan.object.metadata.uid != outcome.uid {
            return false;
        }
        let busy = std::mem::replace(&mut self.busy, Busy::Idle);
        let mut is_news = busy == Busy::Missed || outcome.tried_a_write;
        self.pace.settle(&outcome, now);
        self.statuses.settle(&outcome);
        if outcome.conflict || matches!(outcome.hpa, Some(Err(_))) {
            self.hpa_writes.failed();
        }
        if outcome.refused {
            self.hpa_writes.refused();
        }
        if outcome.failed {
            self.labels = Labels::default();
        }
        if let Some(stored) = &outcome.stored {
            self.hpa_writes.stored(stored);
        }
        is_news |= self.workload.settle(&mut outcome);
        is_news
    }

    fn replicas(&self, hpa: Option<&HorizontalPodAutoscaler>) -> Option<i32> {
        self.workload.replicas(&self.planned.plan, hpa)
    }
}
