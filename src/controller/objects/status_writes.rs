//! The status writes of an object: the last one, and when a change is worth another.

use std::time::{Duration, Instant};

use super::work::{ECHO, Outcome};
use crate::{
    backoff::doubled,
    resources::{ScaledObject, ScaledObjectStatus},
    scaling::Due,
};

/// In an outage the cause changes its words from try to try; they are written after this long, then less and less often. What an HPA
/// says of itself is written once it has said so for this long: it goes to and fro while pods come and go.
const WORDS: Duration = Duration::from_secs(10);
const SELDOM_WORDS: Duration = Duration::from_secs(600);

/// The status writes of one object.
#[derive(Default)]
pub(super) struct StatusWrites {
    /// The last one, until the watch has brought it as it was written.
    written: Option<ScaledObjectStatus>,
    written_at: Option<Instant>,
    /// It as the API server stored it, if that is another: a foreign CRD may leave fields out.
    stored: Option<ScaledObjectStatus>,
    /// The object's version since this process wrote it: what the watch still shows of an older one is the past.
    version: Option<u64>,
    /// This process has written a status of it.
    confirmed: bool,
    /// Since when the HPA says another thing of itself than the status tells.
    turned_at: Option<Instant>,
    /// How often in a row only the words of conditions were worth a write.
    words: u32,
    /// When a change that was not worth a write will be.
    words_due: Option<Instant>,
    /// `true` once a write has failed, until one is done.
    failing: bool,
}

impl StatusWrites {
    /// Whether this process wrote a status of it before. Where it did not, another may just have done so.
    pub(super) fn confirmed(&self) -> bool {
        self.confirmed
    }

    /// `true` once a write has failed, until one is done: that may be long. A conflict is no failure.
    pub(super) fn failing(&self) -> bool {
        self.failing
    }

    /// Whether the watch has not come to our last write yet, as on a busy machine.
    pub(super) fn is_past(&self, object: &ScaledObject) -> bool {
        let live = object.metadata.resource_version.as_ref();
        let live = live.and_then(|version| version.parse::<u64>().ok());
        let written = live.zip(self.version);
        written.is_some_and(|(live, written)| live < written)
    }

    /// The present status: the last one written, until the watch has come to it.
    pub(super) fn known<'a>(
        &'a self,
        object: &'a ScaledObject,
        now: Instant,
    ) -> Option<&'a ScaledObjectStatus> {
        let live = object.status.as_ref();
        let same = live.is_some() && self.stored.as_ref() == live;
        let written = self.written.as_ref().zip(self.written_at);
        let stands = |(_, at): &(_, Instant)| {
            now.saturating_duration_since(*at) < ECHO || self.is_past(object) || same
        };
        match written.filter(stands) {
            Some((written, _)) => Some(written),
            None => live,
        }
    }

    /// Drops the status that was written once the watch has brought it: the object has it.
    pub(super) fn forget(&mut self, object: &ScaledObject) {
        if self.written.is_some() && self.written == object.status && !self.is_past(object) {
            (self.written, self.stored) = (None, None);
        }
    }

    /// Whether the last status that remembered something was stored without that, as a foreign CRD makes of it.
    pub(super) fn is_pruned(&self) -> bool {
        let written = self.written.as_ref().zip(self.stored.as_ref());
        written.is_some_and(|(w, s)| !w.remembered.is_empty() && s.remembered.is_empty())
    }

    /// Whether `next` is worth a write over `known`; it counts as written from now on. `since` is when the object was first seen.
    pub(super) fn write(
        &mut self,
        (known, next): (&ScaledObjectStatus, &ScaledObjectStatus),
        since: Instant,
        now: Instant,
    ) -> bool {
        self.words_due = None;
        if next == known {
            self.turned_at = None;
            return false;
        }
        let wordless = wordless(next) == wordless(known);
        let turned = says(next) != says(known);
        self.turned_at = turned.then(|| self.turned_at.unwrap_or(now));
        let stays_at = self.turned_at.map(|at| at + WORDS);
        let stays = stays_at.is_some_and(|at| at <= now);
        // That the HPA goes to and fro is no news; what else changed is, in its time.
        let alone = turned && without_hpa(next) == without_hpa(known);
        let words_due = (!alone).then(|| self.words_are_due_at(since));
        let due = stays_at.into_iter().chain(words_due).min();
        if wordless && due.is_some_and(|due| now < due) {
            self.words_due = due;
            return false;
        }
        self.words = match self.words {
            _ if !wordless => 0,
            words if stays => words,
            words => words.saturating_add(1),
        };
        self.turned_at = None;
        self.written = Some(next.clone());
        self.written_at = Some(now);
        true
    }

    /// Takes what came of the last work.
    pub(super) fn settle(&mut self, outcome: &Outcome) {
        if let Some(version) = &outcome.version {
            self.version = version.parse().ok();
        }
        self.confirmed |= outcome.status.is_some();
        self.failing = outcome.status.is_none() && (self.failing || outcome.failed);
        if outcome.conflict || outcome.failed {
            (self.written, self.written_at) = (None, None);
        }
        if outcome.status.is_some() {
            let written = self.written.as_ref();
            let other = |stored: &&_| written.is_some_and(|written| written != *stored);
            self.stored = outcome.status.as_ref().filter(other).cloned();
        }
    }

    /// When another look at it is due: the watch has not brought the last write yet, or a change was not worth one.
    pub(super) fn due(&self, due: &mut Due) {
        due.at(self.words_due);
        due.at(self.written_at.map(|at| at + ECHO));
    }

    /// When a change of nothing but the words of conditions is worth a write.
    fn words_are_due_at(&self, since: Instant) -> Instant {
        let every = doubled(WORDS, self.words, SELDOM_WORDS);
        self.written_at.unwrap_or(since) + every
    }
}

/// Whether the HPA says that it scales.
fn says(status: &ScaledObjectStatus) -> Option<&str> {
    let mut conditions = status.conditions.iter();
    let said = conditions.find(|c| c.kind == "HPAActive");
    said.map(|c| c.status.as_str())
}

/// Without what an HPA says of itself.
fn without_hpa(status: &ScaledObjectStatus) -> ScaledObjectStatus {
    let mut status = status.clone();
    status.conditions.retain(|c| c.kind != "HPAActive");
    status
}

/// Without that, and without the words of conditions.
fn wordless(status: &ScaledObjectStatus) -> ScaledObjectStatus {
    let mut status = without_hpa(status);
    for condition in &mut status.conditions {
        condition.message.clear();
    }
    status
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::Remembered;

    fn status(conditions: &[(&str, &str, &str)]) -> ScaledObjectStatus {
        let conditions = conditions.iter().map(|(kind, status, message)| {
            json!({"type": kind, "status": status, "reason": "r", "message": message})
        });
        let conditions: Vec<_> = conditions.collect();
        serde_json::from_value(json!({"conditions": conditions})).unwrap()
    }

    fn object(version: &str, status: Option<ScaledObjectStatus>) -> ScaledObject {
        let metadata = json!({"name": "so", "namespace": "shop", "resourceVersion": version});
        let spec = json!({"scaleTargetRef": {"name": "app"}, "triggers": []});
        let mut object: ScaledObject =
            serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
        object.status = status;
        object
    }

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn another_state_is_written_at_once_and_other_words_after_a_while_then_seldom() {
        let (begin, mut writes) = (Instant::now(), StatusWrites::default());
        let ready = status(&[("Ready", "True", "a")]);
        let failing = |words: &str| status(&[("Ready", "False", words)]);
        assert!(writes.write((&ready, &failing("0")), begin, begin));
        let (mut known, mut last, mut gaps) = (failing("0"), 0, Vec::new());
        for second in 1..4_000 {
            let next = failing(&second.to_string());
            if writes.write((&known, &next), begin, after(begin, second)) {
                gaps.push(second - last);
                (known, last) = (next, second);
            }
        }
        assert_eq!(gaps[..7], [10, 20, 40, 80, 160, 320, 600]);
        assert!(
            writes.write((&known, &ready), begin, after(begin, 4_000)),
            "it is well again"
        );
        let next = failing("again");
        assert!(writes.write((&ready, &next), begin, after(begin, 4_001)));
        assert!(
            writes.write((&next, &failing("x")), begin, after(begin, 4_011)),
            "seldom no more"
        );
    }

    #[test]
    fn nothing_new_is_no_write() {
        let (begin, mut writes) = (Instant::now(), StatusWrites::default());
        let ready = status(&[("Ready", "True", "a")]);
        assert!(!writes.write((&ready, &ready), begin, after(begin, 9_000)));
    }

    #[test]
    fn what_an_hpa_says_of_itself_is_written_once_it_has_said_so_for_a_while() {
        let (begin, mut writes) = (Instant::now(), StatusWrites::default());
        let says = |word: &str| status(&[("Ready", "True", "a"), ("HPAActive", word, "")]);
        let (yes, no) = (says("True"), says("False"));
        writes.write((&status(&[]), &yes), begin, begin);
        let at = |second| after(begin, second);
        assert!(!writes.write((&yes, &no), begin, at(1)));
        assert!(!writes.write((&yes, &yes), begin, at(2)));
        assert!(!writes.write((&yes, &no), begin, at(9)));
        assert!(!writes.write((&yes, &no), begin, at(18)));
        assert!(writes.write((&yes, &no), begin, at(19)));
        assert!(!writes.write((&no, &yes), begin, at(40)), "another turn");
    }

    #[test]
    fn what_was_written_stands_until_the_watch_has_come_to_it() {
        let (begin, mut writes) = (Instant::now(), StatusWrites::default());
        let (old, new) = (
            status(&[("Ready", "False", "")]),
            status(&[("Ready", "True", "")]),
        );
        let live = object("5", Some(old.clone()));
        assert_eq!(writes.known(&live, begin), Some(&old));
        assert!(writes.write((&old, &new), begin, begin));
        assert_eq!(writes.known(&live, after(begin, 4)), Some(&new));
        assert_eq!(
            writes.known(&live, after(begin, 5)),
            Some(&old),
            "it never came"
        );
        writes.settle(&Outcome {
            version: Some("7".into()),
            status: Some(new.clone()),
            ..Outcome::default()
        });
        assert!(writes.confirmed() && writes.is_past(&live));
        assert_eq!(
            writes.known(&live, after(begin, 60)),
            Some(&new),
            "the watch is late"
        );
        let come = object("7", Some(new.clone()));
        assert!(!writes.is_past(&come));
        assert_eq!(writes.known(&come, after(begin, 60)), Some(&new));
        let another = object("8", Some(old.clone()));
        assert_eq!(
            writes.known(&another, after(begin, 60)),
            Some(&old),
            "somebody else wrote"
        );
    }

    #[test]
    fn a_write_that_failed_or_met_another_is_not_taken_for_written() {
        let (old, new) = (
            status(&[("Ready", "False", "")]),
            status(&[("Ready", "True", "")]),
        );
        let live = object("5", Some(old.clone()));
        for outcome in [
            Outcome {
                failed: true,
                ..Outcome::default()
            },
            Outcome {
                conflict: true,
                ..Outcome::default()
            },
        ] {
            let (begin, mut writes) = (Instant::now(), StatusWrites::default());
            writes.write((&old, &new), begin, begin);
            writes.settle(&outcome);
            assert_eq!(writes.known(&live, begin), Some(&old));
            assert!(!writes.confirmed());
        }
    }

    #[test]
    fn a_field_that_a_foreign_crd_does_not_keep_is_told_and_not_written_again_for_that() {
        let (begin, mut writes) = (Instant::now(), StatusWrites::default());
        let bare = status(&[("Ready", "True", "")]);
        let mut next = bare.clone();
        next.remembered.insert("m".into(), Remembered::default());
        assert!(writes.write((&bare, &next), begin, begin));
        let stored = Outcome {
            status: Some(bare.clone()),
            ..Outcome::default()
        };
        writes.settle(&stored);
        assert!(writes.is_pruned());
        let live = object("6", Some(bare));
        assert_eq!(writes.known(&live, after(begin, 600)), Some(&next));
    }
}
