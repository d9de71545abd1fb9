//! From a reading of a group to the numbers that are served: what may wake the workload, the lag, and the signal.

use std::time::Duration;

use crate::{
    lag::Moment,
    scaling::{
        Cut, Value, even,
        reading::readout::Readout,
        signal::cut::signal,
        signal::memory::{Complete, TriggerMemory},
    },
    snapshot::Trouble,
    triggers::{Kafka, MetricType},
};

/// The lag that the activation threshold is compared with: 0 where nothing fresh enough is known.
pub(in crate::scaling) fn activation(
    readout: &Readout,
    known: &TriggerMemory,
    max_age: Duration,
    now: Moment,
) -> i64 {
    if readout.fresh(max_age, now).is_none() {
        return 0;
    }
    let last = known.complete.filter(|_| !readout.complete);
    readout.sum.activation.max(last.map_or(0, |l| l.activation))
}

/// The lag to go by and the time of its reading, not yet cut or lifted.
pub(in crate::scaling) fn lag(
    readout: &Readout,
    known: &mut TriggerMemory,
    max_age: Duration,
    now: Moment,
) -> Result<(i64, Moment), Trouble> {
    let sum = readout.sum;
    if readout.complete {
        known.complete = Some(Complete {
            lag: sum.lag,
            activation: sum.activation,
            at: now,
        });
    }
    // Until everything was read once, a part of the truth could only scale in.
    let last = known.complete.ok_or_else(|| readout.why())?;
    let at = readout.fresh(max_age, now).ok_or_else(|| readout.why())?;
    let lag = sum.lag.max(if readout.complete { 0 } else { last.lag });
    Ok((lag, at))
}

/// A lag as it is served, cut and lifted as docs/lag.md says under "How many replicas"; `bare` has neither bound.
pub(in crate::scaling) fn served(
    kafka: &Kafka,
    metric_type: MetricType,
    (lag, at): (i64, Moment),
    readout: &Readout,
    partitions: Option<i64>,
    bare: Cut,
) -> Value {
    let value = |served, cut| Value::of_records(lag, cut, served, at);
    // While something is missing, partitions without a reading may have a lag.
    let limit = (kafka.limit_to_partitions_with_lag && readout.complete)
        .then_some(i64::from(readout.sum.with_lag));
    let most = |consumers: Option<i64>| consumers.map(|c| c.saturating_mul(kafka.threshold));
    if kafka.even
        && let Some(partitions) = partitions
    {
        let even = even(lag, partitions, kafka.threshold);
        let even = most(limit).map_or(even, |most| even.min(most));
        return value(even, even);
    }
    let bound = partitions.filter(|_| !kafka.allow_idle_consumers);
    let effective = limit.or(bound);
    let most = most(effective);
    let cut = most.map_or(lag, |most| lag.min(most));
    match metric_type {
        MetricType::AverageValue => {
            let cut_and_lift = Cut {
                bound,
                effective,
                ..bare
            };
            value(signal(lag, cut_and_lift), cut)
        }
        // Compared as a total: neither maxReplicas nor tolerance has a say in what it means.
        MetricType::Value => value(cut, cut),
    }
}
