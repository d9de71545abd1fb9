//! The bound of a trigger, the most consumers that can work on it: its partitions, as complete metadata says. A higher number counts
//! at once; a lower one only when two complete reads agree, because lowering maxReplicas bypasses every policy of an HPA.

/// The bound of one trigger, remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    value: Option<i64>,
    falling: Option<(i64, u64)>,
}

impl Bound {
    /// The bound; `None` until the first complete read.
    #[must_use]
    pub fn value(&self) -> Option<i64> {
        self.value
    }

    /// Whether fewer partitions than before are there, and only one complete read says so.
    #[must_use]
    pub fn is_falling(&self) -> bool {
        self.falling.is_some()
    }

    /// Takes a complete read. `reads` counts complete reads: the same count is the same read and confirms nothing; it begins
    /// anew with another poller.
    pub fn take(&mut self, partitions: i64, reads: u64) {
        match (self.value, self.falling) {
            (Some(value), _) if partitions == value => self.falling = None,
            (Some(value), Some((seen, at)))
                if partitions < value && seen == partitions && reads != at =>
            {
                *self = Self {
                    value: Some(partitions),
                    falling: None,
                };
            }
            (Some(value), Some((seen, _))) if partitions < value && seen == partitions => {}
            (Some(value), _) if partitions < value => self.falling = Some((partitions, reads)),
            _ => {
                *self = Self {
                    value: Some(partitions),
                    falling: None,
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_rises_at_once_and_falls_when_two_reads_agree() {
        let mut bound = Bound::default();
        let mut seen = Vec::new();
        for (partitions, reads) in [
            (5, 1),
            (8, 2),
            (5, 3),
            (5, 3),
            (6, 4),
            (5, 5),
            (5, 6),
            (9, 7),
        ] {
            bound.take(partitions, reads);
            seen.push(bound.value().unwrap());
        }
        assert_eq!(seen, [5, 8, 8, 8, 8, 8, 5, 9]);
    }
}
