//! The table that the external metrics API reads: every value or error was decided before anybody asks. A change
//! of one object and the answer to one question cost the same however many there are, and a reader never waits for a writer.

use std::sync::Arc;

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

/// All metrics. An object's entry has a place of its own, since the groups of one topic all have metrics of one name.
#[derive(Default)]
pub struct Table {
    /// By namespace, lower-case name and `ScaledObject`; the topics of a `LagMetric` are together, by no object.
    entries: Sharded<Arc<[Entry]>>,
    /// How many `ScaledObject`s have a metric of the name, by namespace and lower-case name.
    objects: Sharded<usize>,
}

/// The answer to who has a metric of a name.
#[derive(Debug, PartialEq)]
pub enum Found {
    /// Nobody.
    Nobody,
    /// `ScaledObject`s: the entry of the one that was named, if it is among them.
    ScaledObjects(Arc<[Entry]>),
    /// A `LagMetric`: an entry for each topic.
    LagMetric(Arc<[Entry]>),
}

impl Found {
    /// The entries; none where nobody has such a metric, or not the object that was named.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match self {
            Self::Nobody => &[],
            Self::ScaledObjects(entries) | Self::LagMetric(entries) => entries,
        }
    }
}

impl Table {
    /// Replaces what an object in `namespace` serves: `before` by `after`. Only one task may write.
    pub fn replace(&self, namespace: &str, before: &[Entry], after: &[Entry]) {
        let places = |entries: &[Entry]| -> Vec<(String, Option<Arc<str>>)> {
            entries.iter().map(|e| place(namespace, e)).collect()
        };
        let (old, new) = (places(before), places(after));
        let mut all: Vec<_> = old.iter().chain(&new).collect();
        all.sort_unstable();
        all.dedup();
        for at in all {
            let there = |entries: &[Entry], places: &[_]| -> Vec<Entry> {
                let pairs = entries.iter().zip(places);
                let there = pairs.filter(|(_, place)| *place == at);
                there.map(|(entry, _)| entry.clone()).collect()
            };
            let (was, is) = (there(before, &old), there(after, &new));
            if was == is {
                continue;
            }
            let (name, object) = at;
            if object.is_some() {
                let count = self.objects.get(name).unwrap_or_default();
                let count = match (was.is_empty(), is.is_empty()) {
                    (true, false) => count + 1,
                    (false, true) => count.saturating_sub(1),
                    _ => count,
                };
                self.objects.set(name, Some(count).filter(|n| *n > 0));
            }
            let entries = Some(is.into()).filter(|e: &Arc<[Entry]>| !e.is_empty());
            self.entries.set(&key(name, object.as_deref()), entries);
        }
    }

    /// The metrics of this name in this namespace, whatever the case of `metric`; of `ScaledObject`s that of `object`.
    #[must_use]
    pub fn find(&self, namespace: &str, metric: &str, object: Option<&str>) -> Found {
        let name = name(namespace, metric);
        let of = |object| self.entries.get(&key(&name, object));
        if self.objects.get(&name).is_some() {
            let named = object.and_then(|object| of(Some(object)));
            return Found::ScaledObjects(named.unwrap_or_default());
        }
        of(None).map_or(Found::Nobody, Found::LagMetric)
    }

    /// Every entry with its namespace, of one namespace or of all; in no order.
    #[must_use]
    pub fn list(&self, namespace: Option<&str>) -> Vec<(Box<str>, Entry)> {
        let mut listed = Vec::new();
        self.entries.visit(|key, entries| {
            let (of, _) = key.split_once('\0').unwrap_or((key, ""));
            if namespace.is_none_or(|namespace| namespace == of) {
                listed.extend(entries.iter().map(|e| (of.into(), e.clone())));
            }
        });
        listed
    }
}

fn place(namespace: &str, entry: &Entry) -> (String, Option<Arc<str>>) {
    let object = match &entry.owner {
        Owner::ScaledObject(object) => Some(object.clone()),
        Owner::Topic(_) => None,
    };
    (name(namespace, &entry.metric), object)
}

/// No namespace holds a zero byte.
fn name(namespace: &str, metric: &str) -> String {
    format!("{namespace}\0{}", metric.to_lowercase())
}

/// No object has an empty name, and none holds a zero byte.
fn key(name: &str, object: Option<&str>) -> String {
    format!("{name}\0{}", object.unwrap_or_default())
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
        let found = |object| table.find("shop", "s0-KAFKA-t", object);
        let one = |entry: &Entry| Found::ScaledObjects([entry.clone()].into());
        let none = || Found::ScaledObjects([].into());
        assert_eq!((found(Some("a")), found(Some("b"))), (one(&a), one(&b)));
        assert_eq!((found(Some("c")), found(None)), (none(), none()));
        let later = entry("S0-Kafka-t", "a", 5);
        table.replace("shop", &[a], std::slice::from_ref(&later));
        assert_eq!((found(Some("a")), found(Some("b"))), (one(&later), one(&b)));
        table.replace("shop", &[later], &[]);
        assert_eq!((found(Some("a")), found(Some("b"))), (none(), one(&b)));
        assert_eq!(table.find("shop", "s1-kafka-t", Some("b")), Found::Nobody);
        table.replace("shop", &[b], &[]);
        assert_eq!(found(Some("b")), Found::Nobody);
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
        let found = || table.find("shop", "orders", None);
        table.replace("shop", &[], &first);
        assert_eq!(found(), Found::LagMetric(first.clone().into()));
        table.replace("shop", &first, &second);
        assert_eq!(found(), Found::LagMetric(second.clone().into()));
        table.replace("shop", &second, &[]);
        assert_eq!(found(), Found::Nobody);
    }
}
