//! The status of an object: what it is to say, and when it is worth a write.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::object::{ECHO, Object};
use crate::{
    lag::Moment,
    poll::{ClusterKey, Picture},
    resources::{
        Condition, GroupVersionKindResource, Health, Remembered, ScaledObjectStatus,
        TriggerActivity,
    },
    scaling::{
        Activity, COMPOSITE, Evaluation, Event, Source, complete, events, forgets, limits, remember,
    },
};

/// In an outage the cause changes its words from try to try; they are written after this long, then less and less often.
/// What an HPA says of itself is written once it has said so for this long: it goes to and fro while pods come and go.
const WORDS: Duration = Duration::from_secs(10);
const SELDOM_WORDS: Duration = Duration::from_secs(600);

impl Object {
    pub(super) fn status(
        &mut self,
        evaluation: &Evaluation,
        conditions: Vec<Condition>,
        has_hpa: bool,
        activity: &Activity,
        remembered: Option<BTreeMap<String, Remembered>>,
        now: Moment,
    ) -> Option<(ScaledObjectStatus, Vec<Event>)> {
        let plan = &self.plan;
        let active = matches!(activity, Activity::Active(_));
        let known = self.known_status().cloned().unwrap_or_default();
        let mut next = known.clone();
        if let Some(remembered) = remembered {
            next.remembered = remembered;
        }
        next.conditions = conditions;
        if let Some(Ok(target)) = &self.target {
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
                .or(self.first_seen)
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
        let resource = |s: &Source| match s {
            Source::Resource(resource) => Some(resource.kind.to_owned()),
            Source::Kafka { .. } | Source::Cron { .. } => None,
        };
        next.resource_metric_names = sources().filter_map(resource).collect();
        next.triggers_types = Some(listed(plan.triggers.iter().map(|t| t.kind.as_str())));
        let references = limits::readable(&plan.object).iter();
        let references = references.filter_map(|t| t.authentication_ref.as_ref());
        next.authentications_types =
            Some(listed(references.map(|r| r.name.as_str()))).filter(|l| !l.is_empty());
        self.last_active_time(&mut next, active, now.wall);
        if next == known {
            return None;
        }
        let wordless = wordless(&next) == wordless(&known);
        let turned = says(&next) != says(&known);
        self.turned_at = turned.then(|| self.turned_at.unwrap_or(now.at));
        let stays = self.turned_at.is_some_and(|at| at.elapsed() >= WORDS);
        if wordless && !stays && !self.words_are_due() {
            return None;
        }
        self.words = match self.words {
            _ if !wordless => 0,
            words if stays => words,
            words => words.saturating_add(1),
        };
        let events = events(&self.plan, &known, &next);
        self.status_written = Some((next.clone(), now.at));
        Some((next, events))
    }

    /// What the status says: the last one written, until the watch has come to it.
    fn known_status(&self) -> Option<&ScaledObjectStatus> {
        let live = self.plan.object.status.as_ref();
        let same = live.is_some() && self.status_stored.as_ref() == live;
        match &self.status_written {
            Some((written, at)) if at.elapsed() < ECHO || self.is_past() || same => Some(written),
            _ => live,
        }
    }

    /// What the status is to remember from now on, if that is another thing than before: where the groups stand when the
    /// workload goes to sleep. That stays until it does so again, since a commit that is there rules whatever is remembered.
    pub(super) fn remembered(
        &self,
        evaluation: &Evaluation,
        pictures: &BTreeMap<ClusterKey, Arc<Picture>>,
        to: Option<i32>,
        replicas: Option<i32>,
    ) -> Option<BTreeMap<String, Remembered>> {
        let plan = &self.plan;
        let mut metrics = evaluation.metrics.iter();
        if !metrics.all(|m| m.value.is_ok() && m.partial.is_none()) {
            return None;
        }
        if to == Some(0) {
            return Some(remember(plan, pictures));
        }
        if to.is_some() || replicas != Some(0) {
            return None;
        }
        let known = self.known_status().map(|s| s.remembered.clone());
        let known = known.unwrap_or_default();
        forgets(plan, &known).then(|| complete(known, remember(plan, pictures)))
    }

    /// Whether the last status that remembered something was stored without that, as a foreign CRD makes of it.
    pub(super) fn is_pruned(&self) -> bool {
        let written = self.status_written.as_ref();
        let stored = self.status_stored.as_ref();
        written
            .zip(stored)
            .is_some_and(|((w, _), s)| !w.remembered.is_empty() && s.remembered.is_empty())
    }

    /// Written where a cool-down needs it: when activity ends, and now and then while it lasts.
    fn last_active_time(&self, next: &mut ScaledObjectStatus, active: bool, now: Timestamp) {
        let Some(last) = self.last_active.filter(|_| self.plan.sleeps()) else {
            return;
        };
        let written = next
            .last_active_time
            .as_ref()
            .and_then(|t| t.parse::<Timestamp>().ok());
        let often = (self.plan.cooldown / 3).max(self.plan.polling);
        let old = written.is_none_or(|w| w.checked_add(often).is_ok_and(|due| due <= now));
        let ended = self.active_before && !active;
        if active && old || ended {
            let seconds = Timestamp::from_second(last.as_second()).unwrap_or(last);
            next.last_active_time = Some(seconds.to_string());
        }
    }

    /// Whether a change of nothing but the words of conditions is worth a write.
    fn words_are_due(&self) -> bool {
        let every = WORDS
            .saturating_mul(1 << self.words.min(6))
            .min(SELDOM_WORDS);
        let written = self.status_written.as_ref();
        written.map_or(self.since, |(_, at)| *at).elapsed() >= every
    }
}

/// Whether the HPA says that it scales.
fn says(status: &ScaledObjectStatus) -> Option<&str> {
    let mut conditions = status.conditions.iter();
    let said = conditions.find(|c| c.kind == "HPAActive");
    said.map(|c| c.status.as_str())
}

/// Without the words of conditions, and without what an HPA says of itself.
fn wordless(status: &ScaledObjectStatus) -> ScaledObjectStatus {
    let mut status = status.clone();
    status.conditions.retain(|c| c.kind != "HPAActive");
    for condition in &mut status.conditions {
        condition.message.clear();
    }
    status
}

/// What the last poll found of each metric; while nothing is known, what was known before.
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

/// Sorted, each once, with commas: KEDA's column texts.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.join(",")
}
