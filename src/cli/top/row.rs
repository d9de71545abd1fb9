//! Rows of `lagscale top`: the metrics that lagscale tells in a table of kubectl's, and the order that a person asks for.

use std::cmp::Reverse;

use clap::ValueEnum;
use serde_json::Value;

use crate::{
    overview::{Metric, Row},
    quantity::parse_milli,
};

/// The order of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// Largest value first; what has none comes first of all.
    Value,
    /// Most replicas first.
    Replicas,
    /// By namespace and name.
    Name,
}

/// The metrics of ScaledObjects in a `Table` of lagscale's.
pub(super) fn metrics(table: &Value) -> Vec<Metric> {
    let rows = table["rows"].as_array().into_iter().flatten();
    let metric = |row: &Value| {
        let cell = |n: usize| row["cells"][n].as_str();
        let value = cell(3)?;
        Some(Metric {
            namespace: row["object"]["metadata"]["namespace"].as_str()?.to_owned(),
            object: cell(1)?.strip_prefix("ScaledObject/")?.to_owned(),
            name: cell(0)?.to_owned(),
            value: (value != "<unknown>").then(|| value.to_owned()),
            withheld: cell(5)?.to_owned(),
            read: cell(4).and_then(|at| at.parse().ok()),
        })
    };
    rows.filter_map(metric).collect()
}

/// Sorts as people want to look: ties by namespace and name.
pub(super) fn sort(rows: &mut [Row], order: Order) {
    rows.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    match order {
        Order::Name => {}
        Order::Replicas => rows.sort_by_key(|row| Reverse(row.replicas)),
        Order::Value => rows.sort_by_key(|row| Reverse(largest(row))),
    }
}

/// The largest value in thousandths. One that is withheld is above all: somebody should look.
fn largest(row: &Row) -> Option<i64> {
    let milli = |m: &Metric| {
        let value = m.value.as_deref();
        value.map_or(i64::MAX, |v| parse_milli(v).unwrap_or(0))
    };
    row.metrics.iter().map(milli).max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(rows: &[(&str, &str, &str, &str)]) -> Vec<Metric> {
        let row = |(owner, value, read, reason): &(&str, &str, &str, &str)| {
            json!({
                "cells": ["s0-kafka-orders", owner, "", value, read, reason],
                "object": {"metadata": {"name": "s0-kafka-orders", "namespace": "shop"}},
            })
        };
        metrics(&json!({"rows": rows.iter().map(row).collect::<Vec<_>>()}))
    }

    #[test]
    fn metrics_of_others_than_scaled_objects_are_left_out_and_what_is_withheld_has_no_value() {
        let found = table(&[
            ("ScaledObject/orders", "25", "2026-01-01T00:00:57Z", ""),
            ("LagMetric/orders", "99", "2026-01-01T00:00:00Z", ""),
            ("ScaledObject/mail", "<unknown>", "", "no leader"),
        ]);
        let told = |m: &Metric| (m.object.clone(), m.value.clone(), m.withheld.clone());
        let text = str::to_owned;
        let (orders, mail) = (text("orders"), text("mail"));
        assert_eq!(
            found.iter().map(told).collect::<Vec<_>>(),
            [
                (orders, Some(text("25")), text("")),
                (mail, None, text("no leader"))
            ]
        );
        let read = found[0].read.map(|at| at.to_string());
        assert_eq!(read.as_deref(), Some("2026-01-01T00:00:57Z"));
    }

    fn row(name: &str, replicas: Option<i32>, found: &[Metric]) -> Row {
        let its = found.iter().filter(|m| m.object == name);
        Row {
            namespace: "shop".into(),
            name: name.into(),
            replicas,
            metrics: its.cloned().collect(),
            ..Row::default()
        }
    }

    #[test]
    fn rows_come_by_value_replicas_or_name_and_what_has_no_value_first() {
        let found = table(&[
            ("ScaledObject/a", "9", "", ""),
            ("ScaledObject/b", "10", "", ""),
            ("ScaledObject/c", "<unknown>", "", "no leader"),
        ]);
        let all = [("b", Some(3)), ("a", Some(1)), ("c", Some(2)), ("d", None)];
        let mut rows = all.map(|(name, replicas)| row(name, replicas, &found));
        for (order, wanted) in [
            (Order::Value, "cbad"),
            (Order::Replicas, "bcad"),
            (Order::Name, "abcd"),
        ] {
            sort(&mut rows, order);
            let names: String = rows.iter().map(|row| &*row.name).collect();
            assert_eq!(names, wanted, "{order:?}");
        }
    }
}
