//! How the groups of a coordinator are spread over requests.

use crate::kafka::requests::{
    CommitsOf,
    commits::{GROUPS, OFFSETS},
};

/// Takes the next batch: there are so few as a hundred groups or five thousand offsets in each allow, all about as large.
pub(super) fn batch(groups: &mut Vec<CommitsOf>) -> Vec<CommitsOf> {
    let all: usize = groups.iter().map(CommitsOf::expected).sum();
    let batches = groups.len().div_ceil(GROUPS).max(all.div_ceil(OFFSETS));
    if batches <= 1 {
        return std::mem::take(groups);
    }
    groups.sort_by_key(|of| std::cmp::Reverse(of.expected()));
    let mut index = 0..;
    groups
        .extract_if(.., |_| index.next().is_some_and(|i| i % batches == 0))
        .collect()
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
        let mut left: Vec<_> = groups.iter().map(of).collect();
        let mut sizes = Vec::new();
        while !left.is_empty() {
            sizes.push(batch(&mut left).len());
        }
        sizes
    }

    #[test]
    fn there_are_so_few_batches_as_groups_and_offsets_allow() {
        assert_eq!(sizes(&[]), Vec::<usize>::new());
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
