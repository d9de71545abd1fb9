//! A LagMetric as a plan: a trigger for each of its topics, evaluated as those of a ScaledObject are, of which the true lag is
//! served. Pure.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    quantity::format_milli,
    resources::{
        Condition, LagMetric, LagMetricSpec, LagMetricStatus, Remembered, ScaledObject,
        ScaledObjectSpec, ScaledObjectStatus, Trigger,
    },
    scaling::{
        Evaluation, Memory, Plan,
        table::{Entry, MAX_MILLI, Outcome, Owner},
    },
};

/// How often numbers alone are worth a write.
pub const NUMBERS: Duration = Duration::from_secs(60);

/// A ScaledObject with the same readings: every topic is a `kafka` trigger, in their order. It has no target.
#[must_use]
pub fn as_object(metric: &LagMetric) -> ScaledObject {
    let spec = &metric.spec;
    ScaledObject {
        metadata: metric.metadata.clone(),
        spec: ScaledObjectSpec {
            polling_interval: spec.polling_interval,
            triggers: spec.topics.iter().map(|t| trigger(spec, t)).collect(),
            ..ScaledObjectSpec::default()
        },
        status: metric.status.as_ref().map(|status| ScaledObjectStatus {
            remembered: status.remembered.clone(),
            ..ScaledObjectStatus::default()
        }),
    }
}

fn trigger(spec: &LagMetricSpec, topic: &str) -> Trigger {
    let flag = |value: &Option<bool>| value.map(|v| v.to_string());
    // Every field by name, so that none is forgotten.
    let LagMetricSpec {
        bootstrap_servers,
        consumer_group,
        topics: _,
        partition_limitation,
        offset_reset_policy,
        scale_to_zero_on_invalid_offset,
        exclude_persistent_lag,
        isolation,
        polling_interval: _,
        tls,
        sasl,
        authentication_ref,
    } = spec;
    let fields = [
        ("bootstrapServers", Some(bootstrap_servers.clone())),
        ("consumerGroup", Some(consumer_group.clone())),
        ("topic", Some(topic.to_owned())),
        ("partitionLimitation", partition_limitation.clone()),
        ("offsetResetPolicy", offset_reset_policy.clone()),
        (
            "scaleToZeroOnInvalidOffset",
            flag(scale_to_zero_on_invalid_offset),
        ),
        ("excludePersistentLag", flag(exclude_persistent_lag)),
        ("isolation", isolation.clone()),
        ("tls", tls.clone()),
        ("sasl", sasl.clone()),
    ];
    let given = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Trigger {
        kind: "kafka".into(),
        metadata: given.collect::<BTreeMap<_, _>>(),
        authentication_ref: authentication_ref.clone(),
        ..Trigger::default()
    }
}

/// The entries that the API serves of it: one item per topic, withheld where its lag is not known.
#[must_use]
pub fn items(metric: &LagMetric, plan: &Plan, evaluation: &Evaluation) -> Vec<Entry> {
    let topics = metric.spec.topics.iter().enumerate();
    let mut items: Vec<Entry> = topics
        .map(|(index, topic)| Entry {
            metric: plan.name.clone(),
            owner: Owner::Topic(topic.as_str().into()),
            outcome: match lag(plan, evaluation, index) {
                Ok((lag, at)) => Outcome::Value {
                    milli: lag.saturating_mul(1000).clamp(0, MAX_MILLI),
                    at,
                },
                Err(why) => Outcome::Withheld(why),
            },
        })
        .collect();
    items.sort_by(|a, b| topic(a).cmp(topic(b)));
    items
}

fn topic(entry: &Entry) -> &str {
    match &entry.owner {
        Owner::Topic(topic) => topic,
        Owner::ScaledObject(name) => name,
    }
}

/// The true lag of a topic and when it was read.
fn lag(plan: &Plan, evaluation: &Evaluation, index: usize) -> Result<(i64, Timestamp), Arc<str>> {
    if let Some(Err(why)) = plan.triggers.get(index).map(|t| &t.source) {
        return Err(why.clone());
    }
    let found = evaluation.metrics.iter().find(|m| m.index == index);
    match found.map(|m| &m.value) {
        Some(Ok(value)) => Ok((value.lag, value.at.wall)),
        Some(Err(trouble)) => Err(trouble.text.clone()),
        None => Err(plan.problem.as_deref().unwrap_or("it is not read").into()),
    }
}

/// The status that it is to have. `remembered` is where its group stood when it had not moved for a while.
#[must_use]
pub fn status(
    metric: &LagMetric,
    plan: &Plan,
    evaluation: &Evaluation,
    (memory, remembered): (&Memory, BTreeMap<String, Remembered>),
) -> LagMetricStatus {
    let topics = || metric.spec.topics.iter().enumerate();
    let lags: Vec<_> = topics()
        .map(|(i, t)| (t, lag(plan, evaluation, i)))
        .collect();
    let whole: Option<Vec<_>> = lags.iter().map(|(_, l)| l.clone().ok()).collect();
    let sum = whole.as_ref().map(|all| {
        let sum = all
            .iter()
            .fold(0_i64, |sum, (lag, _)| sum.saturating_add(*lag));
        format_milli(sum.saturating_mul(1000).clamp(0, MAX_MILLI))
    });
    let oldest = whole.and_then(|all| all.into_iter().map(|(_, at)| at).min());
    let oldest = oldest.and_then(|at| Timestamp::from_second(at.as_second()).ok());
    let partitions = topics().map(|(index, _)| memory.partitions(index));
    LagMetricStatus {
        observed_generation: metric.metadata.generation,
        value: sum,
        partitions: partitions.sum(),
        last_read_time: oldest.map(|at| at.to_string()),
        conditions: vec![ready(plan, &lags), partial(metric, evaluation)],
        remembered,
    }
}

type Lags<'a> = [(&'a String, Result<(i64, Timestamp), Arc<str>>)];

fn ready(plan: &Plan, lags: &Lags<'_>) -> Condition {
    let withheld = lags
        .iter()
        .find_map(|(topic, lag)| Some((topic, lag.as_ref().err()?)));
    let Some((topic, why)) = withheld else {
        return Condition::new("Ready", "True", "Read", "");
    };
    let invalid = plan.problem.is_some() || plan.triggers.iter().any(|t| t.source.is_err());
    let reason = if invalid { "Invalid" } else { "NotRead" };
    Condition::new("Ready", "False", reason, format!("topic {topic}: {why}"))
}

fn partial(metric: &LagMetric, evaluation: &Evaluation) -> Condition {
    let said = evaluation.metrics.iter().find_map(|m| {
        let missing = m.partial.as_ref().map(|t| t.text.to_string());
        let (reason, text) = match missing {
            Some(text) => ("Missing", text),
            None => ("Lost", m.notice.clone()?),
        };
        let topic = metric.spec.topics.get(m.index)?;
        Some((reason, format!("topic {topic}: {text}")))
    });
    match said {
        Some((reason, text)) => Condition::new("Partial", "True", reason, text),
        None => Condition::new("Partial", "False", "Whole", ""),
    }
}

/// Whether a status is worth a write: what it says at once, its numbers now and then. `written` is the age of the last one.
#[must_use]
pub fn is_worth_a_write(
    known: &LagMetricStatus,
    next: &LagMetricStatus,
    written: Option<Duration>,
) -> bool {
    let says = |status: &LagMetricStatus| {
        let conditions = status.conditions.iter();
        let said: Vec<_> = conditions
            .map(|c| (c.kind.clone(), c.status.clone(), c.reason.clone()))
            .collect();
        (said, status.observed_generation, status.value.is_some())
    };
    let (known_numbers, next_numbers) = (
        (&known.value, known.partitions),
        (&next.value, next.partitions),
    );
    let words = known.conditions != next.conditions;
    says(known) != says(next)
        || known.remembered != next.remembered
        || (known_numbers != next_numbers || words) && written.is_none_or(|age| age >= NUMBERS)
}
