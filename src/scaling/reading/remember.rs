//! The memory of a sleeping workload's groups in its status: written once when it goes to sleep, read when
//! a process starts, bounded in size. It is `lag::Mark`s as text, by metric and topic.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use crate::{
    lag::{Mark, Track},
    resources::Remembered,
    scaling::{KafkaSource, Plan},
    snapshot::{PartitionSlots, Slot, Snapshots},
    triggers::Kafka,
};

/// Partitions of one object at most: some 40 kB of status. A larger one remembers nothing.
const MOST: usize = 2_000;
/// Letters that stand for a partition at most, and what a topic's id is worth in partitions.
const WORD: usize = 20;
const ID: usize = 2;

/// Where the groups of `plan` stand, by metric; nothing of a trigger that has never been read.
#[must_use]
pub fn remember(plan: &Plan, snapshots: &Snapshots) -> BTreeMap<String, Remembered> {
    let mut all = BTreeMap::new();
    let mut left = MOST;
    for source in plan.kafka_sources() {
        let KafkaSource { kafka, metric, .. } = source;
        let whose = source.former.as_ref().unwrap_or(&source.cluster);
        let Some(group) = snapshots.group(whose, &kafka.group) else {
            continue;
        };
        let known_before = Recalled::restored(plan, kafka, metric);
        let mut topics = BTreeMap::new();
        for (name, slots) in &group.topics {
            if !kafka.topics.mean(name) {
                continue;
            }
            let recalled = |id: i32, track: &Track| known_before.of(name, id, track);
            let Some((cost, text)) = written(slots, recalled) else {
                continue;
            };
            left = match left.checked_sub(cost + name.len() / WORD) {
                Some(left) => left,
                None => return BTreeMap::new(),
            };
            topics.insert(name.to_string(), text);
        }
        if !topics.is_empty() {
            let remembered = Remembered {
                consumer_group: kafka.group.to_string(),
                topics,
            };
            all.insert(metric.to_string(), remembered);
        }
    }
    all
}

/// Whether `remembered` lacks what could be remembered of a trigger.
#[must_use]
pub fn forgets(plan: &Plan, remembered: &BTreeMap<String, Remembered>) -> bool {
    let mut sources = plan.kafka_sources();
    sources.any(|s| !is_of(remembered.get(&*s.metric), &s.kafka.group))
}

/// `remembered` with what is `new` for triggers that it lacks: while a workload sleeps, what was written stands.
#[must_use]
pub fn complete(
    mut remembered: BTreeMap<String, Remembered>,
    new: BTreeMap<String, Remembered>,
) -> BTreeMap<String, Remembered> {
    for (metric, new) in new {
        if !is_of(remembered.get(&metric), &new.consumer_group) {
            remembered.insert(metric, new);
        }
    }
    remembered
}

fn is_of(remembered: Option<&Remembered>, group: &str) -> bool {
    remembered.is_some_and(|r| r.consumer_group == *group)
}

/// The topic's id and a word per partition, with their number; `None` where no id is known.
fn written(
    slots: &PartitionSlots,
    recalled: impl Fn(i32, &Track) -> Track,
) -> Option<(usize, String)> {
    // A commit that is remembered already is not forgotten because it is gone by now.
    let mark = |(id, slot): (&i32, &Slot)| recalled(*id, slot.track.as_ref()?).mark();
    let (id, _) = slots.iter().find_map(mark)?;
    let last = usize::try_from(*slots.keys().next_back()?).ok()?;
    // An id from an answer, not a count.
    if last > MOST {
        return None;
    }
    let mut text = String::new();
    for byte in id {
        write!(text, "{byte:02x}").ok()?;
    }
    for partition in (0..).take(last + 1) {
        let found = slots
            .get(&partition)
            .and_then(|slot| mark((&partition, slot)));
        let _ = match found.filter(|(of, _)| *of == id) {
            Some((_, Mark::Committed(offset))) => write!(text, " {offset}"),
            Some((_, Mark::Drained(offset, end))) => write!(text, " {offset}/{end}"),
            Some((_, Mark::Uncommitted(end, None))) => write!(text, " ~{end}"),
            Some((_, Mark::Uncommitted(end, Some(stable)))) => write!(text, " ~{end}/{stable}"),
            None => write!(text, " -"),
        };
    }
    Some((last + 1 + ID, text))
}

/// The status's memory of one trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recalled {
    topics: BTreeMap<String, ([u8; 16], Vec<Option<Mark>>)>,
}

impl Recalled {
    /// Reads the status of the trigger that is served as `metric`; what can't be read counts as not remembered.
    pub(in crate::scaling) fn restored(plan: &Plan, kafka: &Kafka, metric: &str) -> Self {
        let status = plan.object.status.as_ref();
        let remembered = status.and_then(|s| s.remembered.get(metric));
        let same = remembered.filter(|r| r.consumer_group == *kafka.group);
        let topics = same.into_iter().flat_map(|r| &r.topics);
        Self {
            topics: topics
                .filter_map(|(name, text)| Some((name.clone(), read(text)?)))
                .collect(),
        }
    }

    /// Whether it has anything of a topic.
    pub(in crate::scaling) fn knows(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// `track` in the light of it.
    pub(in crate::scaling) fn of(&self, topic: &str, partition: i32, track: &Track) -> Track {
        let marks = self.topics.get(topic);
        let found = marks.and_then(|(id, marks)| {
            let mark = marks.get(usize::try_from(partition).ok()?)?.as_ref()?;
            Some(track.since(*id, *mark))
        });
        found.unwrap_or(*track)
    }
}

/// Topics that a status remembers of this trigger: an all-topics group whose commits are gone names none of them itself.
#[must_use]
pub fn remembered_topics(plan: &Plan, kafka: &Kafka, metric: &str) -> Vec<Arc<str>> {
    let recalled = Recalled::restored(plan, kafka, metric);
    recalled.topics.keys().map(|t| t.as_str().into()).collect()
}

/// How many partitions a remembered topic's text is about; `None` where it is none of ours.
#[must_use]
pub fn remembered_partitions(text: &str) -> Option<usize> {
    read(text).map(|(_, marks)| marks.len())
}

fn read(text: &str) -> Option<([u8; 16], Vec<Option<Mark>>)> {
    let mut words = text.split(' ');
    let digits = words.next().filter(|w| w.len() == 32 && w.is_ascii())?;
    let id = u128::from_str_radix(digits, 16).ok()?.to_be_bytes();
    let offset = |word: &str| word.parse::<i64>().ok().filter(|o| *o >= 0);
    let marks = words.take(MOST + 1).map(|word| {
        if let Some(end) = word.strip_prefix('~') {
            return match end.split_once('/') {
                Some((end, stable)) => Some(Mark::Uncommitted(offset(end)?, Some(offset(stable)?))),
                None => Some(Mark::Uncommitted(offset(end)?, None)),
            };
        }
        match word.split_once('/') {
            Some((committed, end)) => Some(Mark::Drained(offset(committed)?, offset(end)?)),
            None => offset(word).map(Mark::Committed),
        }
    });
    Some((id, marks.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::{Moment, Reading};

    fn slot(committed: Option<i64>, end: i64, id: u8) -> Slot {
        Slot {
            track: Some(Track::begin(Reading {
                committed,
                end,
                start: None,
                topic_id: Some([id; 16]),
                stable: None,
                leader_epoch: None,
                at: Moment::now(),
            })),
            ..Slot::default()
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let mut stable = slot(None, 40, 0xab);
        stable.track.as_mut().unwrap().stable_baseline = Some(30);
        let slots = PartitionSlots::from_iter([
            (0, slot(Some(105), 200, 0xab)),
            (1, slot(None, 57, 0xab)),
            (2, stable),
            (3, slot(Some(0), 0, 0xab)),
            // A commit of the topic's former life.
            (4, slot(Some(9), 9, 0xcd)),
        ]);
        let (cost, text) = written(&slots, |_, track| *track).unwrap();
        assert_eq!(cost, 5 + ID);
        assert_eq!(text, format!("{} 105 ~57 ~40/30 0 -", "ab".repeat(16)));
        let marks = [
            Some(Mark::Committed(105)),
            Some(Mark::Uncommitted(57, None)),
            Some(Mark::Uncommitted(40, Some(30))),
            Some(Mark::Committed(0)),
            None,
        ];
        assert_eq!(read(&text), Some(([0xab; 16], marks.to_vec())));
    }

    #[test]
    fn a_text_that_a_hand_has_spoilt_remembers_nothing() {
        assert_eq!((read(""), read("orders 1 2")), (None, None));
        let spoilt = format!("{} -5 1e3 ~ 99999999999999999999 7", "0".repeat(32));
        let marks = read(&spoilt).unwrap().1;
        assert_eq!(marks, [None, None, None, None, Some(Mark::Committed(7))]);
    }
}
