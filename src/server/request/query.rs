//! The query of a metric GET, as `ListOptions` are read and validated. Most of it is only
//! checked: the values of a metric are one short list.

use std::borrow::Cow;

use crate::server::answer::failure::{Cause, Details, Failure};

const GROUP: &str = "meta.k8s.io";
const KIND: &str = "ListOptions";

/// The parameters of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query<'a> {
    /// `labelSelector`; empty: everything.
    pub selector: Cow<'a, str>,
    /// Whether changes are to follow.
    pub watch: bool,
}

/// The first value of a parameter. A pair with a semicolon in it is dropped, as kube-apiserver drops it.
#[must_use]
pub fn first<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let pairs = query.split('&').filter(|p| !p.contains(';'));
    let mut pairs = pairs.flat_map(|p| form_urlencoded::parse(p.as_bytes()));
    pairs.find(|(n, _)| n == name).map(|(_, v)| v)
}

/// Every value of a parameter.
#[must_use]
pub fn all(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').filter(|p| !p.contains(';'));
    let pairs = pairs.flat_map(|p| form_urlencoded::parse(p.as_bytes()));
    let values = pairs.filter(|(n, _)| n == name);
    values.map(|(_, value)| value.into_owned()).collect()
}

/// Whether `watch` asks for a watch, as Kubernetes reads a boolean.
pub(in crate::server) fn watches(query: &str) -> bool {
    first(query, "watch").is_some_and(|w| *w != *"0" && !w.eq_ignore_ascii_case("false"))
}

impl<'a> Query<'a> {
    /// Reads and validates; unknown parameters are nobody's business.
    pub(in crate::server) fn parse(query: &'a str) -> Result<Self, Failure> {
        if query.is_empty() {
            return Ok(Self::default());
        }
        if let Some(timeout) = first(query, "timeout").filter(|t| !t.is_empty()) {
            duration(&timeout).map_err(|e| {
                let said = format!("invalid timeout specified in the request URL - time: {e}");
                Failure::bad_request(said)
            })?;
        }
        for name in ["limit", "timeoutSeconds"] {
            if let Some(text) = first(query, name).filter(|t| !t.is_empty()) {
                integer(&text).map_err(Failure::bad_request)?;
            }
        }
        if let Some(text) = first(query, "fieldSelector") {
            fields(&text).map_err(Failure::bad_request)?;
        }
        validate(query)?;
        Ok(Self {
            selector: first(query, "labelSelector").unwrap_or_default(),
            watch: watches(query),
        })
    }
}

/// As Go's `strconv.ParseInt` says it.
fn integer(text: &str) -> Result<i64, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse::<i64>().map_err(|e| {
        let why = match e.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.ParseInt: parsing {text:?}: {why}")
    })
}

/// Whether it is a duration as Go reads one, such as `1m30s`.
fn duration(text: &str) -> Result<(), String> {
    let invalid = || format!("invalid duration {text:?}");
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return Ok(());
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut nanoseconds = 0u64;
    while !rest.is_empty() {
        let number = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(number);
        let points = digits.matches('.').count();
        if points > 1 || digits.len() == points {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let one: u64 = match unit {
            "" => return Err(format!("missing unit in duration {text:?}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("unknown unit {unit:?} in duration {text:?}")),
        };
        let whole = digits.split('.').next().filter(|w| !w.is_empty());
        let whole = whole.unwrap_or("0").parse::<u64>().ok();
        let span = whole.and_then(|whole| whole.checked_mul(one)?.checked_add(nanoseconds));
        // Go counts in 63 bits.
        nanoseconds = span
            .filter(|n| i64::try_from(*n).is_ok())
            .ok_or_else(invalid)?;
        rest = after;
    }
    Ok(())
}

/// Fields are checked and then ignored.
fn fields(text: &str) -> Result<(), String> {
    for term in text.split(',').filter(|t| !t.is_empty()) {
        let Some((field, _)) = term.split_once('=') else {
            return Err(format!(
                "invalid selector: '{text}'; can't understand '{term}'"
            ));
        };
        let field = field.strip_suffix('!').unwrap_or(field);
        if !matches!(field, "metadata.name" | "metadata.namespace") {
            return Err(format!(
                "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ));
        }
    }
    Ok(())
}

fn validate(query: &str) -> Result<(), Failure> {
    let has = |name: &str| first(query, name).is_some_and(|v| !v.is_empty());
    let mut causes = Vec::new();
    let mut forbid = |field: &'static str, why: &str| {
        causes.push(Cause {
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {field} is forbidden {why}"),
            field: field.into(),
        });
    };
    if has("resourceVersionMatch") && !has("resourceVersion") {
        forbid("resourceVersionMatch", "unless resourceVersion is provided");
    }
    if has("sendInitialEvents") {
        forbid("sendInitialEvents", "for list");
    }
    let texts = causes.iter().map(|c| format!("{}: {}", c.field, c.message));
    let texts: Vec<String> = texts.collect();
    let said = match texts.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    };
    let message = format!("{KIND}.{GROUP} \"\" is invalid: {said}");
    let failure = Failure::new(http::StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
    Err(failure.with(Details {
        group: GROUP.into(),
        kind: KIND.into(),
        causes,
        ..Details::default()
    }))
}

#[cfg(test)]
mod tests {
    use super::{Query, first};

    #[test]
    fn a_query_is_decoded_and_a_pair_with_a_semicolon_is_dropped() {
        let query = "a=1&labelSelector=k+in+%28v%29&x=1;y=2&labelSelector=later";
        assert_eq!(first(query, "labelSelector").unwrap(), "k in (v)");
        assert_eq!(first(query, "x"), None);
        assert_eq!(Query::parse(query).unwrap().selector, "k in (v)");
    }

    #[test]
    fn what_kubernetes_would_refuse_is_refused_in_its_words() {
        for (query, said) in [
            (
                "limit=abc",
                r#"strconv.ParseInt: parsing "abc": invalid syntax"#,
            ),
            (
                "timeoutSeconds=9223372036854775808",
                r#"strconv.ParseInt: parsing "9223372036854775808": value out of range"#,
            ),
            (
                "timeout=abc",
                r#"invalid timeout specified in the request URL - time: invalid duration "abc""#,
            ),
            (
                "timeout=5",
                r#"invalid timeout specified in the request URL - time: missing unit in duration "5""#,
            ),
            (
                "timeout=5q",
                r#"invalid timeout specified in the request URL - time: unknown unit "q" in duration "5q""#,
            ),
            (
                "timeout=2562048h",
                r#"invalid timeout specified in the request URL - time: invalid duration "2562048h""#,
            ),
            (
                "fieldSelector=foo%3Dx",
                r#""foo" is not a known field selector: only "metadata.name", "metadata.namespace""#,
            ),
            (
                "fieldSelector=foo",
                "invalid selector: 'foo'; can't understand 'foo'",
            ),
            (
                "resourceVersionMatch=Exact",
                "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (
                "resourceVersionMatch=Exact&sendInitialEvents=true",
                "ListOptions.meta.k8s.io \"\" is invalid: [resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided, sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list]",
            ),
        ] {
            assert_eq!(Query::parse(query).unwrap_err().message, said, "{query}");
        }
        for query in [
            "limit=500&timeoutSeconds=3",
            "timeout=1m30s",
            "timeout=1.5h",
            "timeout=0",
            "fieldSelector=metadata.name%3Dx,metadata.namespace!%3Dy",
            "continue=x&resourceVersion=5&anything=z&pretty",
            "watch=0",
        ] {
            assert!(!Query::parse(query).unwrap().watch, "{query}");
        }
        for query in ["watch=1", "watch=true", "watch"] {
            assert!(Query::parse(query).unwrap().watch, "{query}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_query_makes_it_panic(text in "[a-zA-Z%&=;+0-9.µ]{0,60}") {
            let _ = Query::parse(&text);
            let _ = Query::parse(&format!("timeout={text}"));
        }
    }
}
