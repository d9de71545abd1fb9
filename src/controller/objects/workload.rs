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
    /// `true` once a look has ended, also one that found nothing.
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

    /// `true` where a look has to count its ready pods.
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

    /// `true` where `pace` wants a look now. The time of the next look is added to `due`.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn plan(spec: &Value) -> Plan {
        let mut object = json!({
            "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": "app", "namespace": "shop"},
            "spec": {"scaleTargetRef": {"name": "app"}, "triggers": []},
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        Plan::new(
            Arc::new(serde_json::from_value(object).unwrap()),
            Vec::new(),
        )
    }

    fn looked_at(replicas: i32) -> Workload {
        let mut workload = Workload::default();
        let mut outcome = Outcome {
            target: Some(Ok(Target {
                gvkr: crate::resources::GroupVersionKindResource::default(),
                replicas,
                ready: None,
            })),
            ..Outcome::default()
        };
        assert!(workload.settle(&mut outcome), "the first look is news");
        workload
    }

    fn hpa(current: i32) -> HorizontalPodAutoscaler {
        serde_json::from_value(json!({"status": {"currentReplicas": current}, "metadata": {}}))
            .unwrap()
    }

    #[test]
    fn what_the_hpa_counts_goes_before_a_look_where_the_last_step_is_not_ours() {
        let workload = looked_at(3);
        let awake = plan(&json!({"minReplicaCount": 2}));
        for (current, replicas) in [(5, 5), (2, 2), (1, 3), (0, 3)] {
            let found = workload.replicas(&awake, Some(&hpa(current)));
            assert_eq!(found, Some(replicas), "{current}");
        }
        let sleeps = plan(&json!({"minReplicaCount": 0}));
        assert_eq!(workload.replicas(&sleeps, Some(&hpa(5))), Some(3));
        assert_eq!(Workload::default().replicas(&awake, Some(&hpa(5))), None);
    }

    #[test]
    fn the_first_look_is_remembered_and_a_step_is_known_without_another() {
        let mut workload = looked_at(3);
        let mut stepped = Outcome {
            replicas: Some(7),
            ..Outcome::default()
        };
        assert!(!workload.settle(&mut stepped));
        assert_eq!(workload.found().map(|t| t.replicas), Some(7));
        assert_eq!(workload.first_seen(), Some(3));
        let mut lost = Outcome {
            target: Some(Err("no Deployment app".into())),
            ..Outcome::default()
        };
        assert!(workload.settle(&mut lost));
        assert_eq!(
            workload.error().map(String::as_str),
            Some("no Deployment app")
        );
        assert!(workload.was_looked_at() && workload.found().is_none());
    }
}
