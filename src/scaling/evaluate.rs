//! One object against what is known now: for every metric the value to serve or why it is withheld, and the maxReplicas
//! its HPA is to have.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Live, Plan, Source,
    memory::{Memory, TriggerMemory},
    reading::{Readout, read},
    signal::{Cut, even, signal},
};
use crate::{
    lag::Moment,
    poll::{ClusterKey, Picture, Trouble},
    triggers::{Kafka, MetricType},
};

/// What is the same for all objects.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Age at which a reading is no longer served: longer than a broker failover.
    pub max_sample_age: Duration,
    /// The controller manager's `--horizontal-pod-autoscaler-tolerance`, in thousandths.
    pub tolerance_milli: i64,
}

/// An evaluated object.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Of every trigger with an external metric, in trigger order.
    pub metrics: Vec<Metric>,
    /// What the HPA's maxReplicas is to be.
    pub max: i32,
    /// The first poll of each of its groups has finished, failed or timed out.
    pub polled: bool,
}

/// One external metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// The trigger's place in the object.
    pub index: usize,
    /// Its name.
    pub name: Arc<str>,
    /// What is served.
    pub value: Result<Value, Trouble>,
    /// Whether what could be read is above the activation threshold: a part of it is enough to wake a workload.
    pub active: bool,
    /// What is served instead while the value is withheld, in records.
    pub fallback: Option<i64>,
    /// Failures as the status tells them; `None` where no fallback is asked for.
    pub failures: Option<i32>,
    /// Something could not be read; the value stands on older pairs.
    pub partial: Option<Trouble>,
    /// Commits or records that are lost; the value takes them into account.
    pub notice: Option<String>,
}

/// A value and what is behind it. In records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value {
    /// What the HPA sees.
    pub served: i64,
    /// The true lag.
    pub lag: i64,
    /// When it was read.
    pub at: Moment,
}

/// Evaluates `plan`. `live` is its HPA as watched.
pub fn evaluate(
    plan: &Plan,
    pictures: &BTreeMap<ClusterKey, Arc<Picture>>,
    live: Option<&Live>,
    memory: &mut Memory,
    settings: Settings,
    now: Moment,
) -> Evaluation {
    let mut polled = true;
    let mut readouts = Vec::new();
    for (index, trigger) in plan.triggers.iter().enumerate() {
        let Ok(Source::Kafka {
            kafka,
            cluster,
            metric_type,
            metric,
        }) = &trigger.source
        else {
            continue;
        };
        let picture = pictures.get(cluster);
        let group = picture.and_then(|p| p.groups.get(&kafka.group));
        polled &= kafka.withheld.is_some() || group.is_some_and(|g| g.polled);
        let readout = match (&kafka.withheld, picture) {
            (Some(why), _) => Readout {
                trouble: Some(Trouble::configuration(why.as_str())),
                ..Readout::default()
            },
            (None, Some(picture)) => read(kafka, picture, plan.polling, now),
            (None, None) => Readout::default(),
        };
        let known = memory.of(index, kafka, plan, metric);
        if let Some((partitions, reads)) = readout.partitions {
            known.bound.take(partitions, reads);
        }
        readouts.push((index, kafka, *metric_type, metric, readout));
    }
    memory
        .triggers
        .retain(|index, _| *index < plan.triggers.len());
    let max = max_replicas(plan, live, memory);
    let settled = memory.settled_max(live, max, plan.sample_interval(), now);
    let tolerance_milli = live
        .and_then(|l| l.tolerance_milli)
        .unwrap_or(settings.tolerance_milli);
    let metrics = readouts
        .into_iter()
        .map(|(index, kafka, metric_type, name, readout)| {
            let known = memory.triggers.entry(index).or_default();
            let partial = (!readout.complete).then(|| readout.why());
            let active =
                activation(&readout, known, settings.max_sample_age, now) > kafka.activation;
            let value = value(&readout, known, settings.max_sample_age, now).map(|mut value| {
                value.served = served(
                    kafka,
                    metric_type,
                    value.lag,
                    &readout,
                    known,
                    |bound, effective| Cut {
                        threshold: kafka.threshold,
                        bound,
                        effective,
                        live_max: settled.map(i64::from),
                        tolerance_milli,
                    },
                );
                value
            });
            known
                .failures
                .take(value.is_err() && polled, plan.polling, now);
            let asked = plan.object.spec.fallback.as_ref();
            let current = live.and_then(|l| l.replicas);
            // As a total it would have to be divided by the pods that are ready, which is not known here.
            let average = asked.filter(|_| metric_type == MetricType::AverageValue);
            let replicas = average.and_then(|f| known.failures.replicas(f, current));
            let fallback = replicas.map(|r| r.saturating_mul(kafka.threshold));
            Metric {
                index,
                name: name.clone(),
                value,
                active: active || fallback.is_some_and(|f| f > 0),
                fallback,
                failures: asked.map(|f| known.failures.told(f)),
                partial,
                notice: readout.notice,
            }
        })
        .collect();
    Evaluation {
        metrics,
        max,
        polled,
    }
}

/// What the activation threshold is compared with: 0 where nothing fresh enough is known.
fn activation(readout: &Readout, known: &TriggerMemory, max_age: Duration, now: Moment) -> i64 {
    if readout.fresh(max_age, now).is_none() {
        return 0;
    }
    let last = known.complete.filter(|_| !readout.complete);
    readout.sum.activation.max(last.map_or(0, |(_, a)| a))
}

/// The lag to go by, not yet cut or lifted.
fn value(
    readout: &Readout,
    known: &mut TriggerMemory,
    max_age: Duration,
    now: Moment,
) -> Result<Value, Trouble> {
    let sum = readout.sum;
    if readout.complete {
        known.complete = Some((sum.lag, sum.activation));
    }
    // Until everything was read once, a part of the truth could only scale in.
    let (last, _) = known.complete.ok_or_else(|| readout.why())?;
    let at = readout.fresh(max_age, now).ok_or_else(|| readout.why())?;
    let lag = sum.lag.max(if readout.complete { 0 } else { last });
    Ok(Value {
        served: lag,
        lag,
        at,
    })
}

fn served(
    kafka: &Kafka,
    metric_type: MetricType,
    lag: i64,
    readout: &Readout,
    known: &TriggerMemory,
    cut: impl Fn(Option<i64>, Option<i64>) -> Cut,
) -> i64 {
    let partitions = known.bound.value();
    if kafka.even
        && let Some(partitions) = partitions
    {
        return even(lag, partitions, kafka.threshold);
    }
    let bound = partitions.filter(|_| !kafka.allow_idle_consumers);
    let effective = if kafka.limit_to_partitions_with_lag {
        // While something is missing, partitions without a reading may have a lag.
        let with_lag = i64::from(readout.sum.with_lag);
        if readout.complete {
            Some(with_lag)
        } else {
            bound
        }
    } else {
        bound
    };
    match metric_type {
        MetricType::AverageValue => signal(lag, cut(bound, effective)),
        // Compared as a total: neither maxReplicas nor tolerance has a say in what it means.
        MetricType::Value => {
            let most = effective.map(|e| e.saturating_mul(kafka.threshold));
            most.map_or(lag, |most| lag.min(most))
        }
    }
}

/// DESIGN section 4. Unknown bounds leave the live value, within the object's own limits.
fn max_replicas(plan: &Plan, live: Option<&Live>, memory: &Memory) -> i32 {
    let least = plan.min.max(1);
    let mut largest = Some(0);
    for (index, trigger) in plan.triggers.iter().enumerate() {
        match &trigger.source {
            Ok(Source::Kafka { kafka, .. }) if !kafka.allow_idle_consumers => {
                let bound = memory.triggers.get(&index).and_then(|t| t.bound.value());
                largest = largest.zip(bound).map(|(a, b): (i64, i64)| a.max(b));
            }
            Ok(_) => return plan.max.max(least),
            Err(_) => largest = None,
        }
    }
    match largest {
        Some(largest) => {
            let max = i32::try_from(largest).unwrap_or(i32::MAX);
            // Lowering maxReplicas takes replicas away whatever an HPA's behavior says.
            let held = live.filter(|_| plan.pause.scale_in).map_or(0, |l| l.max);
            max.max(held).min(plan.max).max(least)
        }
        None => live
            .map_or(plan.max, |l| l.max)
            .clamp(least, plan.max.max(least)),
    }
}
