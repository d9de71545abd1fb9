//! Small lags that do not move: transaction markers take offsets and are given to nobody, so a group that
//! is done would never be. Each such pair of commit and end is looked at once, where the user may read the topic.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_protocol::ResponseError;

use super::{cluster::Cluster, node::MarkerProbe, pairing::has_moved};
use crate::{
    kafka::{
        Error,
        question::Ask,
        requests::{Tail, Tails, fetch::Positions},
    },
    lag::{Isolation, Moment},
    snapshot::{Looked, Slot},
};

/// More than these are taken for records: each transaction leaves one marker in a partition.
const MOST_MARKERS: i64 = 64;
/// Partitions in one request.
const TOGETHER: usize = 16;
/// How long a topic that may not be read is left alone: brokers log each refusal.
const LEFT_ALONE: Duration = Duration::from_secs(600);
/// How long a topic is left alone whose broker failed over such a question.
const FAILED: Duration = Duration::from_secs(60);

impl Slot {
    /// The commit and end to look at, once a small lag has not moved for `still`.
    pub(super) fn puzzle(
        &self,
        isolation: Isolation,
        still: Duration,
        now: Moment,
    ) -> Option<(i64, i64)> {
        let track = self.track.as_ref()?;
        let committed = track.committed?;
        if isolation == Isolation::ReadCommitted && track.stable.is_none() {
            return None;
        }
        let end = track.end_for(isolation);
        let small = (1..=MOST_MARKERS).contains(&track.backlog(isolation));
        let stands = track
            .stuck_since(isolation)
            .is_some_and(|s| s.age(now) >= still);
        let new = match self.looked {
            // A topic that was refused may be allowed by now.
            Looked::Not | Looked::Refused(..) => true,
            Looked::At(c, e) => (c, e) != (committed, end),
        };
        (small && stands && new).then_some((committed, end))
    }
}

impl Cluster {
    /// To be called when a pair was read at `now`.
    pub(super) fn look(&mut self, name: &Arc<str>, topic_name: &Arc<str>, id: i32, now: Moment) {
        let Some(group) = self.groups.get(name) else {
            return;
        };
        let (isolation, still) = group.still();
        let slot = group
            .snapshot
            .topics
            .get(topic_name)
            .and_then(|t| t.get(&id));
        let Some((committed, end)) = slot.and_then(|s| s.puzzle(isolation, still, now)) else {
            return;
        };
        let track = slot.and_then(|s| s.track.as_ref());
        let from = track.map_or(committed, |t| committed.max(t.first()));
        let Some(topic) = self.topics.get(topic_name) else {
            return;
        };
        let refused = topic
            .unreadable_until
            .is_some_and(|until| until > Instant::now());
        let node = topic
            .leader(id)
            .and_then(|leader| self.brokers.nodes.get_mut(&leader));
        let Some(node) = node else {
            return;
        };
        let mark = if refused {
            Looked::Refused(committed, end)
        } else {
            node.looks.push(MarkerProbe {
                group: name.clone(),
                topic: topic_name.clone(),
                id,
                isolation,
                committed,
                from,
                end,
            });
            Looked::At(committed, end)
        };
        self.mark(name, topic_name, id, mark);
    }

    fn mark(&mut self, group: &Arc<str>, topic: &Arc<str>, id: i32, looked: Looked) {
        if let Some(slot) = self.groups.known_slot(group, topic, id) {
            slot.looked = looked;
        }
    }

    /// Asks a broker that has nothing else to do.
    pub(super) fn ask_looks(&mut self, id: i32) {
        let Some(node) = self.brokers.nodes.get_mut(&id) else {
            return;
        };
        let Some(isolation) = node.looks.first().map(|l| l.isolation) else {
            return;
        };
        let busy = node.question.is_some() || !node.ready.is_empty() || node.has_commits();
        if busy || node.rests(Instant::now()).is_some() {
            return;
        }
        let mut positions = Positions::new();
        let mut left = TOGETHER;
        let goes = |look: &mut MarkerProbe| {
            let of_topic = positions.entry(look.topic.clone()).or_default();
            // One offset of a partition in a request.
            let fits = left > 0 && look.isolation == isolation && !of_topic.contains_key(&look.id);
            if fits {
                of_topic.insert(look.id, look.from);
                left -= 1;
            }
            fits
        };
        node.looking = node.looks.extract_if(.., goes).collect();
        positions.retain(|_, ids| !ids.is_empty());
        let ask = Ask::Tails {
            isolation,
            positions,
        };
        self.brokers.ask(id, ask, Vec::new());
    }

    /// Takes the answers for everything that was looked at.
    pub(super) fn take_tails(&mut self, looking: Vec<MarkerProbe>, tails: &Result<Tails, Error>) {
        for look in looking {
            let found = tails.as_ref().map(|t| t.get(&look.topic)?.get(&look.id));
            match found {
                Ok(Some(Ok(Tail::Nothing(end)))) if *end >= look.end => self.drain(&look),
                Ok(Some(Err(ResponseError::TopicAuthorizationFailed))) => {
                    self.leave_alone(&look, LEFT_ALONE);
                }
                // A broker that fails over this is not to do so every tick.
                Err(_) => self.leave_alone(&look, FAILED),
                // The next tick tries again.
                Ok(Some(Ok(Tail::Nothing(_))) | None) => {
                    self.mark(&look.group, &look.topic, look.id, Looked::Not);
                }
                Ok(Some(Err(code))) if has_moved(*code) => {
                    self.mark(&look.group, &look.topic, look.id, Looked::Not);
                }
                // There is a record, or these bytes don't tell, or the broker can't: it will say so again.
                Ok(Some(Ok(Tail::Record(_) | Tail::Unknown) | Err(_))) => {}
            }
        }
    }

    fn leave_alone(&mut self, look: &MarkerProbe, span: Duration) {
        if let Some(topic) = self.topics.known.get_mut(&look.topic) {
            topic.unreadable_until = Some(Instant::now() + span);
        }
        let refused = Looked::Refused(look.committed, look.end);
        self.mark(&look.group, &look.topic, look.id, refused);
    }

    /// Gives back the questions of a broker that is gone.
    pub(super) fn look_again(&mut self, looks: Vec<MarkerProbe>) {
        for look in looks {
            self.mark(&look.group, &look.topic, look.id, Looked::Not);
        }
    }

    fn drain(&mut self, look: &MarkerProbe) {
        self.groups.changed = true;
        let slot = self.groups.known_slot(&look.group, &look.topic, look.id);
        let track = slot.and_then(|s| s.track.as_mut());
        if let Some(track) = track.filter(|t| t.committed == Some(look.committed)) {
            track.drained = Some(look.end);
        }
    }
}
