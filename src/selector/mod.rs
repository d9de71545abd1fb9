//! Label selectors as the API server parses them: all operators, apimachinery's grammar and its error texts
//! (`k8s.io/apimachinery/pkg/labels`). Pure.

mod parse;

use std::collections::BTreeSet;

/// A parsed selector: every requirement has to hold. The empty one matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    Exists,
    Absent,
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Greater(i64),
    Less(i64),
}

/// Why a text is no selector; the text is apimachinery's, which clients know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(String);

impl Selector {
    /// Parses a selector such as `a=b,c in (d,e),!f`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        parse::parse(text).map(Self)
    }

    /// Whether labels match, with `value` looking one up.
    pub fn matches<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|r| r.matches(value(&r.key)))
    }

    /// Key, operator and values of each requirement as a `LabelSelectorRequirement` has them, by key; there is none for
    /// `>` and `<`.
    pub fn requirements(&self) -> impl Iterator<Item = (&str, &'static str, Vec<String>)> {
        let mut sorted: Vec<&Requirement> = self.0.iter().collect();
        sorted.sort_by(|a, b| a.key.cmp(&b.key));
        sorted.into_iter().filter_map(|r| {
            let (operator, values) = match &r.operator {
                Operator::Exists => ("Exists", None),
                Operator::Absent => ("DoesNotExist", None),
                Operator::In(values) => ("In", Some(values)),
                Operator::NotIn(values) => ("NotIn", Some(values)),
                Operator::Greater(_) | Operator::Less(_) => return None,
            };
            let values = values.into_iter().flatten().cloned().collect();
            Some((r.key.as_str(), operator, values))
        })
    }

    /// Whether no labels can match both: two requirements on one key contradict one another. `false` may also mean that this was not seen.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        let contradicts = |a: &Requirement| other.0.iter().any(|b| a.contradicts(b));
        self.0.iter().any(contradicts)
    }

    /// Whether some requirement is on `key`.
    #[must_use]
    pub fn names(&self, key: &str) -> bool {
        self.0.iter().any(|requirement| requirement.key == key)
    }

    /// The one value that `key` is required to have, where some requirement names exactly one.
    #[must_use]
    pub fn pinned(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|r| match &r.operator {
            Operator::In(values) if r.key == key && values.len() == 1 => {
                values.first().map(String::as_str)
            }
            _ => None,
        })
    }
}

impl Requirement {
    fn contradicts(&self, other: &Self) -> bool {
        self.key == other.key
            && (self.operator.rules_out(&other.operator)
                || other.operator.rules_out(&self.operator))
    }

    fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.operator {
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::In(values) => value.is_some_and(|v| values.contains(v)),
            Operator::NotIn(values) => !value.is_some_and(|v| values.contains(v)),
            Operator::Greater(bound) => number().is_some_and(|n| n > *bound),
            Operator::Less(bound) => number().is_some_and(|n| n < *bound),
        }
    }
}

impl Operator {
    fn rules_out(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, Self::Exists | Self::In(_) | Self::Greater(_) | Self::Less(_)) => true,
            (Self::In(ours), Self::In(others)) => ours.is_disjoint(others),
            (Self::In(ours), Self::NotIn(others)) => ours.is_subset(others),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy;

    use super::Selector;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let selector = Selector::parse(selector).unwrap();
        selector.matches(|key| labels.iter().find(|l| l.0 == key).map(|l| l.1))
    }

    #[test]
    fn every_operator_means_what_kubernetes_means() {
        let labels = [("a", "b"), ("n", "5"), ("x.io/y", "")];
        for yes in [
            "",
            "a",
            "!z",
            "a=b",
            "a==b",
            "a!=c",
            "z!=c",
            "a in (b,c)",
            "a notin (c)",
            "z notin (c)",
            "n>4",
            "n<6",
            "x.io/y=",
            "x.io/y in ()",
            " a = b , n ",
            "in!=x",
        ] {
            assert!(matches(yes, &labels), "{yes}");
        }
        for no in [
            "!a",
            "z",
            "a=c",
            "a!=b",
            "a in (c)",
            "a notin (b,c)",
            "n>5",
            "n<5",
            "a>1",
            "z<1",
        ] {
            assert!(!matches(no, &labels), "{no}");
        }
    }

    #[test]
    fn two_selectors_exclude_one_another_where_a_key_says_so() {
        for (a, b) in [
            ("k", "!k"),
            ("k=v", "!k"),
            ("k>1", "!k"),
            ("k=v", "k=w"),
            ("k in (u,v)", "k notin (u,v,w)"),
            ("a,k=v", "b,k=w"),
        ] {
            let (a, b) = (Selector::parse(a).unwrap(), Selector::parse(b).unwrap());
            assert!(a.excludes(&b) && b.excludes(&a), "{a:?} {b:?}");
        }
        for (a, b) in [
            ("", "k"),
            ("k", "k"),
            ("k=v", "k!=w"),
            ("!k", "k!=v"),
            ("k in (u,v)", "k in (v,w)"),
            ("k in (u,v)", "k notin (u)"),
            ("j", "!k"),
        ] {
            let (a, b) = (Selector::parse(a).unwrap(), Selector::parse(b).unwrap());
            assert!(!a.excludes(&b) && !b.excludes(&a), "{a:?} {b:?}");
        }
    }

    fn requirement() -> impl Strategy<Value = String> {
        let forms = [
            "K",
            "!K",
            "K=V",
            "K!=V",
            "K in (V,W)",
            "K notin (V,W)",
            "K>2",
            "K<2",
        ];
        let form = proptest::sample::select(forms.to_vec());
        let word = || proptest::sample::select(vec!["a", "b", "1", "3"]);
        let key = proptest::sample::select(vec!["x", "y"]);
        (form, key, word(), word())
            .prop_map(|(form, key, v, w)| form.replace('K', key).replace('V', v).replace('W', w))
    }

    proptest::proptest! {
        #[test]
        fn no_labels_match_two_selectors_that_exclude_one_another(
            one in proptest::collection::vec(requirement(), 1..3),
            other in proptest::collection::vec(requirement(), 1..3),
            x in proptest::option::of(proptest::sample::select(vec!["a", "b", "1", "3"])),
            y in proptest::option::of(proptest::sample::select(vec!["a", "b", "1", "3"])),
        ) {
            let (one, other) = (one.join(","), other.join(","));
            let (Ok(a), Ok(b)) = (Selector::parse(&one), Selector::parse(&other)) else {
                return Ok(());
            };
            let value = |key: &str| if key == "x" { x } else { y };
            if a.excludes(&b) {
                proptest::prop_assert!(!(a.matches(value) && b.matches(value)), "{one} | {other}");
            }
        }
    }

    #[test]
    fn a_value_is_pinned_by_equality_or_a_set_of_one() {
        for (text, pinned) in [
            ("k=v", Some("v")),
            ("k==v", Some("v")),
            ("k in (v)", Some("v")),
            ("k in (v,w)", None),
            ("k!=v", None),
            ("k", None),
            ("j=v", None),
        ] {
            assert_eq!(Selector::parse(text).unwrap().pinned("k"), pinned, "{text}");
        }
    }

    #[test]
    fn a_refused_text_says_what_was_found_and_expected() {
        let long = "x".repeat(64);
        for (text, error) in [
            (
                "=b",
                "found '=', expected: !, identifier, or 'end of string'",
            ),
            ("a,", "found '', expected: identifier after ','"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            (
                "a b",
                "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt",
            ),
            (
                "a in b",
                "unable to parse requirement: found 'b' expected: '('",
            ),
            (
                "a in (b",
                "unable to parse requirement: found '', expected: ',' or ')'",
            ),
            (
                "!!a",
                "unable to parse requirement: found '!', expected: identifier",
            ),
            (
                "a>x",
                "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
            (
                &format!("a={long}"),
                &format!(
                    "unable to parse requirement: values[0][a]: Invalid value: \"{long}\": must be no more than 63 bytes"
                ),
            ),
            (
                "/y=b",
                "unable to parse requirement: <nil>: Invalid value: \"/y\": prefix part must be non-empty",
            ),
            (
                "A.b/c=1",
                "unable to parse requirement: <nil>: Invalid value: \"A.b/c\": prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            ),
            (
                "a/b/c=1",
                "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
            ),
            (
                "a/=1",
                "unable to parse requirement: <nil>: Invalid value: \"a/\": name part must be non-empty; name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ),
        ] {
            assert_eq!(
                Selector::parse(text).unwrap_err().to_string(),
                error,
                "{text}"
            );
        }
        assert!(Selector::parse("a=-b").unwrap_err().to_string().contains("values[0][a]: Invalid value: \"-b\": a valid label must be an empty string or consist of"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-c=!()<>, /\\PC]{0,40}") {
            let _ = Selector::parse(&text);
        }
    }
}
