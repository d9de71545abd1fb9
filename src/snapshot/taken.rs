//! Which topics of a cluster's list each pattern takes. Names are matched when the list or the patterns change, never when
//! somebody reads: a user's pattern may be slow, and a cluster may have many topics.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::kafka::topics::TopicPattern;

/// Patterns of one cluster that are followed: each is matched with every topic of a list.
pub const MOST_PATTERNS: usize = 256;
const BITS: usize = u64::BITS as usize;

/// The topics that some pattern takes, and which of them each takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Ascending.
    topics: Vec<Arc<str>>,
    /// By pattern, a bit for each of the topics.
    by: BTreeMap<TopicPattern, Bits>,
}

/// One bit for each topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Bits(Box<[u64]>);

impl Bits {
    fn of(bits: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut words = vec![0; bits.len().div_ceil(BITS)];
        for (at, bit) in bits.enumerate() {
            words[at / BITS] |= u64::from(bit) << (at % BITS);
        }
        Self(words.into())
    }

    fn has(&self, at: usize) -> bool {
        self.0
            .get(at / BITS)
            .is_some_and(|word| word >> (at % BITS) & 1 == 1)
    }
}

impl Taken {
    /// Matches each of `topics` once with each of `patterns`; one that none takes is left out.
    #[must_use]
    pub fn new(topics: &BTreeSet<Arc<str>>, patterns: &BTreeSet<TopicPattern>) -> Self {
        let by = patterns.iter().map(|pattern| {
            let bits = topics.iter().map(|topic| pattern.takes(topic));
            (pattern.clone(), Bits::of(bits))
        });
        let all = Self {
            topics: topics.iter().cloned().collect(),
            by: by.collect(),
        };
        all.without(|_| false)
    }

    /// Whether it is what these topics and patterns come to, where each topic is taken by some pattern.
    pub(crate) fn is_of(
        &self,
        topics: &BTreeSet<Arc<str>>,
        patterns: &BTreeSet<TopicPattern>,
    ) -> bool {
        self.topics.iter().eq(topics) && self.by.keys().eq(patterns)
    }

    /// Every topic, ascending.
    #[must_use]
    pub fn topics(&self) -> &[Arc<str>] {
        &self.topics
    }

    /// Whether some pattern takes this topic of the list.
    #[must_use]
    pub fn contains(&self, topic: &str) -> bool {
        self.topics.binary_search_by(|t| (**t).cmp(topic)).is_ok()
    }

    /// The topics that one of `patterns` takes, ascending.
    pub fn by<'a>(
        &self,
        patterns: impl IntoIterator<Item = &'a TopicPattern>,
    ) -> impl Iterator<Item = &Arc<str>> {
        let known = patterns.into_iter().filter_map(|p| self.by.get(p));
        let known: Vec<&Bits> = known.collect();
        let topics = self.topics.iter().enumerate();
        topics.filter_map(move |(at, topic)| known.iter().any(|b| b.has(at)).then_some(topic))
    }

    /// Forgets the patterns that are not among `patterns`, and what only they took.
    pub(crate) fn keep(&mut self, patterns: &BTreeSet<TopicPattern>) {
        self.by.retain(|pattern, _| patterns.contains(pattern));
        *self = self.without(|_| false);
    }

    /// Forgets a topic.
    pub(crate) fn lose(&mut self, topic: &Arc<str>) {
        *self = self.without(|t| t == topic);
    }

    /// Without the topics that `lost` says, and those that nothing takes.
    fn without(&self, lost: impl Fn(&Arc<str>) -> bool) -> Self {
        let stays = |at: &usize| !lost(&self.topics[*at]) && self.by.values().any(|b| b.has(*at));
        let stay: Vec<usize> = (0..self.topics.len()).filter(stays).collect();
        let by = self.by.iter().map(|(pattern, bits)| {
            let bits = stay.iter().map(|at| bits.has(*at));
            (pattern.clone(), Bits::of(bits))
        });
        Self {
            topics: stay.iter().map(|at| self.topics[*at].clone()).collect(),
            by: by.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_set, prelude::*};

    use super::*;

    proptest! {
        /// It is told what a match of each name would tell, whatever patterns and topics go.
        #[test]
        fn it_says_what_matching_says(
            topics in btree_set("[a-c]{1,5}", 0..200),
            patterns in btree_set("[a-c]{0,2}[.][*+]|[a-c]+[*]", 1..6),
            asked in 1_usize..6,
        ) {
            let topics: BTreeSet<Arc<str>> = topics.iter().map(|t| t.as_str().into()).collect();
            let patterns: BTreeSet<_> = patterns.iter().map(|p| TopicPattern::parse(p).unwrap()).collect();
            let some: BTreeSet<_> = patterns.iter().take(asked).cloned().collect();
            let matched = |by: &BTreeSet<TopicPattern>| -> Vec<Arc<str>> {
                let fits = topics.iter().filter(|t| by.iter().any(|p| p.takes(t)));
                fits.cloned().collect()
            };
            let mut taken = Taken::new(&topics, &patterns);
            let found = |taken: &Taken, by| -> Vec<Arc<str>> { taken.by(by).cloned().collect() };
            prop_assert_eq!(taken.topics(), matched(&patterns));
            prop_assert_eq!(found(&taken, &some), matched(&some));
            taken.keep(&some);
            prop_assert_eq!(taken.topics(), matched(&some));
            prop_assert_eq!(found(&taken, &patterns), matched(&some));
            if let Some(first) = taken.topics().first().cloned() {
                taken.lose(&first);
                prop_assert!(!taken.contains(&first));
                prop_assert_eq!(found(&taken, &some), &matched(&some)[1..]);
            }
        }
    }
}
