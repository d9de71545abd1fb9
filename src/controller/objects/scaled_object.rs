//! The record of one ScaledObject: what is known of its workload, its HPA and its status, and what is to be done for it.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::{
    hpa_writes::{Decision, HpaWrites},
    labels::Labels,
    pace::{Interest, Pace},
    planned::Planned,
    round::{Busy, Round},
    status_writes::StatusWrites,
    work::{HpaWrite, Outcome, Step, Work},
};
use crate::{
    controller::write::target::Target,
    lag::Moment,
    scaling::{
        Activity, Due, Evaluation, Health, Live, Move, Plan, Surroundings, conditions, floor,
        foreign, keeps_awake, next_move, owns, sleeps_at,
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
    pub(super) target: Option<Result<Target, String>>,
    pace: Pace,
    busy: Busy,
    /// The replicas that the workload had when it was first looked at.
    pub(super) first_seen: Option<i32>,
    hpa_writes: HpaWrites,
    pub(super) statuses: StatusWrites,
    pub(super) last_active: Option<Timestamp>,
    pub(super) active_before: bool,
    /// Two changes of its HPA's name may be faster than a status.
    former_hpas: BTreeSet<String>,
    /// A total has to be divided by the pods that are ready.
    counts_pods: bool,
    labels: Labels,
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
            target: None,
            pace: Pace::default(),
            busy: Busy::Idle,
            first_seen: None,
            hpa_writes: HpaWrites::default(),
            statuses: StatusWrites::default(),
            last_active,
            active_before: false,
            former_hpas: BTreeSet::new(),
            counts_pods: false,
            labels: Labels::default(),
        }
    }

    /// Goes on with a plan made anew.
    pub(super) fn adopt(&mut self, plan: Arc<Plan>) {
        let before = &self.planned.plan;
        if before.hpa_name != plan.hpa_name {
            self.former_hpas.insert(before.hpa_name.clone());
            self.former_hpas.remove(&plan.hpa_name);
        }
        let old = &before.object.spec;
        if old.scale_target_ref != plan.object.spec.scale_target_ref {
            self.pace.look_anew();
            self.target = None;
            self.first_seen = None;
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
        let target = self.target.as_ref().and_then(|t| t.as_ref().ok());
        Surroundings {
            live: hpa.map(Live::of),
            replicas: self.replicas(hpa),
            ready: target.and_then(|t| t.ready),
        }
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
        let look = self.look(round);
        self.pace
            .due(self.target.as_ref(), &self.interest(hpa), due);
        if !round.leads {
            return look.then(|| Work::look(plan, self.counts_pods));
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
            let conditions =
                conditions(&plan, evaluation, &activity, &step, &health, live.as_ref());
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
            count_pods: self.counts_pods,
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

    /// Whether the workload is to be looked at.
    fn look(&mut self, round: &Round<'_>) -> bool {
        let withheld = round.evaluation.metrics.iter().any(|m| m.value.is_err());
        self.counts_pods = self.planned.plan.divides_by_pods() && withheld;
        let interest = self.interest(round.hpa);
        let target = self.target.as_ref();
        self.pace.should_look(target, &interest, round.now.at)
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
        if step.to().is_none() && self.target.is_some() {
            self.pace.no_step_is_wanted();
        }
        step
    }

    /// The step that may be made now: what the workload had is told before it has something else.
    fn noted(&self, step: Move, is_told: bool) -> Move {
        let plan = &self.planned.plan;
        let status = plan.object.status.as_ref();
        let told = status.and_then(|s| s.original_replica_count);
        let noted = !plan.restores() || told.is_some() || is_told;
        if noted { step } else { Move::Stay }
    }

    fn health(&self, hpa: Option<&HorizontalPodAutoscaler>) -> Health {
        Health {
            target: match &self.target {
                Some(Err(error)) => Some(error.clone()),
                _ => None,
            },
            write: foreign(&self.planned.plan, hpa).or_else(|| self.pace.write_error().cloned()),
            step: self.pace.step_error().cloned(),
            pruned: self.statuses.is_pruned(),
        }
    }

    /// Whether a status may be written: enough is known, and it is over no other version than the one that was seen.
    fn may_tell(&self, evaluation: &Evaluation, now: Moment) -> bool {
        let is_present =
            self.statuses.confirmed() || !self.statuses.is_past(&self.planned.plan.object);
        is_present && self.target.is_some() && self.is_known(evaluation, now)
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
        let found = matches!(self.target, Some(Ok(_)));
        if !found || plan.pause.whole || !self.is_enough(evaluation, hpa, now) {
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

    fn interest(&self, hpa: Option<&HorizontalPodAutoscaler>) -> Interest {
        let plan = &self.planned.plan;
        let current = hpa.and_then(|h| h.status.as_ref()?.current_replicas);
        let short = current.is_some_and(|c| c < plan.min.max(1));
        Interest {
            often: plan.sleeps() || short || plan.pause.whole,
            counts_pods: self.counts_pods,
            polling: plan.polling,
        }
    }

    /// Takes what came of its last work; whether it has to be evaluated for that.
    pub(super) fn settle(&mut self, outcome: Outcome, now: Instant) -> bool {
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
        if let Some(stored) = outcome.stored {
            self.hpa_writes.stored(&stored);
        }
        if let Some(target) = outcome.target {
            let seen = target.as_ref().ok().map(|t| t.replicas);
            self.first_seen = self.first_seen.or(seen);
            is_news |= self.target.as_ref() != Some(&target);
            self.target = Some(target);
        }
        if let (Some(replicas), Some(Ok(target))) = (outcome.replicas, &mut self.target) {
            target.replicas = replicas;
        }
        is_news
    }

    /// Names that its HPA had before: the one that the status tells, and those it was given since.
    pub(super) fn former_hpas(&self) -> impl Iterator<Item = &str> {
        let status = self.planned.plan.object.status.as_ref();
        let told = status.and_then(|s| s.hpa_name.as_deref());
        let told = told.filter(|told| *told != self.planned.plan.hpa_name);
        told.into_iter()
            .chain(self.former_hpas.iter().map(String::as_str))
    }

    /// An HPA of its own that still has a name which it had before.
    pub(super) fn former_hpa(
        &self,
        find: impl Fn(&str) -> Option<Arc<HorizontalPodAutoscaler>>,
    ) -> Option<Arc<HorizontalPodAutoscaler>> {
        let owned = |hpa: &Arc<_>| owns(&self.planned.plan, hpa);
        self.former_hpas().find_map(|name| find(name).filter(owned))
    }

    /// Replicas as far as they are known without asking: the HPA's status follows within a sync period, except at zero
    /// minimum, where the last step is ours and the workload is read itself.
    fn replicas(&self, hpa: Option<&HorizontalPodAutoscaler>) -> Option<i32> {
        let read = self.target.as_ref()?.as_ref().ok()?.replicas;
        if self.planned.plan.sleeps() || self.planned.plan.pause.whole {
            return Some(read);
        }
        let status = hpa.and_then(|h| h.status.as_ref());
        match status.and_then(|s| s.current_replicas) {
            // It counts pods; what is set may be more than there are yet.
            Some(current) if current > 0 && current >= self.planned.plan.min => Some(current),
            _ => Some(read),
        }
    }
}
