//! `partitionLimitation`: the ids and ranges of partitions a trigger reads.

use std::ops::RangeInclusive;

use super::fields::ECHO;
use crate::text::shown;

/// A limitation that writes more ids than this is refused: no topic has as many.
const MOST_PARTITIONS: i64 = 100_000;

/// Partition ids, as ranges: these take a few bytes however many ids they hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limitation(Box<[(i32, i32)]>);

impl Limitation {
    /// `1,2,10-20` with blanks; an inverted range is empty, as in the reference. An error comes with the place of its piece.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut ranges = Vec::new();
        let mut written = 0_i64;
        for (at, piece) in text.split(',').map(str::trim).enumerate() {
            let range = range(piece).map_err(|error| (at, error))?;
            let (first, last) = range.into_inner();
            if first > last {
                continue;
            }
            written += i64::from(last) - i64::from(first) + 1;
            if written > MOST_PARTITIONS {
                let piece = shown(piece, ECHO);
                let error = format!(
                    "invalid partition limitation range: {piece} (more than {MOST_PARTITIONS} partitions)"
                );
                return Err((at, error));
            }
            ranges.push((first, last));
        }
        ranges.sort_unstable();
        let mut merged: Vec<(i32, i32)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Ok(Self(merged.into()))
    }

    /// Whether a partition is read.
    #[must_use]
    pub fn holds(&self, id: i32) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= id);
        let range = after.checked_sub(1).and_then(|at| self.0.get(at));
        range.is_some_and(|(_, last)| id <= *last)
    }

    /// Every id, ascending.
    pub fn ids(&self) -> impl Iterator<Item = i32> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }
}

fn range(piece: &str) -> Result<RangeInclusive<i32>, String> {
    let invalid = || format!("invalid partition limitation: {}", shown(piece, ECHO));
    let mut ends = piece.split('-').map(str::trim);
    let (first, last, more) = (ends.next(), ends.next(), ends.next());
    if more.is_some() {
        let piece = shown(piece, ECHO);
        return Err(format!("invalid partition limitation range: {piece}"));
    }
    let id = |text: Option<&str>| text.and_then(|t| t.parse::<i32>().ok()).ok_or_else(invalid);
    let first = id(first)?;
    let last = if last.is_some() { id(last)? } else { first };
    Ok(first..=last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    proptest! {
        #[test]
        fn it_holds_the_ids_of_its_ranges(ranges in vec((0_i32..60, 0_i32..60), 1..12)) {
            let text: Vec<_> = ranges.iter().map(|(a, b)| format!(" {a} - {b}")).collect();
            let limitation = Limitation::parse(&text.join(",")).unwrap();
            let ids: BTreeSet<i32> = ranges.iter().flat_map(|(a, b)| *a..=*b).collect();
            prop_assert!(limitation.ids().eq(ids.iter().copied()));
            for id in -1..70 {
                prop_assert_eq!(limitation.holds(id), ids.contains(&id));
            }
        }
    }
}
