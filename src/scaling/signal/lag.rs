//! Kafka as a source: what a lag trigger reads of the snapshots, and the metric that comes of that.

use crate::{
    scaling::{
        Cut, External, KafkaSource, Metric, Recalled,
        reading::readout::{Readout, read},
        signal::fallback::fall_back,
        signal::given::{Given, Progress},
        signal::memory::Memory,
        signal::metric::{activation, lag, served},
    },
    snapshot::{ClusterKey, Trouble},
};

/// The reading of a lag trigger.
pub(in crate::scaling) struct Lag<'a> {
    index: usize,
    external: External<'a>,
    source: &'a KafkaSource,
    readout: Readout,
}

impl<'a> Lag<'a> {
    pub(in crate::scaling) fn read(
        index: usize,
        external: External<'a>,
        source: &'a KafkaSource,
        given: Given<'_>,
        memory: &mut Memory,
        so_far: &mut Progress,
    ) -> Self {
        let KafkaSource {
            kafka,
            cluster,
            former,
            metric,
            ..
        } = source;
        let keys = || [cluster].into_iter().chain(former);
        let group = |key| given.snapshots.group(key, &kafka.group);
        let mut groups = keys().filter_map(group);
        let known = memory.of(index, kafka, given.plan, metric);
        let mut readout = readout(source, cluster, &known.recalled, given);
        let tried = readout.tried || groups.any(|g| g.polled);
        so_far.polled &= kafka.withheld.is_some() || tried;
        if let Some(former) = former {
            if readout.complete {
                so_far.renewed.insert(index);
            }
            let before = self::readout(source, former, &known.recalled, given);
            readout = readout.or_former(before, given.settings.max_sample_age, given.now);
        }
        if let Some((partitions, reads)) = readout.partitions {
            known.bound.take(partitions, reads);
            // Partitions that a group has left are confirmed before they go.
            if !kafka.topics.are_all() {
                readout.hold_fewer(partitions, known.bound);
            }
        }
        Self {
            index,
            external,
            source,
            readout,
        }
    }

    pub(in crate::scaling) fn metric(
        &self,
        cut: Cut,
        given: Given<'_>,
        memory: &mut Memory,
        so_far: &mut Progress,
    ) -> Metric {
        let Given {
            plan,
            settings,
            now,
            ..
        } = given;
        let Self {
            index, external, ..
        } = *self;
        let (kafka, readout) = (&self.source.kafka, &self.readout);
        let max_age = settings.max_sample_age;
        let planned = plan.triggers.get(index);
        let known = memory.triggers.entry(index);
        let active = activation(readout, known, max_age, now) > kafka.activation;
        let value = lag(readout, known, max_age, now).map(|fresh| {
            let lag = match planned {
                Some(planned) if planned.cached => known.cached(fresh, plan.polling, now),
                _ => fresh,
            };
            let cut = Cut {
                threshold: kafka.threshold,
                ..cut
            };
            let bound = known.bound.value();
            served(kafka, external.metric_type, lag, readout, bound, cut)
        });
        let unmet = || planned?.notice.as_ref().map(ToString::to_string);
        let mut metric = Metric {
            index,
            name: external.metric.clone(),
            value,
            active,
            fallback: None,
            failures: None,
            partial: readout.partial(),
            notice: readout.notice.clone().or_else(unmet),
        };
        readout.due(max_age, &mut so_far.due);
        so_far.due.at(memory.cached_until(plan, index));
        let failed = metric.value.is_err() && so_far.polled;
        let complete = memory.triggers.get(index).and_then(|t| t.complete);
        let trouble = readout.trouble.as_ref();
        let known = !failed || complete.is_some() || trouble.is_some();
        so_far.answered &= known;
        so_far.unread |= failed && complete.is_none() && !trouble.is_some_and(|t| t.configuration);
        let failed = (so_far.polled && known).then_some(failed);
        fall_back(&mut metric, external, failed, given, memory);
        metric
    }
}

/// The readout of `source` in the snapshot of `cluster`.
fn readout(
    source: &KafkaSource,
    cluster: &ClusterKey,
    recalled: &Recalled,
    given: Given<'_>,
) -> Readout {
    let kafka = &source.kafka;
    match (&kafka.withheld, given.snapshots.get(cluster)) {
        (Some(why), _) => Readout {
            trouble: Some(Trouble::configuration(why.as_str())),
            ..Readout::default()
        },
        (None, Some(snapshot)) => read(kafka, snapshot, recalled, given.plan.polling, given.now),
        (None, None) => Readout::default(),
    }
}
