use std::{collections::BTreeMap, sync::Arc};

use super::{Formula, FormulaError};

mod hostile;
mod refused;

/// With a = 7, b = 2, c = nil.
fn values() -> BTreeMap<Arc<str>, Option<f64>> {
    [("a", Some(7.0)), ("b", Some(2.0)), ("c", None)]
        .map(|(name, value)| (Arc::from(name), value))
        .into()
}

fn parse(text: &str) -> Result<Formula, FormulaError> {
    Formula::parse(text, &["a", "b", "c", "kafka-lag"])
}

fn evaluate(text: &str) -> Result<f64, FormulaError> {
    parse(text)?.evaluate(&values())
}

#[track_caller]
fn yields(rows: &[(&str, f64)]) {
    for (text, expected) in rows {
        let value = evaluate(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let near = (value - expected).abs() < 1e-9;
        assert!(near, "{text} is {value}, expected {expected}");
    }
}

#[track_caller]
fn without_value(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        let formula = parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        match formula.evaluate(&values()) {
            Ok(value) => panic!("{text} is {value}"),
            Err(e) => {
                let said = e.to_string();
                assert!(said.starts_with(expected), "{text}: {said}");
            }
        }
    }
}

#[test]
fn arithmetic_has_the_precedences_and_the_types_of_expr() {
    yields(&[
        ("a + b * 3 - 1", 12.0),
        ("(a + b) * 3", 27.0),
        ("a / b", 3.5),
        ("7 / 2", 3.5),
        ("100 / 10 / 2", 5.0),
        ("a - b - 1", 4.0),
        ("7 % 4", 3.0),
        ("-7 % 4", -3.0),
        ("int(a) % len([a, b])", 1.0),
        ("2 ** 3 ** 2", 512.0),
        ("2 ^ 3", 8.0),
        ("-2 ** 2", -4.0),
        ("2 ** -1", 0.5),
        ("2 ^ -a * 3", 3.0 / 128.0),
        ("- a + b", -5.0),
        ("--a - +b", 5.0),
        ("a\n  + b", 9.0),
    ]);
}

#[test]
fn numbers_are_written_as_in_expr() {
    yields(&[
        ("1_000", 1000.0),
        ("1e3", 1000.0),
        ("1.5e-2", 0.015),
        (".5", 0.5),
        ("1.", 1.0),
        ("2E+1", 20.0),
    ]);
}

#[test]
fn conditions_choose() {
    yields(&[
        ("a > 1 ? 5 : 0", 5.0),
        ("a > 1 ? 5 : 0 + 10", 5.0),
        ("a < 1 ? 5 : b > 1 ? 3 : 0", 3.0),
        ("a > 1 and b > 5 ? 1 : 2", 2.0),
        ("a > 1 || b > 5 && false ? 1 : 2", 1.0),
        ("not (a > 1) or !(b > 5) ? 1 : 2", 1.0),
        ("not true == false ? 1 : 2", 1.0),
        ("a == 7 ? 1 : 2", 1.0),
        ("a != 7 ? 1 : 2", 2.0),
        ("1 < a <= 7 < 9 ? 1 : 2", 1.0),
        ("(1 < a) == true ? 1 : 2", 1.0),
        ("9 < a < 8 == false ? 1 : 2", 1.0),
        ("a > 1 ? 1.5 : 1", 1.5),
        ("if a > 9 { 5 } else if b > 1 { 3 } else { 0 }", 3.0),
    ]);
}

#[test]
fn nil_gives_way_to_what_follows_it() {
    yields(&[
        ("a ?? b ?? 8", 7.0),
        ("c ?? b ?? 8", 2.0),
        ("c ?? c ?? 8", 8.0),
        ("1 + c ?? 2", 3.0),
        ("(c ?? 0) + a", 7.0),
        ("-c ?? 1", -1.0),
        ("c == nil ? 1 : 2", 1.0),
        ("count([a, c], {# != nil})", 1.0),
        ("max(filter([a, b], # > 50)) ?? 3", 3.0),
        ("true or c > 1 ? 1 : 2", 1.0),
        ("a > 8 > c ? 1 : 2", 2.0),
    ]);
}

#[test]
fn functions_are_those_that_people_write() {
    yields(&[
        ("count([a, b], {#>1}) > 1 ? 5 : 0", 5.0),
        ("count([a, b, 1], # > 1)", 2.0),
        ("count([a > 1, b > 5])", 1.0),
        ("any([a, b], {# > 6}) ? 1 : 0", 1.0),
        ("all([a, b], {# > 6}) ? 1 : 0", 0.0),
        ("none([a, b], {# > 60}) ? 1 : 0", 1.0),
        ("one([a, b], {# > 6}) ? 1 : 0", 1.0),
        ("all([], {# > 6}) ? 1 : 0", 1.0),
        ("sum([a, b, 1])", 10.0),
        ("sum([a, b], {# * 2})", 18.0),
        ("sum([])", 0.0),
        ("len(filter([a, b], # > 3))", 1.0),
        ("sum(map([a, b], sum([#, 1])))", 11.0),
        ("count([a, b], # > count([a, b], # > 3))", 2.0),
        ("max(a, b, 100)", 100.0),
        ("max([a, b])", 7.0),
        ("min(a, [b, 1],)", 1.0),
        ("mean([a, b])", 4.5),
        ("mean([])", 0.0),
        ("median(a, b)", 4.5),
        ("median([100, a, b])", 7.0),
        ("abs(b - a)", 5.0),
        ("floor(a / b)", 3.0),
        ("ceil(a / b)", 4.0),
        ("round(2.5)", 3.0),
        ("round(-2.5)", -3.0),
        ("int(-2.7)", -2.0),
        ("float(a)", 7.0),
    ]);
}

#[test]
fn infinity_is_no_value_but_may_be_compared_as_in_keda() {
    yields(&[("min(a / 0, 10)", 10.0), ("a / 0 > 5 ? 10 : 1", 10.0)]);
    without_value(&[
        ("a / (b - 2)", "the result is inf (1:3): division by zero"),
        ("0 / 0", "the result is NaN (1:3): division by zero"),
        (
            "min(0 / 0, 10)",
            "the result is NaN (1:7): division by zero",
        ),
        (
            "1e308 * 10",
            "the result is inf (1:7): no number can hold it",
        ),
        (
            "int(a) % int(b - 2)",
            "invalid operation: 7 % 0 (1:8): division by zero",
        ),
    ]);
}

#[test]
fn nil_is_no_number() {
    without_value(&[
        ("c", "the result is nil (1:1): a trigger that fell back"),
        ("c + 1", "invalid operation: nil + 1 (1:3)"),
        ("-c", "invalid operation: - nil (1:1)"),
        ("c > 1 ? 1 : 2", "invalid operation: nil > 1 (1:3)"),
        ("max(a, c)", "invalid operation: max with nil (1:1)"),
        ("sum([a, c])", "invalid operation: sum with nil (1:1)"),
        (
            "any([c], # > 1) ? 1 : 2",
            "invalid operation: nil > 1 (1:12)",
        ),
        (
            "(true ? nil : false) ? 1 : 2",
            "invalid operation: ? with nil (1:22)",
        ),
        ("max([])", "the result is nil (1:1)"),
    ]);
}

#[test]
fn a_trigger_without_a_value_is_named() {
    let formula = parse("a + b").unwrap();
    let e = formula.evaluate(&BTreeMap::new()).unwrap_err();
    assert_eq!(e.to_string(), "the formula's trigger a has no value yet");
    let values = [("a", 1.0), ("b", f64::NAN)].map(|(n, v)| (Arc::from(n), Some(v)));
    let e = formula.evaluate(&values.into()).unwrap_err();
    assert_eq!(
        e.to_string(),
        "the result is NaN (1:5): the trigger's value is not finite"
    );
}

#[test]
fn names_are_told_once_in_the_order_of_their_use() {
    let formula = parse("b + a * b + max(a, 1)").unwrap();
    assert_eq!(formula.names().collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(parse("1 + 1").unwrap().names().count(), 0);
    let formula = Formula::parse("größe + max", &["größe", "max"]).unwrap();
    assert_eq!(formula.names().collect::<Vec<_>>(), ["größe", "max"]);
}
