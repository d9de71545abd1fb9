//! The number an HPA is to see (docs/lag.md, "How many replicas"): cut where more consumers could not work, lifted just enough where the
//! HPA's tolerance would hold it one short. Simulated for maxReplicas to 130: exact from every start.

/// The bounds around a lag.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// `lagThreshold`, above 0.
    pub threshold: i64,
    /// Consumers that can work at once, by partitions; `None`: no bound.
    pub bound: Option<i64>,
    /// Consumers that can work right now, at most the bound: partitions with a lag under `limitToPartitionsWithLag`.
    pub effective: Option<i64>,
    /// The live HPA's maxReplicas; `None` while it is unknown, or was not the wanted one for a whole sample interval: the
    /// controller may still act on an older one then, so nothing is served above the bound.
    pub live_max: Option<i64>,
    /// The HPA's scale-up tolerance in thousandths: 100 is the stock controller's.
    pub tolerance_milli: i64,
}

/// The value to serve for `lag` under AverageValue. Never negative for a lag that is not.
#[must_use]
pub fn signal(lag: i64, cut: Cut) -> i64 {
    let at_most = |consumers: i64| lag.min(consumers.saturating_mul(cut.threshold));
    let Some(max) = cut.live_max else {
        let limit = cut.effective.or(cut.bound);
        return limit.map_or(lag, at_most);
    };
    match cut.effective {
        Some(effective) if effective < max => at_most(effective),
        _ => lifted(lag, max, cut),
    }
}

/// At `max - 1` replicas a ratio within the tolerance would stay there: (1+t)(max-1)T is the largest value that does.
fn lifted(lag: i64, max: i64, cut: Cut) -> i64 {
    let asks_for = lag / cut.threshold + i64::from(lag % cut.threshold != 0);
    if max < 2 || asks_for < max {
        return lag;
    }
    let share = i128::from(cut.tolerance_milli) + 1000;
    let most = share.saturating_mul(i128::from(max - 1) * i128::from(cut.threshold));
    lag.max(i64::try_from(most / 1000 + 1).unwrap_or(i64::MAX))
}

/// `ensureEvenDistributionOfPartitions`, as the reference: the smallest divisor of the partitions that is enough, times
/// the threshold; an idle topic is one threshold.
#[must_use]
pub fn even(lag: i64, partitions: i64, threshold: i64) -> i64 {
    let enough = |factor: i64| factor.saturating_mul(threshold) >= lag;
    let factor = (1..=partitions).find(|f| partitions % f == 0 && enough(*f));
    factor.unwrap_or(partitions).saturating_mul(threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stock controller's arithmetic for an AverageValue external metric (replica_calculator.go), in its floats.
    #[allow(clippy::cast_precision_loss, reason = "the controller computes so")]
    fn hpa(value: i64, threshold: i64, replicas: i64, max: i64, tolerance: f64) -> i64 {
        let ratio = (value * 1000) as f64 / ((threshold * 1000) as f64 * replicas as f64);
        let wanted = if (1.0 - tolerance..=1.0 + tolerance).contains(&ratio) {
            replicas
        } else {
            value / threshold + i64::from(value % threshold != 0)
        };
        wanted.clamp(1, max)
    }

    fn settles(lag: i64, partitions: i64, threshold: i64, max: i64, from: i64) -> (i64, i64) {
        let cut = Cut {
            threshold,
            bound: Some(partitions),
            effective: Some(partitions),
            live_max: Some(max),
            tolerance_milli: 100,
        };
        let (mut replicas, mut highest) = (from, from);
        for _ in 0..10 {
            replicas = hpa(signal(lag, cut), threshold, replicas, max, 0.1);
            highest = highest.max(replicas);
        }
        (replicas, highest)
    }

    #[test]
    fn every_partition_gets_a_consumer_and_none_is_left_over_from_every_start() {
        for partitions in 1..=130 {
            for threshold in [1, 5, 10, 1_000] {
                let least = (partitions - 1) * threshold + 1;
                for lag in [
                    least,
                    partitions * threshold,
                    partitions * threshold + threshold - 1,
                    50 * partitions * threshold,
                ] {
                    for from in 1..=partitions {
                        let (end, highest) = settles(lag, partitions, threshold, partitions, from);
                        assert_eq!(
                            (end, highest),
                            (partitions, partitions),
                            "{partitions} partitions, T {threshold}, lag {lag}, from {from}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_max_below_the_partitions_is_reached_too() {
        let (end, highest) = settles(96, 64, 5, 20, 19);
        assert_eq!((end, highest), (20, 20));
    }

    #[test]
    fn below_the_bound_it_is_the_true_lag() {
        let cut = Cut {
            threshold: 5,
            bound: Some(5),
            effective: Some(5),
            live_max: Some(5),
            tolerance_milli: 100,
        };
        for lag in 0..=20 {
            assert_eq!(signal(lag, cut), lag);
        }
    }

    #[test]
    fn it_is_never_over_the_truth_by_more_than_the_tolerance() {
        for max in 2..=130 {
            for lag in ((max - 1) * 7 + 1)..=(max * 7) {
                let cut = Cut {
                    threshold: 7,
                    bound: None,
                    effective: None,
                    live_max: Some(max),
                    tolerance_milli: 100,
                };
                let served = signal(lag, cut);
                assert!(
                    served >= lag && served * 10 <= lag * 11 + 10,
                    "{max} {lag} {served}"
                );
            }
        }
    }

    #[test]
    fn with_a_max_above_the_bound_or_unsettled_it_is_cut_at_the_bound() {
        let cut = |live_max| Cut {
            threshold: 5,
            bound: Some(5),
            effective: Some(5),
            live_max,
            tolerance_milli: 100,
        };
        assert_eq!(signal(10_000, cut(Some(100))), 25);
        assert_eq!(signal(10_000, cut(None)), 25);
        assert_eq!(signal(29, cut(Some(8))), 25);
    }

    #[test]
    fn only_partitions_with_lag_count_where_the_user_asks_for_it() {
        let cut = Cut {
            threshold: 5,
            bound: Some(5),
            effective: Some(2),
            live_max: Some(5),
            tolerance_milli: 100,
        };
        assert_eq!(signal(10_000, cut), 10);
    }

    #[test]
    fn nothing_wraps_at_the_edge_of_the_numbers() {
        let cut = Cut {
            threshold: i64::MAX,
            bound: Some(5),
            effective: Some(5),
            live_max: Some(5),
            tolerance_milli: 100,
        };
        assert_eq!(signal(i64::MAX, cut), i64::MAX);
        assert_eq!(
            signal(
                i64::MAX,
                Cut {
                    threshold: 1,
                    ..cut
                }
            ),
            i64::MAX
        );
    }
}
