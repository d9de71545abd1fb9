//! What the external metrics API serves, ready to be read: every value or error was decided before anybody asks.
//! Swapped whole, so a request reads one consistent picture and never waits for a writer.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

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
#[derive(Clone, Debug, Default)]
pub struct Table {
    entries: HashMap<Arc<str>, HashMap<Box<str>, Vec<Entry>>>,
}

impl Table {
    /// Adds a metric of an object in `namespace`.
    pub fn insert(&mut self, namespace: &Arc<str>, entry: Entry) {
        self.entries
            .entry(namespace.clone())
            .or_default()
            .entry(entry.metric.to_lowercase().into())
            .or_default()
            .push(entry);
    }

    /// The entries of this name in this namespace, whatever the case of `metric`; empty where nobody has such a metric.
    #[must_use]
    pub fn find(&self, namespace: &str, metric: &str) -> &[Entry] {
        let Some(metrics) = self.entries.get(namespace) else {
            return &[];
        };
        let found = if metric.bytes().any(|b| b.is_ascii_uppercase()) || !metric.is_ascii() {
            metrics.get(metric.to_lowercase().as_str())
        } else {
            metrics.get(metric)
        };
        found.map_or(&[], Vec::as_slice)
    }
}
