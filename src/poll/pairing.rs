//! Pairs of commits and ends: an end counts only for commits that were read before it was asked for, and what is not
//! there yet keeps its last pair.

use std::{collections::HashMap, time::Instant};

use kafka_protocol::ResponseError;

use super::{cluster::Cluster, node::Claim, words::partition_trouble};
use crate::{
    kafka::requests::{LogOffset, Offsets, Partitions},
    lag::{Reading, Track},
    snapshot::{Looked, Slot, Trouble},
};

impl Cluster {
    /// The ends that a leader answers, and what it leaves out.
    pub(super) fn take_ends(
        &mut self,
        asked: &Partitions,
        claims: Vec<Claim>,
        ends: &Offsets,
        starts: &Offsets,
        last_stable: &Offsets,
    ) {
        self.groups.changed = true;
        let now = Instant::now();
        let mut stale = Vec::new();
        let ids_asked: HashMap<_, _> = claims.iter().map(|c| (&c.topic, c.topic_id)).collect();
        for (name, ids) in asked {
            let Some(topic) = self.topics.known.get_mut(name) else {
                continue;
            };
            // It was made anew meanwhile: this is about a log that is gone.
            if ids_asked.get(name).is_some_and(|id| *id != topic.id()) {
                continue;
            }
            let begins = starts.get(name).into_iter().flatten();
            for (id, start) in begins.filter(|(id, _)| ids.binary_search(id).is_ok()) {
                topic.started(*id, start.as_ref().ok().map(|s| s.offset), now);
            }
            let found = ends.get(name);
            let mut left_out = 0_usize;
            for id in ids {
                let end = found.and_then(|f| f.get(id));
                left_out += usize::from(topic.answered(*id, end.is_some()));
                if let Some(Err(code)) = end
                    && is_stale(*code)
                {
                    stale.push(name.clone());
                }
            }
            if left_out > 0 && topic.tells_left_out(now) {
                tracing::warn!(
                    topic = &**name,
                    partitions = left_out,
                    "their leader leaves them out of every answer without saying why: taken for empty"
                );
            }
        }
        for name in stale {
            self.topics.is_stale(&name);
        }
        for claim in claims {
            let end = ends.get(&claim.topic).and_then(|t| t.get(&claim.id));
            match end {
                Some(Ok(end)) => {
                    let found = last_stable.get(&claim.topic).and_then(|t| t.get(&claim.id));
                    self.take_end(&claim, *end, found);
                }
                Some(Err(code)) => {
                    let trouble = partition_trouble(&claim.topic, claim.id, *code);
                    self.groups
                        .trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
                }
                None => {
                    let topic = self.topics.get(&claim.topic);
                    if topic.is_some_and(|t| t.is_taken_for_empty(claim.id)) {
                        self.take_empty(&claim);
                    } else {
                        let what = "its leader left it out of its answer";
                        let trouble = passing(&claim.topic, claim.id, what);
                        self.groups
                            .trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
                    }
                }
            }
        }
    }

    /// `stable` is the last stable offset of the same partition, where that was asked.
    fn take_end(
        &mut self,
        claim: &Claim,
        end: LogOffset,
        stable: Option<&Result<LogOffset, ResponseError>>,
    ) {
        // Once for all that follows: there may be a hundred thousand pairs in a tick.
        let Some(group) = self.groups.get_mut(&claim.group) else {
            return;
        };
        let Some(topic) = self.topics.get(&claim.topic) else {
            return;
        };
        // It may have been asked for another group alone.
        let stable = stable.filter(|_| group.demand.stable);
        let trouble = match stable {
            Some(Err(code)) => Some(partition_trouble(&claim.topic, claim.id, *code)),
            None if group.demand.stable => {
                let what = "its leader tells no last stable offset, which isolation: readCommitted needs (Kafka 0.11 or later)";
                Some(passing(&claim.topic, claim.id, what))
            }
            _ if topic.id() != claim.topic_id => {
                let what = "its topic was made anew while it was being read";
                Some(passing(&claim.topic, claim.id, what))
            }
            _ => None,
        };
        if let Some(trouble) = trouble {
            return self
                .groups
                .trouble_pair(&claim.group, &claim.topic, claim.id, trouble);
        }
        let reading = Reading {
            committed: claim.committed,
            end: end.offset,
            leader_epoch: end.leader_epoch,
            stable: stable.and_then(|s| Some(s.as_ref().ok()?.offset)),
            start: topic.start(claim.id),
            topic_id: topic.id(),
            at: claim.read,
        };
        let history = group.history.as_ref();
        let known = history.and_then(|h| h.topics.get(&claim.topic)?.get(&claim.id)?.memory());
        let (isolation, still) = group.still();
        let Some(slot) = group.slot(&claim.topic, claim.id) else {
            return;
        };
        let doubted = slot.take(reading, known, topic.snapshot.reads);
        if doubted {
            let what = "what its leader tells contradicts what is known of it; it is asked again";
            slot.trouble = Some(passing(&claim.topic, claim.id, what));
        }
        let puzzles = slot.puzzle(isolation, still, claim.read).is_some();
        self.groups.changed = true;
        if doubted {
            // Another broker may lead it by now.
            self.topics.is_stale(&claim.topic);
        }
        if puzzles {
            self.look(&claim.group, &claim.topic, claim.id, claim.read);
        }
    }

    /// A partition that a broker never speaks of has no record that anybody could read.
    pub(super) fn take_empty(&mut self, claim: &Claim) {
        let offset = claim.committed.unwrap_or(0);
        let reading = Reading {
            committed: Some(offset),
            end: offset,
            leader_epoch: None,
            stable: Some(offset),
            start: None,
            topic_id: None,
            at: claim.read,
        };
        if let Some(slot) = self.groups.slot(&claim.group, &claim.topic, claim.id) {
            *slot = Slot {
                track: Some(Track::begin(reading)),
                trouble: None,
                left_out: true,
                ..Slot::default()
            };
        }
    }

    /// Notes one trouble for many commits; the leaders of their partitions are asked for anew.
    pub(super) fn trouble_claims(&mut self, claims: Vec<Claim>, trouble: &Trouble) {
        for claim in claims {
            if !trouble.configuration {
                self.topics.is_stale(&claim.topic);
            }
            self.groups
                .trouble_pair(&claim.group, &claim.topic, claim.id, trouble.clone());
        }
    }
}

pub(super) fn passing(topic: &str, id: i32, what: &str) -> Trouble {
    Trouble::passing(format!("topic {topic} partition {id}: {what}"))
}

/// Whether a partition's code calls for another description of its topic.
fn is_stale(code: ResponseError) -> bool {
    has_moved(code) || code.is_retriable()
}

/// Whether a partition's code says that what is known of its topic is not true any more.
pub(super) fn has_moved(code: ResponseError) -> bool {
    matches!(
        code,
        ResponseError::UnknownTopicOrPartition
            | ResponseError::LeaderNotAvailable
            | ResponseError::NotLeaderOrFollower
            | ResponseError::FencedLeaderEpoch
            | ResponseError::UnknownLeaderEpoch
            | ResponseError::UnknownTopicId
    )
}

impl Slot {
    /// The track, unless the partition was taken for empty: that is no memory.
    fn memory(&self) -> Option<Track> {
        self.track.filter(|_| !self.left_out)
    }

    /// The first pair follows on what a former credential knew. `reads` counts the topic's descriptions: a reading that is
    /// doubted is believed after another one only. Whether it is doubted.
    fn take(&mut self, reading: Reading, known: Option<Track>, reads: u64) -> bool {
        self.trouble = None;
        let was_doubted = self.track.is_some_and(|t| t.is_doubted());
        match &mut self.track {
            Some(track) if track.at.at >= reading.at.at => {}
            Some(_) if was_doubted && self.doubted_at == reads => {}
            // A partition that was taken for empty has no memory.
            Some(track) if !self.left_out => {
                let drained = track.drained;
                track.take(reading);
                if drained.is_some() && track.drained.is_none() {
                    self.looked = Looked::Not;
                }
            }
            track => {
                let follow = |mut track: Track| {
                    track.take(reading);
                    track
                };
                let begin = || {
                    if self.anew {
                        Track::anew(reading)
                    } else {
                        Track::begin(reading)
                    }
                };
                *track = Some(known.map_or_else(begin, follow));
            }
        }
        self.left_out = false;
        let doubted = self.track.is_some_and(|t| t.is_doubted());
        if doubted && !was_doubted {
            self.doubted_at = reads;
        }
        doubted
    }
}
