//! The last hour of every object, as it is drawn: replicas and bound, and lag and signal of its first metrics.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;

/// Time between two points.
pub(super) const EVERY: Duration = Duration::from_secs(15);
/// An hour of them.
const POINTS: usize = 240;
/// Metrics of one object that are kept: an object may have a hundred triggers.
const METRICS: usize = 4;

/// A metric as it is now: its name, and its lag and the value served unless that is withheld.
pub(super) type Value = (Arc<str>, Option<(i64, f64)>);

/// One object as it is now.
#[derive(Debug, Default)]
pub(super) struct Point {
    pub replicas: Option<i32>,
    pub bound: Option<i32>,
    pub values: Vec<Value>,
}

/// The hour of all objects, by namespace and name.
#[derive(Default)]
pub(super) struct Histories(HashMap<String, History>);

/// The hour of one object: at most an hour of points, the newest last. Columns that began later are shorter.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct History {
    replicas: Column,
    bound: Column,
    metrics: Vec<Drawn>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Drawn {
    name: Box<str>,
    lag: Column,
    signal: Column,
}

/// Numbers to draw, for which the precision of `f32` is enough; NaN, null in JSON, where nothing was known.
#[derive(Clone, Debug, Default, Serialize)]
struct Column(VecDeque<f32>);

impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        let known = |n: &f32| Some(*n).filter(|n| !n.is_nan());
        self.0.iter().map(known).eq(other.0.iter().map(known))
    }
}

impl Histories {
    /// Notes a point of every object there is; the others are forgotten.
    pub fn note(&mut self, points: impl Iterator<Item = (String, Point)>) {
        let mut before = std::mem::take(&mut self.0);
        self.0 = points
            .map(|(place, point)| {
                let mut history = before.remove(&place).unwrap_or_default();
                history.note(point);
                (place, history)
            })
            .collect();
    }

    /// The hour of the object at this place; nothing before its first point.
    pub fn of(&self, place: &str) -> Option<&History> {
        self.0.get(place)
    }
}

impl History {
    fn note(&mut self, point: Point) {
        self.replicas.push(point.replicas.map(f64::from));
        self.bound.push(point.bound.map(f64::from));
        let mut before = std::mem::take(&mut self.metrics);
        for (name, value) in point.values.into_iter().take(METRICS) {
            let known = before.iter().position(|drawn| *drawn.name == *name);
            let mut drawn = known.map_or_else(
                || Drawn {
                    name: (*name).into(),
                    lag: Column::default(),
                    signal: Column::default(),
                },
                |known| before.swap_remove(known),
            );
            #[allow(clippy::cast_precision_loss, reason = "it is drawn, not read")]
            drawn.lag.push(value.map(|(lag, _)| lag as f64));
            drawn.signal.push(value.map(|(_, signal)| signal));
            self.metrics.push(drawn);
        }
    }
}

impl Column {
    fn push(&mut self, number: Option<f64>) {
        if self.0.len() == POINTS {
            self.0.pop_front();
        }
        #[allow(clippy::cast_possible_truncation, reason = "it is drawn, not read")]
        self.0.push_back(number.map_or(f32::NAN, |n| n as f32));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn point(replicas: i32, values: &[(&str, Option<(i64, f64)>)]) -> Point {
        Point {
            replicas: Some(replicas),
            bound: None,
            values: values.iter().map(|(n, v)| ((*n).into(), *v)).collect(),
        }
    }

    fn note(histories: &mut Histories, point: Point) {
        histories.note([("shop/orders".to_owned(), point)].into_iter());
    }

    #[test]
    fn points_come_in_order_and_what_is_not_known_is_null() {
        let mut all = Histories::default();
        note(&mut all, point(1, &[("a", Some((25, 20.5)))]));
        note(&mut all, point(2, &[("b", Some((7, 7.0))), ("a", None)]));
        let drawn = serde_json::to_value(all.of("shop/orders")).unwrap();
        let wanted = json!({
            "replicas": [1.0, 2.0], "bound": [null, null],
            "metrics": [
                {"name": "b", "lag": [7.0], "signal": [7.0]},
                {"name": "a", "lag": [25.0, null], "signal": [20.5, null]},
            ],
        });
        assert_eq!(drawn, wanted);
        note(&mut all, point(3, &[("b", None)]));
        let names = all.of("shop/orders").unwrap().metrics.iter();
        assert_eq!(names.map(|m| &*m.name).collect::<Vec<_>>(), ["b"]);
        all.note(std::iter::empty());
        assert_eq!(
            all.of("shop/orders"),
            None,
            "objects that are gone are forgotten"
        );
    }

    #[test]
    fn an_hour_of_a_few_metrics_is_kept_and_no_more() {
        let names: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let values: Vec<_> = names.iter().map(|n| (&**n, Some((1, 1.0)))).collect();
        let mut all = Histories::default();
        for replicas in 0..300 {
            note(&mut all, point(replicas, &values));
        }
        let history = all.of("shop/orders").unwrap();
        let (first, last) = (history.replicas.0.front(), history.replicas.0.back());
        assert_eq!((first, last), (Some(&60.0), Some(&299.0)));
        assert_eq!((history.replicas.0.len(), history.metrics.len()), (240, 4));
        assert!(history.metrics.iter().all(|m| m.lag.0.len() == 240));
    }
}
