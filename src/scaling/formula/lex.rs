//! Tokens of a formula, with their places.

use super::{FormulaError, Place};

/// Longest text that is read, in bytes.
pub const TEXT: usize = 4096;

/// A token, as written.
#[derive(Clone, Copy, Debug)]
pub struct Token<'t> {
    pub kind: Kind,
    pub text: &'t str,
    pub at: Place,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// `whole` as expr tells them apart: 1 is, 1.0 and 1e3 are not.
    Number {
        value: f64,
        whole: bool,
    },
    /// Also `and`, `or`, `not`, `true`, `nil`...
    Name,
    /// An operator, a bracket, or a character that no formula has.
    Symbol,
    End,
}

const PAIRS: [&str; 8] = ["**", "&&", "||", "==", "!=", "<=", ">=", "??"];

/// Splits `text`; the last token is the end.
pub fn lex(text: &str) -> Result<Vec<Token<'_>>, FormulaError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut at = Place { line: 1, column: 1 };
    while let Some(first) = rest.chars().next() {
        let length = token(rest, first);
        if text.len() - rest.len() + length > TEXT {
            return Err(FormulaError::TooMuch {
                what: "bytes of text",
                at,
                limit: TEXT,
            });
        }
        let (found, behind) = rest.split_at(length);
        if first.is_ascii_digit() || (first == '.' && length > 1) {
            tokens.push(number(found, behind, at)?);
        } else if !first.is_whitespace() {
            let kind = if in_name(first) {
                Kind::Name
            } else {
                Kind::Symbol
            };
            tokens.push(Token {
                kind,
                text: found,
                at,
            });
        }
        if first == '\n' {
            at.line += 1;
            at.column = 1;
        } else {
            at.column += found.chars().count();
        }
        rest = behind;
    }
    tokens.push(Token {
        kind: Kind::End,
        text: "",
        at,
    });
    Ok(tokens)
}

fn in_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Whether a trigger's name can be written in a formula.
pub fn is_name(name: &str) -> bool {
    name.chars().all(in_name) && name.starts_with(|c: char| !c.is_ascii_digit())
}

/// Length of the token that `text` begins with.
fn token(text: &str, first: char) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let digit = |b: &&u8| b.is_ascii_digit() || **b == b'_';
        from + bytes.iter().skip(from).take_while(digit).count()
    };
    let digit_at = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    if first.is_ascii_digit() || (first == '.' && digit_at(1)) {
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1) != Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if digit_at(end + 1 + sign) {
                end = digits(end + 1 + sign);
            }
        }
        return end;
    }
    // `#acc` and `#index` are one token, so that they are refused by their names.
    let named = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.find(|c| !in_name(c)).unwrap_or(rest.len())
    };
    if first == '#' || in_name(first) {
        return named(first.len_utf8());
    }
    if PAIRS.iter().any(|pair| text.starts_with(pair)) {
        return 2;
    }
    first.len_utf8()
}

fn number<'t>(found: &'t str, behind: &str, at: Place) -> Result<Token<'t>, FormulaError> {
    let value = found.replace('_', "").parse::<f64>();
    let whole = !found.contains(['.', 'e', 'E']);
    match value {
        Ok(value) if value.is_finite() && !behind.starts_with(in_name) => Ok(Token {
            kind: Kind::Number { value, whole },
            text: found,
            at,
        }),
        _ => Err(FormulaError::Unexpected {
            found: format!("number {found:.40}{:.1}", behind.trim_start()),
            at,
            expected: "a number like 1, 1.5, 1_000 or 1e3",
        }),
    }
}
