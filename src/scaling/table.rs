//! The table that the external metrics API reads: every value or error was decided before anybody asks. A change
//! of one object costs the same however many there are, and a reader never waits for a writer.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;

use crate::sharded::Sharded;

/// Largest value that is served, in milli-units: the HPA controller multiplies by a thousand without a check and wraps above it.
pub const MAX_MILLI: i64 = 9_223_372_036_854_775_000;

/// One item of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The metric's name as its owner spells it; requests match it without case.
    pub metric: Arc<str>,
    /// Whose it is.
    pub owner: Owner,
    /// The answer.
    pub outcome: Outcome,
}

/// The owner, which tells the items of one name apart. The name of a `LagMetric` can't be that of a `ScaledObject`'s metric: its CRD refuses
/// such names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The metric of the `ScaledObject` of this name; the selector `scaledobject.keda.sh/name` has to name it.
    ScaledObject(Arc<str>),
    /// One topic of a `LagMetric`; the item carries it as the label `topic`.
    Topic(Arc<str>),
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
        let names = |entries: &[Entry]| -> Vec<String> {
            entries.iter().map(|e| e.metric.to_lowercase()).collect()
        };
        let mut names = [names(before), names(after)].concat();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let is_it = |e: &&Entry| e.metric.to_lowercase() == name;
            let (old, new): (Vec<_>, Vec<_>) = (
                before.iter().filter(is_it).collect(),
                after.iter().filter(is_it).collect(),
            );
            if old == new {
                continue;
            }
            let key = key(namespace, &name);
            let known = self.metrics.get(&key).unwrap_or_default();
            let owners: HashSet<&Owner> = old.iter().chain(&new).map(|e| &e.owner).collect();
            let others = known.iter().filter(|e| !owners.contains(&e.owner));
            let entries: Arc<[Entry]> = others.chain(new).cloned().collect();
            self.metrics
                .set(&key, Some(entries).filter(|e| !e.is_empty()));
        }
    }

    /// The entries of this name in this namespace, whatever the case of `metric`; empty where nobody has such a metric.
    #[must_use]
    pub fn find(&self, namespace: &str, metric: &str) -> Arc<[Entry]> {
        self.metrics
            .get(&key(namespace, metric))
            .unwrap_or_default()
    }

    /// Every entry with its namespace, of one namespace or of all; in no order.
    #[must_use]
    pub fn list(&self, namespace: Option<&str>) -> Vec<(Box<str>, Entry)> {
        let mut listed = Vec::new();
        self.metrics.visit(|key, entries| {
            let (of, _) = key.split_once('\0').unwrap_or((key, ""));
            if namespace.is_none_or(|namespace| namespace == of) {
                listed.extend(entries.iter().map(|e| (of.into(), e.clone())));
            }
        });
        listed
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
            owner: Owner::ScaledObject(object.into()),
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

    #[test]
    fn the_topics_of_one_metric_come_and_go_together() {
        let table = Table::default();
        let topic = |name: &str, milli| Entry {
            owner: Owner::Topic(name.into()),
            ..entry("orders", "", milli)
        };
        let (first, second) = (
            [topic("a", 1), topic("b", 2)],
            [topic("b", 3), topic("c", 4)],
        );
        table.replace("shop", &[], &first);
        assert_eq!(*table.find("shop", "orders"), first);
        table.replace("shop", &first, &second);
        assert_eq!(*table.find("shop", "orders"), second);
        table.replace("shop", &second, &[]);
        assert!(table.find("shop", "orders").is_empty());
    }
}
