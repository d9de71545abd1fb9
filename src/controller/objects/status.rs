//! The status that an object is to have.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use jiff::Timestamp;

use super::scaled_object::ScaledObjectRecord;
use crate::{
    lag::Moment,
    resources::{
        Condition, GroupVersionKindResource, Health, Remembered, ScaledObjectStatus,
        TriggerActivity,
    },
    scaling::{
        Activity, COMPOSITE, Evaluation, Event, Source, complete, events, forgets, limits, remember,
    },
    snapshot::Snapshots,
};

impl ScaledObjectRecord {
    pub(super) fn status(
        &mut self,
        evaluation: &Evaluation,
        conditions: Vec<Condition>,
        has_hpa: bool,
        activity: &Activity,
        remembered: Option<BTreeMap<String, Remembered>>,
        now: Moment,
    ) -> Option<(ScaledObjectStatus, Vec<Event>)> {
        let plan = &self.planned.plan;
        let active = matches!(activity, Activity::Active(_));
        let known = self.statuses.known(&plan.object, now.at);
        let known = known.cloned().unwrap_or_default();
        let mut next = known.clone();
        if let Some(remembered) = remembered {
            next.remembered = remembered;
        }
        next.conditions = conditions;
        if let Some(target) = self.workload.found() {
            let GroupVersionKindResource {
                group,
                version,
                kind,
                ..
            } = &target.gvkr;
            next.scale_target_kind = Some(format!("{group}/{version}.{kind}"));
            next.scale_target_gvkr = Some(target.gvkr.clone());
            next.original_replica_count = next
                .original_replica_count
                .or_else(|| self.workload.first_seen())
                .or(Some(target.replicas));
        }
        next.paused_replica_count = plan.pause.replicas;
        next.hpa_name = has_hpa.then(|| plan.hpa_name.clone()).or(next.hpa_name);
        let sources = || plan.triggers.iter().filter_map(|t| t.source.as_ref().ok());
        let external = |s: &Source| s.external().map(|e| e.metric.to_string());
        next.external_metric_names = sources().filter_map(external).collect();
        next.composite_scaler_name = plan.modifiers.as_ref().map(|_| COMPOSITE.into());
        next.triggers_activity = triggers_activity(evaluation, activity, next.triggers_activity);
        for metric in &evaluation.metrics {
            if let Some(number_of_failures) = metric.failures {
                let status = if number_of_failures == 0 {
                    "Happy"
                } else {
                    "Failing"
                };
                let health = Health {
                    number_of_failures,
                    status: status.into(),
                };
                next.health.insert(metric.name.to_string(), health);
            }
        }
        next.health
            .retain(|name, _| next.external_metric_names.contains(name));
        let resource = |s: &Source| s.resource().map(|resource| resource.kind.to_owned());
        next.resource_metric_names = sources().filter_map(resource).collect();
        next.triggers_types = Some(listed(plan.triggers.iter().map(|t| t.kind.as_str())));
        let references = limits::readable(&plan.object).iter();
        let references = references.filter_map(|t| t.authentication_ref.as_ref());
        next.authentications_types = Some(listed(references.map(|r| r.name.as_str())));
        self.last_active_time(&mut next, active, now.wall);
        if !self
            .statuses
            .write((&known, &next), self.planned.since, now.at)
        {
            return None;
        }
        let events = events(&self.planned.plan, &known, &next);
        Some((next, events))
    }

    /// The marks that the status is to remember from now on, if they are others than before: where the groups stand when the
    /// workload goes to sleep. That stays until it does so again, since a commit that is there rules whatever is remembered.
    pub(super) fn remembered(
        &self,
        evaluation: &Evaluation,
        snapshots: &Snapshots,
        (to, replicas): (Option<i32>, Option<i32>),
        now: Instant,
    ) -> Option<BTreeMap<String, Remembered>> {
        let plan = &self.planned.plan;
        if !evaluation.is_read() {
            return None;
        }
        if to == Some(0) {
            return Some(remember(plan, snapshots));
        }
        if to.is_some() || replicas != Some(0) {
            return None;
        }
        let known = self.statuses.known(&plan.object, now);
        let known = known.map(|s| s.remembered.clone());
        let known = known.unwrap_or_default();
        forgets(plan, &known).then(|| complete(known, remember(plan, snapshots)))
    }

    /// Written where a cool-down needs it: when activity ends, and now and then while it lasts.
    fn last_active_time(&self, next: &mut ScaledObjectStatus, active: bool, now: Timestamp) {
        let Some(last) = self.last_active.filter(|_| self.planned.plan.sleeps()) else {
            return;
        };
        let written = next
            .last_active_time
            .as_ref()
            .and_then(|t| t.parse::<Timestamp>().ok());
        let often = (self.planned.plan.cooldown / 3).max(self.planned.plan.polling);
        let old = written.is_none_or(|w| w.checked_add(often).is_ok_and(|due| due <= now));
        let ended = self.active_before && !active;
        if active && old || ended {
            let seconds = Timestamp::from_second(last.as_second()).unwrap_or(last);
            next.last_active_time = Some(seconds.to_string());
        }
    }
}

/// The activity of each metric in the last poll; while nothing is known, what was known before.
fn triggers_activity(
    evaluation: &Evaluation,
    activity: &Activity,
    before: BTreeMap<String, TriggerActivity>,
) -> BTreeMap<String, TriggerActivity> {
    let served = evaluation.metrics.iter().map(|m| &m.name);
    let names: Vec<_> = match &evaluation.composite {
        Some(_) => vec![COMPOSITE.into()],
        None => served.cloned().collect(),
    };
    let active: &[_] = match activity {
        Activity::Active(active) => active,
        Activity::Idle | Activity::Stirring => &[],
        Activity::Unknown => return before,
    };
    let activity = |name: Arc<str>| {
        let is_active = active.contains(&name);
        (name.to_string(), TriggerActivity { is_active })
    };
    names.into_iter().map(activity).collect()
}

/// Each once, in the order of the triggers, with commas: KEDA's column texts.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut seen = BTreeSet::new();
    let names: Vec<_> = names.filter(|name| seen.insert(*name)).collect();
    names.join(",")
}
