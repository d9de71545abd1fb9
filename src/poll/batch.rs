//! The batches in which the groups of a coordinator are asked about.

use crate::kafka::requests::CommitsOf;

/// Groups of a request. Measured best: more in one is slower and delays the coordinator's other clients.
const GROUPS: usize = 100;
/// Expected offsets of a request.
const OFFSETS: usize = 5_000;

/// Splits groups into batches: so few as a hundred groups or five thousand offsets in each allow, all about as large. All that
/// wait are split at once and asked for before what comes later, so that no group waits for ever at a slow coordinator.
pub(super) fn batches(mut groups: Vec<CommitsOf>) -> Vec<Vec<CommitsOf>> {
    let all: usize = groups.iter().map(CommitsOf::expected).sum();
    let count = groups.len().div_ceil(GROUPS).max(all.div_ceil(OFFSETS));
    if count == 1 {
        return vec![groups];
    }
    groups.sort_by_key(|of| std::cmp::Reverse(of.expected()));
    let mut batches = vec![Vec::new(); count];
    for (place, of) in groups.into_iter().enumerate() {
        batches[place % count].push(of);
    }
    batches.retain(|batch| !batch.is_empty());
    batches
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::kafka::requests::Partitions;

    fn sizes(groups: &[i32]) -> Vec<usize> {
        let of = |partitions: &i32| CommitsOf {
            group: "g".into(),
            partitions: Some(Arc::new(Partitions::from([(
                "t".into(),
                (0..*partitions).collect(),
            )]))),
            members: false,
        };
        let split = batches(groups.iter().map(of).collect());
        split.iter().map(Vec::len).collect()
    }

    #[test]
    fn there_are_so_few_batches_as_groups_and_offsets_allow() {
        assert_eq!(sizes(&[]), [0_usize; 0], "no question about nothing");
        assert_eq!(sizes(&[1; 250]), [84, 83, 83]);
        assert_eq!(sizes(&[1_000; 12]), [4, 4, 4]);
        assert_eq!(sizes(&[3_000; 5]), [2, 2, 1], "three times five thousand");
        let mut mixed = vec![1; 199];
        mixed.push(9_000);
        assert_eq!(
            sizes(&mixed),
            [100, 100],
            "two of a hundred, and two of five thousand"
        );
    }
}
