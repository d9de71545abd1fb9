//! Growth of a tick's costs: each size doubled three times while the others stand, and the exponent that fits. 1 is linear, 0 flat.

use serde_json::{Value, json};

use crate::{
    case::{Case, as_f64, rounded},
    sized,
};

/// A size, by its name in a line, and the cases with it doubled.
type Axis = (&'static str, fn(usize) -> Case);

const AXES: [Axis; 4] = [
    ("groups", |times| sized(1_250 * times, 1)),
    ("partitions", |times| Case {
        partitions: 5 * times,
        ..sized(1_250, 1)
    }),
    ("brokers", |times| Case {
        brokers: 3 * times,
        ..sized(2_500, 1)
    }),
    ("credentials", |times| sized(2_500, 4 * times)),
];

/// Prints a line for each size.
pub fn run() {
    for (axis, case) in AXES {
        let lines = [1, 2, 4, 8].map(|times| case(times).apart());
        let exponent = |key: &str| {
            let costs = lines.each_ref().map(|line| line[key].as_f64().unwrap());
            rounded(exponent(&costs))
        };
        let each: Vec<&Value> = lines.iter().collect();
        println!(
            "{}",
            json!({
                "bench": "growth", "axis": axis, "cpu": exponent("cpu_s"), "memory": exponent("rss_mb"),
                "requests": exponent("requests"), "first_cpu": exponent("first_cpu_s"), "tick": exponent("tick_s"), "lines": each,
            })
        );
    }
}

/// The slope of the line that fits best through the logarithms of `costs`, of which each is for twice the size.
fn exponent(costs: &[f64]) -> f64 {
    let logs: Vec<f64> = costs.iter().map(|cost| cost.max(0.001).log2()).collect();
    let middle = as_f64(costs.len() - 1) / 2.0;
    let mean = logs.iter().sum::<f64>() / as_f64(logs.len());
    let steps = || (0..logs.len()).map(|n| as_f64(n) - middle);
    let slope: f64 = steps().zip(&logs).map(|(x, y)| x * (y - mean)).sum();
    slope / steps().map(|x| x * x).sum::<f64>()
}
