use super::{Formula, parse};

#[track_caller]
fn refused(rows: &[(&str, &str)]) {
    for (text, expected) in rows {
        match parse(text) {
            Ok(_) => panic!("{text} is taken"),
            Err(e) => assert_eq!(e.to_string(), *expected, "{text}"),
        }
    }
}

#[test]
fn syntax_that_is_not_taken_is_refused_with_its_place() {
    let value = "expected a number, a trigger's name, a function, a list or a parenthesis";
    for (text, start) in [
        ("", "unexpected end (1:1)"),
        ("a +", "unexpected end (1:4)"),
        ("a + * b", "unexpected \"*\" (1:5)"),
        ("a\n + )", "unexpected \")\" (2:4)"),
        ("\"x\"", "unexpected \"\\\"\" (1:1)"),
        ("#", "unexpected \"#\" (1:1)"),
        ("sum([a], #index)", "unexpected \"#index\" (1:10)"),
        ("and a", "unexpected \"and\" (1:1)"),
        ("max(1,,2)", "unexpected \",\" (1:7)"),
        ("a // why", "unexpected \"/\" (1:4)"),
        ("{1: 2}", "unexpected \"{\" (1:1)"),
    ] {
        let e = parse(text).unwrap_err().to_string();
        assert_eq!(e, format!("{start}: {value}"), "{text}");
    }
    refused(&[
        (
            "a b",
            "unexpected \"b\" (1:3): expected an operator or the end",
        ),
        ("(a", "unexpected end (1:3): expected an operator or \")\""),
        (
            "a | max(b)",
            "unexpected \"|\" (1:3): expected an operator or the end",
        ),
        (
            "a in [1]",
            "unexpected \"in\" (1:3): expected an operator or the end",
        ),
        (
            "a[0]",
            "unexpected \"[\" (1:2): expected an operator or the end",
        ),
        (
            "a = 1",
            "unexpected \"=\" (1:3): expected an operator or the end",
        ),
        (
            "[a b]",
            "unexpected \"b\" (1:4): expected an operator, \",\" or \"]\"",
        ),
        (
            "a > 1 ? 2",
            "unexpected end (1:10): expected an operator or \":\"",
        ),
        ("if a > 1 { 5 }", "unexpected end (1:15): expected else"),
        (
            "any([a])",
            "unexpected \")\" (1:8): expected \",\" and a predicate, like {# > 1}",
        ),
        (
            "1.5x",
            "unexpected number 1.5x (1:1): expected a number like 1, 1.5, 1_000 or 1e3",
        ),
        (
            "1e999",
            "unexpected number 1e999 (1:1): expected a number like 1, 1.5, 1_000 or 1e3",
        ),
        (
            "c ?? b + 1",
            "invalid operation: + after ?? (1:8): ?? can't be mixed with other operators: put it in parentheses",
        ),
    ]);
}

#[test]
fn unknown_names_are_refused_with_what_is_known() {
    refused(&[
        (
            "a + d",
            "unknown name d (1:5): the triggers' names are a, b, c",
        ),
        (
            "kafka-lag * 2",
            "unknown name kafka (1:1): the trigger name kafka-lag can't be written in a formula: only letters, digits and _ can",
        ),
        (
            "repeat(a, 1e9)",
            "unknown name repeat (1:1): functions are abs, ceil, floor, round, int, float, max, min, mean, median, len, sum, count, any, all, none, one, filter, map",
        ),
    ]);
    let e = Formula::parse("lag", &[""]).unwrap_err().to_string();
    assert_eq!(
        e,
        "unknown name lag (1:1): no trigger has a name that a formula could use"
    );
}

#[test]
fn types_are_checked_before_anything_is_evaluated() {
    refused(&[
        (
            "a > 1",
            "invalid operation: float(bool) (1:3): the formula has to yield a number: write comparisons as a > 1 ? 1 : 0",
        ),
        (
            "a % b",
            "invalid operation: number % number (1:3): % takes whole numbers: write int(...) around each side that is not one",
        ),
        (
            "a > 1 ? true : 1",
            "invalid operation: bool or whole number (1:7): both branches need the same type",
        ),
        (
            "a ? 1 : 0",
            "invalid operation: number used as condition (1:1): expected a comparison, like a > 1",
        ),
        (
            "not a > 1 ? 1 : 2",
            "invalid operation: not number (1:1): expected a comparison in parentheses, like not (a > 1)",
        ),
        (
            "a > 0 || b ? 1 : 2",
            "invalid operation: bool or number (1:7): expected comparisons on both sides, like a > 1 and b > 1",
        ),
        (
            "(1 < a) < 8 ? 1 : 2",
            "invalid operation: bool < whole number (1:9): expected numbers on both sides",
        ),
        (
            "nil + 1",
            "invalid operation: nil + whole number (1:5): expected numbers on both sides",
        ),
        (
            "sum(a)",
            "invalid operation: sum(number) (1:1): expected a list, like [a, b]",
        ),
        (
            "sum([a > 1])",
            "invalid operation: sum of bool (1:1): expected numbers",
        ),
        (
            "count([a], #)",
            "invalid operation: count of number (1:1): expected comparisons, like {# > 1}",
        ),
        (
            "max()",
            "invalid operation: max with 0 arguments (1:1): expected at least one argument",
        ),
        (
            "round(a, 2)",
            "invalid operation: round with 2 arguments (1:1): expected one argument",
        ),
        (
            "max(a, true)",
            "invalid operation: max(bool) (1:8): expected numbers or lists of numbers",
        ),
        (
            "sum([[a]])",
            "invalid operation: list in a list of nil (1:6): expected numbers only, or comparisons only",
        ),
        (
            "len(map([a], [#]))",
            "invalid operation: map of lists (1:5): expected a predicate that yields no lists",
        ),
    ]);
}
