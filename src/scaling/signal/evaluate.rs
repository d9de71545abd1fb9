//! One object against what is known now: for every metric the value to serve or why it is withheld, and the maxReplicas
//! its HPA is to have.

use std::time::Duration;

use crate::{
    lag::Moment,
    scaling::{
        Cut, Evaluation, External, Live, Metric, Plan, PlannedTrigger, SHORTEST_SAMPLE, Settings,
        Source, Surroundings,
        signal::{
            composite,
            given::{Given, Progress},
            hours::Hours,
            lag::Lag,
            memory::Memory,
        },
    },
    snapshot::Snapshots,
};

/// An object of which something is missing is evaluated this often: failures are counted, and causes change.
const RESTLESS: Duration = Duration::from_secs(1);

/// The reading of one trigger, by its source.
enum Reading<'a> {
    Lag(Box<Lag<'a>>),
    Hours(Hours<'a>),
}

impl<'a> Reading<'a> {
    /// Reads `trigger`; `None` where there is nothing to serve for it.
    fn new(
        index: usize,
        trigger: &'a PlannedTrigger,
        given: Given<'_>,
        memory: &mut Memory,
        so_far: &mut Progress,
    ) -> Option<Self> {
        let source = trigger.source.as_ref().ok()?;
        let external: External<'a> = source.external()?;
        match source {
            Source::Kafka(source) => {
                let lag = Lag::read(index, external, source, given, memory, so_far);
                Some(Self::Lag(lag.into()))
            }
            Source::Cron { cron, .. } => Some(Self::Hours(Hours::read(
                index, external, cron, given, so_far,
            ))),
            Source::Resource(_) => None,
        }
    }

    fn metric(
        &self,
        cut: Cut,
        given: Given<'_>,
        memory: &mut Memory,
        so_far: &mut Progress,
    ) -> Metric {
        match self {
            Self::Lag(lag) => lag.metric(cut, given, memory, so_far),
            Self::Hours(hours) => hours.metric(cut, given.now),
        }
    }
}

/// Evaluates `plan`: all triggers are read before a metric is made of any, because the bound of the HPA is theirs together.
pub fn evaluate(
    plan: &Plan,
    snapshots: &Snapshots,
    around: &Surroundings,
    memory: &mut Memory,
    settings: Settings,
    now: Moment,
) -> Evaluation {
    let given = Given {
        plan,
        snapshots,
        around,
        settings,
        now,
    };
    let mut so_far = Progress::before_any(now);
    let mut readings = Vec::new();
    for (index, trigger) in plan.triggers.iter().enumerate() {
        readings.extend(Reading::new(index, trigger, given, memory, &mut so_far));
    }
    memory.triggers.truncate(plan.triggers.len());
    let live = around.live.as_ref();
    let max = max_replicas(plan, live, memory);
    // The HPA controller's own view of its HPA may be older than a short sample interval.
    let settled = memory.settled_max(live, max, SHORTEST_SAMPLE, now);
    so_far.due.at(memory.max_settles_at(SHORTEST_SAMPLE));
    so_far.answered = so_far.polled;
    let bare = bare(live, settled, settings);
    let metrics = readings.iter();
    let metrics: Vec<_> = metrics
        .map(|reading| reading.metric(bare, given, memory, &mut so_far))
        .collect();
    let composite = plan
        .modifiers
        .as_ref()
        .map(|m| composite::compose(plan, m, &metrics, around, memory));
    let Progress {
        polled,
        answered,
        unread,
        renewed,
        mut due,
    } = so_far;
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
