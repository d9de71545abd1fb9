//! The reading of one kafka trigger from a cluster's snapshot: a sum, and whether it is the whole truth.

use std::{sync::Arc, time::Duration};

use crate::{
    lag::{Counting, Isolation, Loss, Moment, Sum, Track, sum},
    scaling::{Bound, Due, Recalled},
    snapshot::{
        GroupSnapshot, Listed, Looked, MOST_PATTERNS, Slot, Snapshot, TopicSnapshot, Trouble,
    },
    triggers::Kafka,
};

/// A reading is too old after its greatest age, not at it.
const INSTANT: Duration = Duration::from_nanos(1);

/// One trigger's part of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Readout {
    /// Over the last pairs of all its partitions.
    pub sum: Sum,
    /// Every partition was read the last time it was tried.
    pub complete: bool,
    /// Each of its partitions has been read once, or it is known why not: what else is asked of its group is others' affair.
    pub tried: bool,
    /// Partitions it may read and the number of complete descriptions behind that; `None`: not known.
    pub partitions: Option<(i64, u64)>,
    /// The first thing in the way, if something is.
    pub trouble: Option<Trouble>,
    /// Something a person should know of although the number is right: commits or records that are lost.
    pub notice: Option<String>,
}

impl Readout {
    /// Its newest pair, if that is not older than `max_age`.
    pub(in crate::scaling) fn fresh(&self, max_age: Duration, now: Moment) -> Option<Moment> {
        self.sum.newest.filter(|at| at.age(now) <= max_age)
    }

    /// When time alone makes another reading of it: its newest pair is too old, or a lag becomes persistent.
    pub(in crate::scaling) fn due(&self, max_age: Duration, due: &mut Due) {
        due.at(self.sum.newest.map(|newest| newest.at + max_age + INSTANT));
        due.at(self.sum.persists_at);
    }

    /// Takes a reading of fewer partitions than before for a part of the truth until it is confirmed: what is missing has no
    /// lag of 0.
    pub(in crate::scaling) fn hold_fewer(&mut self, partitions: i64, bound: Bound) {
        let Some(before) = bound.value().filter(|_| bound.is_falling()) else {
            return;
        };
        self.complete = false;
        let text = || {
            format!(
                "{partitions} of {before} partitions are there; the next description has to confirm that"
            )
        };
        self.trouble.get_or_insert_with(|| Trouble::passing(text()));
    }

    /// Why something is missing.
    pub(in crate::scaling) fn why(&self) -> Trouble {
        let unread = || Trouble::passing("it has not been read yet");
        self.trouble.clone().unwrap_or_else(unread)
    }
}

/// Reads `kafka` off `snapshot`. `persistent_after` is the object's polling interval.
#[must_use]
pub fn read(
    kafka: &Kafka,
    snapshot: &Snapshot,
    recalled: &Recalled,
    persistent_after: Duration,
    now: Moment,
) -> Readout {
    let Some(group) = snapshot.groups.get(&kafka.group) else {
        return Readout {
            trouble: snapshot.trouble.clone(),
            ..Readout::default()
        };
    };
    let mut scan = Scan::new(recalled);
    for topic in kafka.topics.names.iter() {
        scan.topic(topic, kafka, group, snapshot.topics.get(topic));
    }
    if !kafka.topics.patterns.is_empty() {
        // Topics of a pattern are known once the cluster's topics were listed.
        let patterns = kafka.topics.patterns.iter();
        let listed = match &snapshot.listing {
            Listed::Whole(by) => {
                let whole = patterns.clone().all(|p| by.contains(p));
                if !whole && by.len() >= MOST_PATTERNS {
                    scan.trouble = Some(Trouble::configuration(format!(
                        "topics: the cluster is asked for more than the {MOST_PATTERNS} patterns that are followed: name the topics, or write several patterns as one"
                    )));
                }
                whole
            }
            Listed::Not => false,
            Listed::Failed(trouble) => {
                scan.trouble = Some(trouble.clone());
                false
            }
        };
        scan.unread |= !listed;
        scan.tried &= listed || scan.trouble.is_some();
        scan.described &= listed;
        // Topics that only others name are no part of it: they may be internal, or not there.
        for topic in snapshot.listed.by(kafka.topics.patterns.iter()) {
            if !kafka.topics.name(topic) {
                scan.topic(topic, kafka, group, snapshot.topics.get(topic));
            }
        }
        if scan.partitions == 0 && scan.trouble.is_none() && scan.empty.is_none() && listed {
            let text = "topics: the cluster has no topic that a pattern takes and that the user may describe";
            scan.trouble = Some(Trouble::passing(text));
        }
    }
    if kafka.topics.are_all() {
        for topic in group.topics.keys() {
            let found = snapshot.topics.get(topic);
            if found.is_some_and(|t| t.gone) {
                let notice = || {
                    format!(
                        "group {} has commits on topic {topic}, which does not exist",
                        kafka.group
                    )
                };
                scan.gone.get_or_insert_with(notice);
            } else if !group.foreign.contains(topic) || recalled.knows(topic) {
                scan.topic(topic, kafka, group, found);
            }
        }
        // A group that was read for everything and has no topic has no lag; one that was not is unknown.
        let read = group.all && group.read.is_some();
        scan.unread |= !read;
        scan.tried &= read;
        // And one with a topic that is not described yet has more partitions than are known.
        scan.described &= read && group.trouble.is_none();
    }
    // A limitation may leave nothing of one of several topics.
    if scan.partitions == 0 {
        scan.trouble = scan.trouble.or_else(|| scan.empty.take());
    }
    let counting = Counting {
        exclude_persistent_after: kafka.exclude_persistent_lag.then_some(persistent_after),
        ..kafka.counting()
    };
    let unseen = || {
        // The broker leaves out what may not be described, and says nothing of it.
        let none = kafka.topics.are_all() && group.topics.is_empty() && group.trouble.is_none();
        let text = format!(
            "group {} has no commit, or none on a topic that its user may describe",
            kafka.group
        );
        (none && group.read.is_some()).then_some(text)
    };
    let trouble = scan
        .trouble
        .or_else(|| group.trouble.clone())
        .or_else(|| scan.unread.then(|| snapshot.trouble.clone()).flatten());
    let mut total = sum(&scan.tracks, counting, now);
    if kafka.topics.are_all() && scan.partitions == 0 && trouble.is_none() {
        total.newest = group.read;
    }
    Readout {
        sum: total,
        complete: trouble.is_none() && !scan.unread,
        tried: scan.tried,
        partitions: (scan.described && scan.partitions > 0)
            .then_some((scan.partitions, scan.reads)),
        trouble,
        notice: scan
            .notice
            .or(scan.gone)
            .or(scan.uncommitted)
            .or_else(unseen),
    }
}

struct Scan<'a> {
    recalled: &'a Recalled,
    tracks: Vec<Track>,
    partitions: i64,
    reads: u64,
    described: bool,
    unread: bool,
    tried: bool,
    trouble: Option<Trouble>,
    /// A topic of which nothing may be read.
    empty: Option<Trouble>,
    notice: Option<String>,
    /// A topic that has commits and does not exist.
    gone: Option<String>,
    /// A topic that the group has no commit in.
    uncommitted: Option<String>,
}

impl<'a> Scan<'a> {
    fn new(recalled: &'a Recalled) -> Self {
        Self {
            recalled,
            tracks: Vec::new(),
            partitions: 0,
            reads: 0,
            described: true,
            unread: false,
            tried: true,
            trouble: None,
            empty: None,
            notice: None,
            gone: None,
            uncommitted: None,
        }
    }

    fn topic(
        &mut self,
        name: &Arc<str>,
        kafka: &Kafka,
        group: &GroupSnapshot,
        topic: Option<&TopicSnapshot>,
    ) {
        let Some(topic) = topic else {
            self.described = false;
            self.unread = true;
            self.tried = false;
            return;
        };
        if topic.trouble.is_some() || topic.reads == 0 {
            self.described = false;
            self.unread |= topic.reads == 0;
            self.tried &= topic.trouble.is_some();
            self.trouble = self.trouble.take().or_else(|| topic.trouble.clone());
        }
        self.reads += topic.reads;
        let limitation = kafka.partitions.as_deref();
        let slots = group.topics.get(name);
        let mut any = false;
        let (mut read, mut committed) = (false, false);
        for id in topic.partitions.iter() {
            if limitation.is_some_and(|ids| !ids.holds(*id)) {
                continue;
            }
            any = true;
            self.partitions += 1;
            let slot = slots.and_then(|s| s.get(id));
            let trouble = slot.and_then(|s| s.trouble.as_ref());
            self.trouble = self.trouble.take().or_else(|| trouble.cloned());
            let Some(slot) = slot else {
                self.unread = true;
                self.tried = false;
                continue;
            };
            let Some(track) = &slot.track else {
                self.unread = true;
                self.tried &= slot.trouble.is_some();
                continue;
            };
            let track = self.recalled.of(name, *id, track);
            // It was read for somebody who sees more.
            self.unread |= kafka.isolation == Isolation::ReadCommitted && track.stable.is_none();
            let what = noticed(slot, &track);
            let notice = || Some(format!("topic {name} partition {id}: {}", what?));
            self.notice = self.notice.take().or_else(notice);
            read = true;
            committed |= track.committed.is_some() || track.loss.is_some();
            self.tracks.push(track);
        }
        if read && !committed {
            let text = || {
                format!(
                    "group {} has no commit on topic {name}: if it has read there before, the name of one of them is wrong",
                    kafka.group
                )
            };
            self.uncommitted.get_or_insert_with(text);
        }
        if !any && topic.reads > 0 && topic.trouble.is_none() {
            self.empty = Some(Trouble::configuration(format!(
                "expected at least one active partition within the topic '{name}' (partitionLimitation leaves none of its {})",
                topic.partitions.len()
            )));
        }
    }
}

const LEFT_OUT: &str =
    "its leader leaves it out of every answer without saying why, so it is taken for empty";

const UNSEEN: &str =
    "what is left may be transaction markers, which only Read on the topic would show: it counts";

/// Notice of a partition that a person should know of, in words for a condition.
fn noticed(slot: &Slot, track: &Track) -> Option<String> {
    if slot.left_out {
        return Some(LEFT_OUT.to_owned());
    }
    let refused = matches!(slot.looked, Looked::Refused(c, _) if track.committed == Some(c));
    lost(track).or_else(|| refused.then(|| UNSEEN.to_owned()))
}

/// Its loss.
fn lost(track: &Track) -> Option<String> {
    let end = track.end;
    if track.loss == Some(Loss::Recreated) {
        return Some(format!(
            "the topic was deleted and made anew, and the group has no commit in it yet; it ends at {end}"
        ));
    }
    let committed = track.committed?;
    let start = track.start.unwrap_or(0);
    match track.loss {
        Some(Loss::Truncated) => Some(format!(
            "its log was cut below the committed offset {committed} and ends at {end}, as after an unclean leader election"
        )),
        _ if track.beyond => Some(format!(
            "the committed offset {committed} lies beyond the log end {end}, so it counts as lost"
        )),
        Some(Loss::Expired) => Some(format!(
            "the commit is gone (expired, or deleted with its group); the last one, {committed}, stands"
        )),
        _ if committed < start => Some(format!(
            "the records from {committed} to {} were deleted before they were consumed",
            start - 1
        )),
        _ => None,
    }
}
