//! The grammar: a lexer of words and symbols, a parser of requirements, and the rules of label keys and values.

use std::{collections::BTreeSet, iter::Peekable, vec::IntoIter};

use super::{Operator, Requirement, SelectorError};

const SYMBOLS: [&str; 10] = ["==", "!=", "=", "!", "(", ")", ",", ">", "<", ""];

/// The words and symbols of a selector, and then the empty text for its end.
struct Tokens<'a>(Peekable<IntoIter<&'a str>>);

impl<'a> Tokens<'a> {
    fn of(text: &'a str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start_matches(is_space);
        while !rest.is_empty() {
            let symbol = SYMBOLS.iter().find(|s| rest.starts_with(**s));
            let length = match symbol {
                Some(symbol) if !symbol.is_empty() => symbol.len(),
                _ => rest
                    .find(|c| is_space(c) || "=!(),><".contains(c))
                    .unwrap_or(rest.len()),
            };
            let (token, after) = rest.split_at(length);
            tokens.push(token);
            rest = after.trim_start_matches(is_space);
        }
        Self(tokens.into_iter().peekable())
    }

    fn peek(&mut self) -> &'a str {
        self.0.peek().copied().unwrap_or("")
    }

    fn next(&mut self) -> &'a str {
        self.0.next().unwrap_or("")
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_word(token: &str) -> bool {
    !SYMBOLS.contains(&token)
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    let mut tokens = Tokens::of(text);
    let mut requirements = Vec::new();
    loop {
        match tokens.peek() {
            "" => return Ok(requirements),
            token if token == "!" || is_word(token) => {
                let one = requirement(&mut tokens)
                    .map_err(|e| SelectorError(format!("unable to parse requirement: {e}")))?;
                requirements.push(one);
                match tokens.next() {
                    "" => return Ok(requirements),
                    "," => {
                        let after = tokens.peek();
                        if after != "!" && !is_word(after) {
                            return Err(SelectorError(format!(
                                "found '{after}', expected: identifier after ','"
                            )));
                        }
                    }
                    found => {
                        return Err(SelectorError(format!(
                            "found '{found}', expected: ',' or 'end of string'"
                        )));
                    }
                }
            }
            found => {
                return Err(SelectorError(format!(
                    "found '{found}', expected: !, identifier, or 'end of string'"
                )));
            }
        }
    }
}

fn requirement(tokens: &mut Tokens<'_>) -> Result<Requirement, String> {
    let absent = tokens.peek() == "!";
    if absent {
        tokens.next();
    }
    let key = tokens.next();
    if !is_word(key) {
        return Err(format!("found '{key}', expected: identifier"));
    }
    check_key(key)?;
    let operator = if absent {
        Operator::Absent
    } else {
        operator(tokens, key)?
    };
    Ok(Requirement {
        key: key.into(),
        operator,
    })
}

fn operator(tokens: &mut Tokens<'_>, key: &str) -> Result<Operator, String> {
    if matches!(tokens.peek(), "" | ",") {
        return Ok(Operator::Exists);
    }
    match tokens.next() {
        "in" => Ok(Operator::In(set(tokens, key)?)),
        "notin" => Ok(Operator::NotIn(set(tokens, key)?)),
        "=" | "==" => Ok(Operator::In(one(tokens, key)?)),
        "!=" => Ok(Operator::NotIn(one(tokens, key)?)),
        ">" => integer(tokens, key).map(Operator::Greater),
        "<" => integer(tokens, key).map(Operator::Less),
        found => Err(format!(
            "found '{found}', expected: in, notin, =, ==, !=, gt, lt"
        )),
    }
}

fn set(tokens: &mut Tokens<'_>, key: &str) -> Result<BTreeSet<String>, String> {
    let open = tokens.next();
    if open != "(" {
        return Err(format!("found '{open}' expected: '('"));
    }
    let mut values = BTreeSet::new();
    loop {
        let value = if is_word(tokens.peek()) {
            tokens.next()
        } else {
            ""
        };
        check_value(key, value)?;
        values.insert(value.to_owned());
        match tokens.next() {
            "," => {}
            ")" => return Ok(values),
            found => return Err(format!("found '{found}', expected: ',' or ')'")),
        }
    }
}

fn one(tokens: &mut Tokens<'_>, key: &str) -> Result<BTreeSet<String>, String> {
    let value = match tokens.peek() {
        "" | "," => "",
        found if is_word(found) => tokens.next(),
        found => return Err(format!("found '{found}', expected: identifier")),
    };
    check_value(key, value)?;
    Ok(BTreeSet::from([value.to_owned()]))
}

fn integer(tokens: &mut Tokens<'_>, key: &str) -> Result<i64, String> {
    let values = one(tokens, key)?;
    let text = values.first().map_or("", String::as_str);
    text.parse().map_err(|_| {
        format!("values[0]: Invalid value: {text:?}: for 'Gt', 'Lt' operators, the value must be an integer")
    })
}

const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// As `validation.IsQualifiedName` of apimachinery says it: everything that is wrong, in its order.
fn check_key(key: &str) -> Result<(), String> {
    let mut wrong = Vec::new();
    match key.split('/').collect::<Vec<_>>()[..] {
        [name] => check_name(name, &mut wrong),
        [prefix, name] => {
            check_prefix(prefix, &mut wrong);
            check_name(name, &mut wrong);
        }
        _ => wrong.push(format!(
            "a qualified name {QUALIFIED} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        )),
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let why = wrong.join("; ");
    Err(format!("<nil>: Invalid value: {key:?}: {why}"))
}

fn check_prefix(prefix: &str, wrong: &mut Vec<String>) {
    let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let label = |l: &str| {
        !l.is_empty() && l.chars().all(inside) && !l.starts_with('-') && !l.ends_with('-')
    };
    if prefix.is_empty() {
        return wrong.push("prefix part must be non-empty".into());
    }
    if prefix.len() > 253 {
        wrong.push("prefix part must be no more than 253 bytes".into());
    }
    if !prefix.split('.').all(label) {
        wrong.push(format!("prefix part {SUBDOMAIN}"));
    }
}

fn check_name(name: &str, wrong: &mut Vec<String>) {
    if name.is_empty() {
        wrong.push("name part must be non-empty".into());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 bytes".into());
    }
    if !is_qualified(name) {
        wrong.push(format!("name part {QUALIFIED}"));
    }
}

fn check_value(key: &str, value: &str) -> Result<(), String> {
    let mut wrong = Vec::new();
    if value.len() > 63 {
        wrong.push("must be no more than 63 bytes");
    }
    if !value.is_empty() && !is_qualified(value) {
        wrong.push(VALUE);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let why = wrong.join("; ");
    Err(format!("values[0][{key}]: Invalid value: {value:?}: {why}"))
}

/// Alphanumeric at both ends, `-_.` besides in between.
fn is_qualified(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.chars().all(inside) && end(text.chars().next()) && end(text.chars().next_back())
}
