//! The workload of one object as it was last looked at: its replicas, and why it is looked at again.

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

use super::{
    pace::{Interest, Pace},
    work::Outcome,
};
use crate::{
    controller::write::target::Target,
    lag::Moment,
    scaling::{Due, Evaluation, Live, Plan, Surroundings},
};

/// The last look at one workload, and what it is for.
#[derive(Default)]
pub(super) struct Workload {
    /// `None` until it was looked at; an error where it could not be found or read.
    target: Option<Result<Target, String>>,
    /// The replicas that it had when it was first looked at.
    first_seen: Option<i32>,
    /// A total has to be divided by the pods that are ready.
    counts_pods: bool,
}

impl Workload {
    /// Whether somebody has looked, whatever was found.
    pub(super) fn was_looked_at(&self) -> bool {
        self.target.is_some()
    }

    /// The workload, where it was found.
    pub(super) fn found(&self) -> Option<&Target> {
        self.target.as_ref()?.as_ref().ok()
    }

    /// Why it was not found.
    pub(super) fn error(&self) -> Option<&String> {
        self.target.as_ref()?.as_ref().err()
    }

    /// The replicas that it had when it was first looked at.
    pub(super) fn first_seen(&self) -> Option<i32> {
        self.first_seen
    }

    /// Whether its ready pods are to be counted.
    pub(super) fn counts_pods(&self) -> bool {
        self.counts_pods
    }

    /// The surroundings of its object.
    pub(super) fn surroundings(
        &self,
        plan: &Plan,
        hpa: Option<&HorizontalPodAutoscaler>,
    ) -> Surroundings {
        Surroundings {
            live: hpa.map(Live::of),
            replicas: self.replicas(plan, hpa),
            ready: self.found().and_then(|target| target.ready),
        }
    }

    /// Replicas as far as they are known without asking: the HPA's status follows within a sync period, except at zero
    /// minimum, where the last step is ours and the workload is read itself.
    pub(super) fn replicas(
        &self,
        plan: &Plan,
        hpa: Option<&HorizontalPodAutoscaler>,
    ) -> Option<i32> {
        let read = self.found()?.replicas;
        if plan.sleeps() || plan.pause.whole {
            return Some(read);
        }
        let status = hpa.and_then(|h| h.status.as_ref());
        match status.and_then(|s| s.current_replicas) {
            // It counts pods; what is set may be more than there are yet.
            Some(current) if current > 0 && current >= plan.min => Some(current),
            _ => Some(read),
        }
    }

    /// Whether it is to be looked at now, by `pace`; when it is next due goes into `due`.
    pub(super) fn look(
        &mut self,
        plan: &Plan,
        (evaluation, hpa): (&Evaluation, Option<&HorizontalPodAutoscaler>),
        pace: &mut Pace,
        (now, due): (Moment, &mut Due),
    ) -> bool {
        let withheld = evaluation.metrics.iter().any(|m| m.value.is_err());
        self.counts_pods = plan.divides_by_pods() && withheld;
        let current = hpa.and_then(|h| h.status.as_ref()?.current_replicas);
        let short = current.is_some_and(|c| c < plan.min.max(1));
        let interest = Interest {
            often: plan.sleeps() || short || plan.pause.whole,
            counts_pods: self.counts_pods,
            polling: plan.polling,
        };
        let target = self.target.as_ref();
        let look = pace.should_look(target, &interest, now.at);
        pace.due(target, &interest, due);
        look
    }

    /// Takes what a look found and a step set; whether that is news.
    pub(super) fn settle(&mut self, outcome: &mut Outcome) -> bool {
        let mut is_news = false;
        if let Some(target) = outcome.target.take() {
            let seen = target.as_ref().ok().map(|t| t.replicas);
            self.first_seen = self.first_seen.or(seen);
            is_news = self.target.as_ref() != Some(&target);
            self.target = Some(target);
        }
        if let (Some(replicas), Some(Ok(target))) = (outcome.replicas, &mut self.target) {
            target.replicas = replicas;
        }
        is_news
    }
}
