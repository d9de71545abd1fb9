//! One object in the engine: its plan, what is remembered of it, and what is being done about it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec};

use super::{
    apply::{HpaWrite, Outcome, Step, Work},
    target::Target,
};
use crate::{
    lag::Moment,
    resources::ScaledObjectStatus,
    scaling::{
        Activity, Evaluation, Health, Live, Memory, Move, Plan, conditions, difference, next_move,
        wanted,
    },
};

/// How long a write may take to come back over the watch before it is looked at again.
pub(super) const ECHO: Duration = Duration::from_secs(5);
/// A missing workload is looked for this often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// One that was found may have gone.
const LOOK_SELDOM: Duration = Duration::from_secs(60);

/// The engine's record of one ScaledObject.
pub(super) struct Object {
    pub(super) plan: Arc<Plan>,
    pub(super) memory: Memory,
    pub(super) target: Option<Result<Target, String>>,
    pub(super) looked: Option<Instant>,
    pub(super) working: bool,
    pub(super) write_error: Option<String>,
    pub(super) failures: u32,
    pub(super) retry_at: Option<Instant>,
    pub(super) step_retry_at: Option<Instant>,
    /// The HPA's resource version before our last write: until it changes, the store is older than the write.
    pub(super) hpa_before: Option<(Option<String>, Instant)>,
    /// What we asked for last and what the API server made of it: quantities in another spelling, a field behind a gate
    /// left out. That difference is no reason to write again.
    hpa_asked: Option<HorizontalPodAutoscalerSpec>,
    pub(super) hpa_stored: Option<HorizontalPodAutoscalerSpec>,
    pub(super) status_written: Option<(ScaledObjectStatus, Instant)>,
    /// What the API server made of it: a foreign CRD may leave fields out.
    pub(super) status_stored: Option<ScaledObjectStatus>,
    pub(super) last_active: Option<Timestamp>,
    pub(super) active_before: bool,
}

impl Object {
    pub(super) fn new(plan: Arc<Plan>, now: Timestamp) -> Self {
        let status = plan.object.status.as_ref();
        // Nobody knows what happened while nobody looked: a cool-down begins anew with whoever takes over.
        let last_active = status
            .and_then(|s| s.last_active_time.as_ref())
            .map(|_| now);
        Self {
            plan,
            memory: Memory::default(),
            target: None,
            looked: None,
            working: false,
            write_error: None,
            failures: 0,
            retry_at: None,
            step_retry_at: None,
            hpa_before: None,
            hpa_asked: None,
            hpa_stored: None,
            status_written: None,
            status_stored: None,
            last_active,
            active_before: false,
        }
    }

    /// What has to be done now, if anything; nothing while something is being done.
    pub(super) fn work(
        &mut self,
        evaluation: &Evaluation,
        hpa: Option<&HorizontalPodAutoscaler>,
        former: Option<&HorizontalPodAutoscaler>,
        now: Moment,
    ) -> Option<Work> {
        if self.working {
            return None;
        }
        // What fails to be written must not keep a workload asleep.
        let writes = self.retry_at.is_none_or(|at| now.at >= at);
        let steps = self.step_retry_at.is_none_or(|at| now.at >= at);
        let activity = Activity::of(&self.plan, evaluation);
        let active = matches!(activity, Activity::Active(_));
        if active {
            self.last_active = Some(now.wall);
        }
        let look = self.should_look(hpa, now);
        let step = match self.replicas(hpa) {
            Some(replicas) if self.plan.problem.is_none() && steps => {
                next_move(&self.plan, &activity, replicas, self.last_active, now.wall)
            }
            _ => Move::Stay,
        };
        let target_found = matches!(self.target, Some(Ok(_)));
        let paused = hpa.filter(|_| self.plan.pause.whole);
        let former = former.filter(|f| self.owns(f));
        // Only once its successor is there: two hold still for a moment, none would for as long as it can't be made.
        let replaced = former.filter(|_| hpa.is_some());
        let gone = paused.filter(|h| self.owns(h)).or(replaced);
        let hpa_write = if !writes {
            None
        } else if let Some(gone) = gone {
            Some(HpaWrite::Delete(Box::new(gone.clone())))
        } else if target_found && evaluation.polled && !self.plan.pause.whole {
            self.hpa_write(evaluation, hpa, now)
        } else {
            None
        };
        let made = matches!(hpa_write, Some(HpaWrite::Create(_) | HpaWrite::Replace(_)));
        // The former one's name is told until it is gone, so that it is not forgotten.
        let named = former.is_none() && (hpa.is_some() || made);
        let health = Health {
            target: match &self.target {
                Some(Err(error)) => Some(error.clone()),
                _ => None,
            },
            write: self.write_error.clone(),
        };
        let conditions = conditions(&self.plan, evaluation, &activity, &step, &health);
        let status = if writes {
            self.status(evaluation, conditions, named, active, now)
        } else {
            None
        };
        self.active_before = active;
        let to = |to, woken_by| {
            let from = self.replicas(hpa)?;
            Some(Step { from, to, woken_by })
        };
        let step = match step {
            Move::Wake(replicas, why) => to(replicas, why),
            Move::Sleep(replicas) | Move::Floor(replicas) | Move::Hold(replicas) => {
                to(replicas, Vec::new())
            }
            Move::Stay | Move::CoolDown => None,
        };
        let work = Work {
            plan: self.plan.clone(),
            look,
            hpa: hpa_write,
            step,
            status,
        };
        (!work.is_empty()).then_some(work)
    }

    /// When what failed is tried again; what was not tried stays as it is.
    pub(super) fn settle(&mut self, outcome: &Outcome) {
        let soon = Some(Instant::now() + Duration::from_secs(1));
        if outcome.error.is_some() || outcome.conflict {
            self.hpa_before = None;
        }
        if outcome.status_failed {
            self.status_written = None;
        }
        self.step_retry_at = soon.filter(|_| outcome.step_error.is_some());
        if outcome.conflict {
            // Our copy is older than the server's: the watch brings the new one.
            self.retry_at = soon;
        } else if outcome.status_failed || outcome.error.is_some() {
            let delay = Duration::from_secs(1).saturating_mul(1 << self.failures.min(6));
            self.failures = self.failures.saturating_add(1);
            self.retry_at = Some(Instant::now() + delay.min(LONGEST_BACKOFF));
        } else if outcome.wrote {
            self.failures = 0;
            self.retry_at = None;
        }
    }

    /// The name that the status tells, if the object's HPA is now to have another one.
    pub(super) fn former_hpa(&self) -> Option<&str> {
        let told = self.plan.object.status.as_ref()?.hpa_name.as_deref()?;
        (told != self.plan.hpa_name).then_some(told)
    }

    fn owns(&self, hpa: &HorizontalPodAutoscaler) -> bool {
        let uid = self.plan.object.metadata.uid.as_deref();
        let mut owners = hpa.metadata.owner_references.iter().flatten();
        owners.any(|o| Some(o.uid.as_str()) == uid)
    }

    /// Replicas as far as they are known without asking: the HPA's status follows within a sync period, except at zero
    /// minimum, where the last step is ours and the workload is read itself.
    fn replicas(&self, hpa: Option<&HorizontalPodAutoscaler>) -> Option<i32> {
        let read = self.target.as_ref()?.as_ref().ok()?.replicas;
        if self.plan.sleeps() || self.plan.pause.whole {
            return Some(read);
        }
        let status = hpa.and_then(|h| h.status.as_ref());
        match status.and_then(|s| s.current_replicas) {
            // It counts pods; what is set may be more than there are yet.
            Some(current) if current > 0 && current >= self.plan.min => Some(current),
            _ => Some(read),
        }
    }

    fn should_look(&mut self, hpa: Option<&HorizontalPodAutoscaler>, now: Moment) -> bool {
        let age = self.looked.map(|at| now.at.saturating_duration_since(at));
        let current = hpa.and_then(|h| h.status.as_ref()?.current_replicas);
        let look = match (&self.target, age) {
            (_, None) | (None, _) => true,
            (Some(Err(_)), Some(age)) => age >= LOOK_AGAIN,
            (Some(Ok(_)), Some(age)) => {
                let short = current.is_some_and(|c| c < self.plan.min.max(1));
                let often = self.plan.sleeps() || short || self.plan.pause.whole;
                let least = if often { Duration::ZERO } else { LOOK_SELDOM };
                age >= self.plan.polling.max(least)
            }
        };
        if look {
            self.looked = Some(now.at);
        }
        look
    }

    fn hpa_write(
        &mut self,
        evaluation: &Evaluation,
        live: Option<&HorizontalPodAutoscaler>,
        now: Moment,
    ) -> Option<HpaWrite> {
        let plan = &self.plan;
        if plan.problem.is_some() || plan.triggers.iter().any(|t| t.source.is_err()) {
            // A live HPA keeps what it has: leaving a metric out would let the others scale in.
            return None;
        }
        let version = live.and_then(|l| l.metadata.resource_version.clone());
        if let Some((before, at)) = &self.hpa_before
            && *before == version
            && at.elapsed() < ECHO
        {
            return None;
        }
        let mut wanted = wanted(plan, evaluation.max)?;
        let asked = wanted.spec.clone();
        if let Some(live) = live.and_then(|l| l.spec.as_ref())
            && self.hpa_stored.as_ref() == Some(live)
            && self.hpa_asked == asked
        {
            wanted.spec = Some(live.clone());
        }
        let write = match live {
            None => HpaWrite::Create(Box::new(wanted)),
            Some(live) => HpaWrite::Replace(Box::new(difference(live, &wanted)?)),
        };
        self.hpa_before = Some((version, now.at));
        self.hpa_asked = asked;
        Some(write)
    }
}

/// What counts of a watched HPA.
pub(super) fn live(hpa: Option<&HorizontalPodAutoscaler>) -> Option<Live> {
    hpa.map(Live::of)
}
