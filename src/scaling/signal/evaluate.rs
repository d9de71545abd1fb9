//! One object against what is known now: for every metric the value to serve or why it is withheld, and the maxReplicas
//! its HPA is to have.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    lag::Moment,
    scaling::{
        Cut, Due, Evaluation, KafkaSource, Live, Plan, Recalled, SHORTEST_SAMPLE, Settings, Source,
        Surroundings,
        reading::readout::{Readout, read},
        signal::composite,
        signal::memory::Memory,
        signal::trigger::{fall_back, of_cron, of_kafka},
    },
    snapshot::{Snapshot, Snapshots, Trouble},
    triggers::{Cron, Kafka},
};

/// An object of which something is missing is evaluated this often: failures are counted, and causes change.
const RESTLESS: Duration = Duration::from_secs(1);

/// The reading of one trigger.
enum Read<'a> {
    Kafka(&'a Kafka, Box<Readout>),
    /// And whether its window is open.
    Cron(&'a Cron, bool),
}

/// Evaluates `plan`.
pub fn evaluate(
    plan: &Plan,
    snapshots: &Snapshots,
    around: &Surroundings,
    memory: &mut Memory,
    settings: Settings,
    now: Moment,
) -> Evaluation {
    let mut due = Due::after(now);
    let mut polled = true;
    let mut renewed = BTreeSet::new();
    let mut reads = Vec::new();
    for (index, trigger) in plan.triggers.iter().enumerate() {
        let read = match &trigger.source {
            Ok(Source::Kafka(source)) => {
                let KafkaSource {
                    kafka,
                    cluster,
                    former,
                    metric,
                    ..
                } = source;
                let keys = || [cluster].into_iter().chain(former);
                let group = |key| snapshots.group(key, &kafka.group);
                let mut groups = keys().filter_map(group);
                let known = memory.of(index, kafka, plan, metric);
                let read = |key| readout(kafka, snapshots.get(key), plan, &known.recalled, now);
                let mut readout = read(cluster);
                let tried = readout.tried || groups.any(|g| g.polled);
                polled &= kafka.withheld.is_some() || tried;
                if let Some(former) = former {
                    if readout.complete {
                        renewed.insert(index);
                    }
                    readout = readout.or_former(read(former), settings.max_sample_age, now);
                }
                if let Some((partitions, reads)) = readout.partitions {
                    known.bound.take(partitions, reads);
                    // Partitions that a group has left are confirmed before they go.
                    if !kafka.topics.are_all() {
                        readout.hold_fewer(partitions, known.bound);
                    }
                }
                Read::Kafka(kafka, readout.into())
            }
            Ok(Source::Cron { cron, .. }) => {
                let (active, until) = cron.window(now.wall);
                due.at_wall(until);
                Read::Cron(cron, active)
            }
            Ok(Source::Resource(_)) | Err(_) => continue,
        };
        reads.push((index, read));
    }
    memory.triggers.truncate(plan.triggers.len());
    let live = around.live.as_ref();
    let max = max_replicas(plan, live, memory);
    // The HPA controller's own view of its HPA may be older than a short sample interval.
    let settled = memory.settled_max(live, max, SHORTEST_SAMPLE, now);
    due.at(memory.max_settles_at(SHORTEST_SAMPLE));
    let bare = bare(live, settled, settings);
    let mut metrics = Vec::new();
    let (mut answered, mut unread) = (polled, false);
    for (index, read) in reads {
        let Some(external) = plan.external(index) else {
            continue;
        };
        metrics.push(match read {
            Read::Kafka(kafka, readout) => {
                let bare = Cut {
                    threshold: kafka.threshold,
                    ..bare
                };
                let mut metric =
                    of_kafka(plan, index, kafka, &readout, memory, bare, settings, now);
                readout.due(settings.max_sample_age, &mut due);
                due.at(memory.cached_until(plan, index));
                let failed = metric.value.is_err() && polled;
                let complete = memory.triggers.get(index).and_then(|t| t.complete);
                let trouble = readout.trouble.as_ref();
                let known = !failed || complete.is_some() || trouble.is_some();
                answered &= known;
                unread |= failed && complete.is_none() && !trouble.is_some_and(|t| t.configuration);
                let failed = (polled && known).then_some(failed);
                fall_back(plan, &mut metric, external, failed, around, memory, now);
                metric
            }
            Read::Cron(cron, active) => of_cron(index, (cron, active), external, bare, now),
        });
    }
    let composite = plan
        .modifiers
        .as_ref()
        .map(|m| composite::compose(plan, m, &metrics, around, memory));
    let mut evaluation = Evaluation {
        metrics,
        composite,
        max,
        polled,
        answered,
        unread,
        renewed,
        due: None,
    };
    if !evaluation.is_whole() && plan.problem.is_none() {
        due.within(RESTLESS);
    }
    evaluation.due = due.next();
    evaluation
}

/// The cut of a trigger without threshold and bound.
fn bare(live: Option<&Live>, settled: Option<i32>, settings: Settings) -> Cut {
    let own = live.and_then(|l| l.tolerance_milli);
    Cut {
        threshold: 1,
        bound: None,
        effective: None,
        live_max: settled.map(i64::from),
        tolerance_milli: own.unwrap_or(settings.tolerance_milli),
    }
}

fn readout(
    kafka: &Kafka,
    snapshot: Option<&Snapshot>,
    plan: &Plan,
    recalled: &Recalled,
    now: Moment,
) -> Readout {
    match (&kafka.withheld, snapshot) {
        (Some(why), _) => Readout {
            trouble: Some(Trouble::configuration(why.as_str())),
            ..Readout::default()
        },
        (None, Some(snapshot)) => read(kafka, snapshot, recalled, plan.polling, now),
        (None, None) => Readout::default(),
    }
}

/// As docs/lag.md has it under "How many replicas". Unknown bounds leave the live value, within the object's own limits.
fn max_replicas(plan: &Plan, live: Option<&Live>, memory: &Memory) -> i32 {
    let least = plan.min.max(1);
    let spec = plan.max.max(least);
    if plan.modifiers.is_some() {
        return spec;
    }
    let mut largest = Some(0);
    for (index, trigger) in plan.triggers.iter().enumerate() {
        let bound = match &trigger.source {
            Ok(Source::Kafka(source)) if !source.kafka.allow_idle_consumers => {
                memory.triggers.get(index).and_then(|t| t.bound.value())
            }
            Ok(Source::Cron { cron, .. }) => Some(cron.desired),
            Ok(_) => return spec,
            Err(_) => None,
        };
        largest = largest.zip(bound).map(|(a, b): (i64, i64)| a.max(b));
    }
    match largest {
        Some(largest) => {
            let max = i32::try_from(largest).unwrap_or(i32::MAX);
            // Lowering maxReplicas takes replicas away whatever an HPA's behavior says.
            let held = live.filter(|_| plan.pause.scale_in).map_or(0, |l| l.max);
            max.max(held).min(plan.max).max(least)
        }
        None => live.map_or(plan.max, |l| l.max).clamp(least, spec),
    }
}
