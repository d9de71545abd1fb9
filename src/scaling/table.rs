//! What the external metrics API serves, ready to be read: every value or error was decided before anybody asks. A change
//! of one object costs the same however many there are, and a reader never waits for a writer.

use std::sync::Arc;

use jiff::Timestamp;

use crate::sharded::Sharded;

/// Largest value that is served, in milli-units: the HPA controller multiplies by a thousand without a check and wraps above it.
pub const MAX_MILLI: i64 = 9_223_372_036_854_775_000;

/// One metric of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The metric's name as its owner spells it; requests match it without case.
    pub metric: Arc<str>,
    /// The `ScaledObject` it belongs to; the selector `scaledobject.keda.sh/name` names it.
    pub scaled_object: Arc<str>,
    /// What to answer.
    pub outcome: Outcome,
}

/// A value with the time of its reading, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A value that may be served.
    Value {
        /// In thousandths, 0 to [`MAX_MILLI`].
        milli: i64,
        /// When the reading behind it was taken.
        at: Timestamp,
    },
    /// Withheld: the text an operator reads in `kubectl describe hpa`.
    Withheld(Arc<str>),
}

/// All metrics, by namespace and lower-case name.
#[derive(Default)]
pub struct Table {
    metrics: Sharded<Arc<[Entry]>>,
}

impl Table {
    /// Replaces what an object in `namespace` serves: `before` by `after`. Only one task may write.
    pub fn replace(&self, namespace: &str, before: &[Entry], after: &[Entry]) {
        for old in before {
            let stays = |new: &Entry| new.metric.eq_ignore_ascii_case(&old.metric);
            if !after.iter().any(stays) {
                self.change(namespace, &old.metric, &old.scaled_object, None);
            }
        }
        for new in after.iter().filter(|new| !before.contains(new)) {
            self.change(namespace, &new.metric, &new.scaled_object, Some(new));
        }
    }

    /// The entries of this name in this namespace, whatever the case of `metric`; empty where nobody has such a metric.
    #[must_use]
    pub fn find(&self, namespace: &str, metric: &str) -> Arc<[Entry]> {
        self.metrics
            .get(&key(namespace, metric))
            .unwrap_or_default()
    }

    /// What `owner` serves under this name now, beside what others do.
    fn change(&self, namespace: &str, metric: &str, owner: &str, now: Option<&Entry>) {
        let key = key(namespace, metric);
        let known = self.metrics.get(&key).unwrap_or_default();
        let others = known.iter().filter(|e| *e.scaled_object != *owner);
        let entries: Arc<[Entry]> = others.chain(now).cloned().collect();
        self.metrics
            .set(&key, Some(entries).filter(|e| !e.is_empty()));
    }
}

/// No namespace holds a zero byte.
fn key(namespace: &str, metric: &str) -> String {
    format!("{namespace}\0{}", metric.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(metric: &str, object: &str, milli: i64) -> Entry {
        Entry {
            metric: metric.into(),
            scaled_object: object.into(),
            outcome: Outcome::Value {
                milli,
                at: Timestamp::UNIX_EPOCH,
            },
        }
    }

    #[test]
    fn each_owner_of_a_name_changes_only_its_own_entry() {
        let table = Table::default();
        let (a, b) = (entry("S0-Kafka-t", "a", 1), entry("s0-kafka-t", "b", 2));
        table.replace("shop", &[], std::slice::from_ref(&a));
        table.replace("shop", &[], std::slice::from_ref(&b));
        table.replace("other", &[], &[entry("s0-kafka-t", "a", 9)]);
        assert_eq!(*table.find("shop", "s0-KAFKA-t"), [a.clone(), b.clone()]);
        let later = entry("S0-Kafka-t", "a", 5);
        table.replace("shop", &[a], std::slice::from_ref(&later));
        assert_eq!(
            *table.find("shop", "s0-kafka-t"),
            [b.clone(), later.clone()]
        );
        table.replace("shop", &[later], &[]);
        assert_eq!(*table.find("shop", "s0-kafka-t"), [b]);
        assert!(table.find("shop", "s1-kafka-t").is_empty());
    }
}
