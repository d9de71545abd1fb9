use proptest::prelude::*;

use super::{
    super::{lex::TEXT, parse::NESTING},
    evaluate, parse,
};

/// Every way to nest, `n` deep.
fn nested(n: usize) -> Vec<String> {
    [
        ("(", "a", ")"),
        ("abs(", "a", ")"),
        ("-", "a", ""),
        ("!", "true", ""),
        ("a ** ", "a", ""),
        ("a > 1 ? 1 : ", "a", ""),
        ("a > 1 ? ", "a", " : 1"),
        ("if a > 1 { 1 } else ", "{ 1 }", ""),
        ("a + (", "a", ")"),
        ("max([", "a", "])"),
        ("[", "a", "]"),
        ("sum([a], {", "#", "})"),
        ("sum(filter(", "[a]", ", # > 1))"),
    ]
    .map(|(open, inner, close)| open.repeat(n) + inner + &close.repeat(n))
    .into()
}

#[test]
fn depth_is_bounded_and_what_is_below_the_bound_needs_little_stack() {
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let deep = small.spawn(|| {
        let mut taken = 0;
        for n in [NESTING / 2 - 1, NESTING - 1, NESTING, 300, 100_000] {
            for text in nested(n) {
                let value = evaluate(&text);
                taken += usize::from(value.is_ok());
                assert!(n < NESTING || value.is_err(), "{n}: {text:.60}");
            }
        }
        assert_eq!(evaluate(&nested(NESTING - 1)[0]), Ok(7.0));
        taken
    });
    assert!(deep.unwrap().join().unwrap() > 10);
    let e = parse(&"(".repeat(NESTING + 1)).unwrap_err();
    assert_eq!(
        e.to_string(),
        "too much for a formula (1:65): at most 64 levels of nesting"
    );
}

#[test]
fn length_is_bounded_and_long_sums_are_not_deep() {
    let long = "a+".repeat(TEXT / 2 - 1) + "a";
    assert_eq!(evaluate(&long), Ok(7.0 * 2048.0));
    let e = parse(&(long + "+a")).unwrap_err();
    assert_eq!(
        e.to_string(),
        "too much for a formula (1:4097): at most 4096 bytes of text"
    );
    assert!(parse(&"ü".repeat(3000)).is_err());
}

#[test]
fn predicates_in_predicates_are_no_way_to_burn_time() {
    let n = 20;
    let text = "count([a,b],{".repeat(n) + "# > 1" + &"}) > 1".repeat(n);
    let e = parse(&format!("{text} ? 1 : 2")).unwrap_err().to_string();
    assert!(
        e.ends_with("at most 10000 steps of predicates over lists"),
        "{e}"
    );
    assert!(parse("sum(1..1000000000)").is_err());
    assert!(parse("len(repeat(1, 1000000000))").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = evaluate(&text);
    }

    #[test]
    fn no_sequence_of_tokens_panics_and_what_is_yielded_is_finite(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "a", "b", "c", "0", "1.5", "#", "nil", "true", "+", "-", "*", "/", "%", "**", "(", ")", "[", "]", "{", "}", ",",
            "?", ":", "??", ">", "==", "and", "not", "max(", "sum([", "filter([", "],{", "count([", "int(", "if", "else",
        ]), 0..14)
    ) {
        if let Ok(value) = evaluate(&tokens.join(" ")) {
            prop_assert!(value.is_finite());
        }
    }
}
