//! The sentences of an account, one subject each.

use std::{fmt::Write, sync::Arc};

use super::{Account, ExplainedTrigger, STABILIZATION_SECONDS};
use crate::{
    lag::Moment,
    scaling::{Activity, KafkaSource, Metric, Move, Source, holds},
    triggers::{Kafka, MetricType},
};

pub(super) fn trigger(
    account: &Account<'_>,
    index: usize,
    now: Moment,
) -> (ExplainedTrigger, String) {
    let Account {
        plan,
        evaluation,
        memory,
        ..
    } = account;
    let planned = &plan.triggers[index];
    let metric = evaluation.metrics.iter().find(|m| m.index == index);
    let mut told = ExplainedTrigger {
        index,
        kind: planned.kind.clone(),
        active: metric.is_some_and(|m| m.active),
        ..ExplainedTrigger::default()
    };
    let place = format!("trigger {index} ({})", planned.kind);
    let source = match &planned.source {
        Ok(source) => source,
        Err(why) => {
            told.trouble = Some(why.to_string());
            return (told, format!("{place} can't be read: {why}"));
        }
    };
    let by_the_hpa = || format!("{place} is read by the HPA itself");
    let Some(external) = source.external() else {
        return (told, by_the_hpa());
    };
    told.metric = Some(external.metric.to_string());
    told.threshold = Some(external.target_milli / 1000);
    let Some(metric) = metric else {
        return (told, format!("{place} is not read"));
    };
    let partial = metric.partial.as_ref();
    told.trouble = partial
        .map(|t| t.text.to_string())
        .or_else(|| metric.notice.clone());
    let value = match &metric.value {
        Ok(value) => value,
        Err(trouble) => {
            told.trouble = Some(trouble.text.to_string());
            let instead = match metric.fallback {
                Some(milli) => format!("its fallback of {} stands in for it", milli / 1000),
                None => "the HPA is told an error and holds".to_owned(),
            };
            return (
                told,
                format!("{place} is withheld ({}): {instead}", trouble.text),
            );
        }
    };
    told.lag = Some(value.lag);
    told.served = Some(value.served_milli / 1000);
    let age = value.at.age(now).as_secs();
    told.age_seconds = Some(age);
    let source = match source {
        Source::Kafka(source) => source,
        Source::Cron { .. } => {
            let wish = format!("{place} asks for {} replicas now", value.lag);
            return (told, wish);
        }
        Source::Resource(_) => return (told, by_the_hpa()),
    };
    told.partitions = memory.partitions(index);
    let complete_at = memory.complete_at(index).filter(|_| partial.is_some());
    told.incomplete_seconds = complete_at.map(|at| at.age(now).as_secs());
    let sentence = lag_sentence(&source.kafka, source.metric_type, metric, &told);
    (told, format!("{place}: {sentence}, read {age} s ago"))
}

fn lag_sentence(
    kafka: &Kafka,
    kind: MetricType,
    metric: &Metric,
    told: &ExplainedTrigger,
) -> String {
    let (lag, served) = (told.lag.unwrap_or(0), told.served.unwrap_or(0));
    let threshold = kafka.threshold;
    let topic = kafka
        .topic
        .as_deref()
        .map_or_else(|| "its topics".to_owned(), |t| format!("topic {t}"));
    let some = if metric.partial.is_some() {
        "at least "
    } else {
        ""
    };
    let mut said = format!(
        "group {} has {some}{lag} records to do on {topic}",
        kafka.group
    );
    if kind == MetricType::AverageValue {
        let _ = write!(
            said,
            ": ceil({lag} / {threshold}) = {} replicas",
            ceil(lag, threshold)
        );
    } else {
        let _ = write!(said, ", compared with {threshold} as a whole");
    }
    let consumers = told.partitions.map_or_else(
        || "the consumers that can work".to_owned(),
        |p| format!("the {p} partitions"),
    );
    if served < lag {
        let _ = write!(
            said,
            "; the HPA is told {served}, as much as {consumers} are for"
        );
    } else if served > lag {
        let _ = write!(
            said,
            "; the HPA is told {served}, so that its tolerance does not hold it one short"
        );
    }
    if let (Some(trouble), Some(seconds)) = (&metric.partial, told.incomplete_seconds) {
        let age = jiff::SignedDuration::from_secs(seconds.cast_signed());
        let _ = write!(
            said,
            "; for {age:#} a part could not be read ({}), so no less counts than in the last complete reading",
            trouble.text
        );
    }
    if lag <= kafka.activation && kafka.activation > 0 {
        let _ = write!(
            said,
            "; that is not above the activation threshold {}",
            kafka.activation
        );
    }
    said
}

pub(super) fn bounds(account: &Account<'_>) -> Option<String> {
    let Account {
        plan,
        evaluation,
        around,
        ..
    } = account;
    if evaluation.max < plan.max {
        let is_of_partitions = plan.triggers.iter().any(|t| t.kafka().is_some());
        let why = if is_of_partitions {
            "more consumers than partitions would have nothing to do"
        } else {
            "no trigger ever asks for more"
        };
        return Some(format!(
            "maxReplicas is {}, not {}: {why}",
            evaluation.max, plan.max
        ));
    }
    let live = around
        .live
        .as_ref()
        .map(|l| l.max)
        .filter(|max| *max != evaluation.max)?;
    Some(format!(
        "maxReplicas of the HPA is still {live}, and becomes {}",
        evaluation.max
    ))
}

pub(super) fn hpa(account: &Account<'_>) -> Vec<String> {
    let Account { plan, hpa, .. } = account;
    let Some(hpa) = hpa else {
        return vec![format!("there is no HPA {} yet", plan.hpa_name)];
    };
    let status = hpa.status.as_ref();
    let mut said = Vec::new();
    if let Some(status) = status {
        said.push(format!(
            "HPA {} has {} and wants {}",
            plan.hpa_name,
            status.current_replicas.unwrap_or(0),
            status.desired_replicas
        ));
    }
    let conditions = status
        .into_iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let holding = conditions.filter(|condition| holds(condition));
    said.extend(holding.map(|condition| {
        let message = condition.message.as_deref().unwrap_or_default();
        format!("the HPA says: {message}")
    }));
    said
}

pub(super) fn step(account: &Account<'_>) -> Option<String> {
    let plan = account.plan;
    Some(match account.step {
        Move::Stay if *account.activity == Activity::Unknown => {
            "not everything is known, so nothing is put to sleep".to_owned()
        }
        Move::Stay | Move::CoolDown if *account.activity == Activity::Stirring => format!(
            "there is work since the last poll, so it is not put to sleep; the next one, at most {} s later, wakes it",
            plan.polling.as_secs()
        ),
        Move::Stay => return None,
        Move::CoolDown => format!(
            "there is no work; it sleeps once that was so for cooldownPeriod, {} s",
            plan.cooldown.as_secs()
        ),
        Move::Wake(to, metrics) => {
            let metrics: Vec<&str> = metrics.iter().map(Arc::as_ref).collect();
            format!("it is woken to {to}, because of {}", metrics.join(", "))
        }
        Move::Sleep(to) => format!("the cool-down is over, it goes to {to}"),
        Move::Floor(to) => format!("it goes up to minReplicaCount, {to}"),
        Move::Hold(to) => format!("it goes to {to}, at which it is paused"),
    })
}

/// For an object of one lag trigger, which is what most are, in records; else what can be said without numbers.
pub(super) fn would_change(account: &Account<'_>) -> Vec<String> {
    let Account {
        plan,
        evaluation,
        around,
        hpa,
        ..
    } = account;
    let mut said = Vec::new();
    let stabilized = hpa.and_then(|h| {
        let down = h.spec.as_ref()?.behavior.as_ref()?.scale_down.as_ref()?;
        down.stabilization_window_seconds
    });
    let window = stabilized.map_or(STABILIZATION_SECONDS, i64::from);
    let replicas = i64::from(around.replicas.unwrap_or(0));
    let one = match plan.triggers.as_slice() {
        [one] if plan.modifiers.is_none() => one.kafka(),
        _ => None,
    };
    if let Some(KafkaSource {
        kafka,
        metric_type: MetricType::AverageValue,
        ..
    }) = one
        && replicas > 0
    {
        let live = around.live.as_ref();
        let tolerance = live
            .and_then(|l| l.tolerance_milli)
            .unwrap_or(account.tolerance_milli);
        let (threshold, max) = (kafka.threshold, i64::from(evaluation.max));
        if replicas < max {
            let held = share(replicas, threshold, 1000_i64.saturating_add(tolerance));
            said.push(format!(
                "more replicas: a lag above {}",
                held.max(replicas.saturating_mul(threshold))
            ));
        } else {
            said.push(
                "more replicas: more partitions, or a higher maxReplicaCount if that is the limit"
                    .to_owned(),
            );
        }
        let floor = i64::from(plan.min.max(1));
        if replicas > floor {
            let held = share(
                replicas,
                threshold,
                1000_i64.saturating_sub(account.tolerance_milli),
            );
            let below = held.min((replicas - 1).saturating_mul(threshold)).max(0);
            said.push(format!("fewer replicas: a lag of {below} or less for {window} s, the HPA's stabilization window"));
        }
    }
    if plan.sleeps() && replicas > 0 {
        said.push(format!(
            "sleep: no trigger above its activation threshold for {} s",
            plan.cooldown.as_secs()
        ));
    }
    if plan.pause.whole {
        said.push("anything: without the annotation that pauses it".to_owned());
    }
    said
}

/// The lag at so many thousandths of `replicas` times `threshold`.
fn share(replicas: i64, threshold: i64, milli: i64) -> i64 {
    let share = i128::from(replicas).saturating_mul(threshold.into());
    let share = share.saturating_mul(milli.into()) / 1000;
    i64::try_from(share).unwrap_or(i64::MAX)
}

fn ceil(lag: i64, threshold: i64) -> i64 {
    lag.div_euclid(threshold) + i64::from(lag.rem_euclid(threshold) > 0)
}
