//! The formula of `advanced.scalingModifiers`, in the part of KEDA's expression language (expr 1.17) that yields numbers.
//! Types, names and the work an evaluation can take are settled when the text is read; afterwards only values can fail.

use std::{collections::BTreeMap, fmt, sync::Arc};

mod apply;
mod call;
mod choice;
mod evaluate;
mod lex;
mod node;
mod parse;
mod parser;
#[cfg(test)]
mod tests;

/// A formula that was read and whose names and types are right.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    root: node::Node,
    names: Vec<Arc<str>>,
}

/// Where something stands in a formula, both counted from 1, in characters. Written as KEDA writes it, `line:column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// A formula in YAML may have several lines.
    pub line: usize,
    /// In its line.
    pub column: usize,
}

/// Why a formula is refused, or why it has no value. All but [`FormulaError::Missing`] tell the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormulaError {
    /// The text doesn't go on as a formula can.
    #[error("unexpected {found} ({at}): expected {expected}")]
    Unexpected {
        /// The token.
        found: String,
        /// Its first character.
        at: Place,
        /// The tokens that could stand there.
        expected: &'static str,
    },
    /// Neither a function nor one of the triggers' names.
    #[error("unknown name {name} ({at}): {known}")]
    UnknownName {
        /// As written.
        name: String,
        /// Its first character.
        at: Place,
        /// The names that are known.
        known: String,
    },
    /// An operator or a function that doesn't go with its operands: with their types when the formula is read, with a nil
    /// or a zero when it is evaluated.
    #[error("invalid operation: {found} ({at}): {expected}")]
    Operation {
        /// Operator and operands.
        found: String,
        /// The operator or the function.
        at: Place,
        /// The types it takes.
        expected: &'static str,
    },
    /// Longer, deeper or more work than any formula needs.
    #[error("too much for a formula ({at}): at most {limit} {what}")]
    TooMuch {
        /// The thing there is too much of.
        what: &'static str,
        /// Where the limit is passed.
        at: Place,
        /// The limit.
        limit: usize,
    },
    /// The result can't be served.
    #[error("the result is {found} ({at}): {reason}")]
    NoNumber {
        /// The result.
        found: String,
        /// The origin as far as known, or the formula's last operation.
        at: Place,
        /// Why.
        reason: &'static str,
    },
    /// A variable of the formula is not among the values.
    #[error("the formula's trigger {name} has no value yet")]
    Missing {
        /// The trigger's name.
        name: Arc<str>,
    },
}

impl Formula {
    /// Reads `text`. `names` are the triggers' names; those that are no identifiers can't be used, as in KEDA.
    ///
    /// # Errors
    /// Whatever is not taken, with its place.
    pub fn parse(text: &str, names: &[&str]) -> Result<Self, FormulaError> {
        let (root, names) = parse::parse(text, names)?;
        Ok(Self { root, names })
    }

    /// The triggers it uses, each once, in the order of their first use.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    /// Its value, always finite; `None` in `values` is nil, which only `??`, `==` and `!=` take. Arithmetic is that of IEEE
    /// 754, as in KEDA: `min(a / 0, 10)` is 10, `a / 0` has no value.
    ///
    /// # Errors
    /// No finite number comes out, nil meets an operator, or one of [`Self::names`] is not in `values`.
    pub fn evaluate(&self, values: &BTreeMap<Arc<str>, Option<f64>>) -> Result<f64, FormulaError> {
        evaluate::evaluate(&self.root, &self.names, values)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}
