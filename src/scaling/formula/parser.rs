//! The place in the tokens that has been reached, and what is said when they don't go on as they should.

use std::sync::Arc;

use super::{
    FormulaError, Place,
    call::Function,
    lex::{self, Token, is_name},
    node::{Operator, Scalar},
};

/// The tokens, and how many have been read.
pub struct Parser<'t> {
    pub tokens: Vec<Token<'t>>,
    pub next: usize,
    /// The triggers' names, and those of them that the formula uses.
    pub known: &'t [&'t str],
    pub names: Vec<Arc<str>>,
    pub nesting: usize,
    /// The type of `#` in each predicate around.
    pub elements: Vec<Scalar>,
}

impl<'t> Parser<'t> {
    /// The operator that comes next, if one does.
    pub fn operator(&self) -> Option<Operator> {
        Operator::of(self.peek().text)
    }

    pub fn is(&self, text: &str) -> bool {
        self.peek().text == text && self.peek().kind != lex::Kind::End
    }

    pub fn peek(&self) -> Token<'t> {
        let end = Token {
            kind: lex::Kind::End,
            text: "",
            at: Place { line: 1, column: 1 },
        };
        let last = self.tokens.last().copied().unwrap_or(end);
        self.tokens.get(self.next).copied().unwrap_or(last)
    }

    pub fn advance(&mut self) -> Token<'t> {
        let token = self.peek();
        self.next += 1;
        token
    }

    pub fn expect(&mut self, text: &str, expected: &'static str) -> Result<(), FormulaError> {
        if !self.is(text) {
            return Err(self.unexpected(expected));
        }
        self.advance();
        Ok(())
    }

    pub fn unexpected(&self, expected: &'static str) -> FormulaError {
        let Token { kind, text, at } = self.peek();
        FormulaError::Unexpected {
            found: match kind {
                lex::Kind::End => "end".to_owned(),
                _ => format!("{text:?}").chars().take(60).collect(),
            },
            at,
            expected,
        }
    }

    pub fn unknown(&self, text: &str, at: Place, call: bool) -> FormulaError {
        let unwritable = |name: &&&str| !is_name(name) && name.starts_with(text);
        let known = if call {
            format!("functions are {}", Function::ALL.map(|(n, _)| n).join(", "))
        } else if let Some(name) = self.known.iter().find(unwritable) {
            format!(
                "the trigger name {name:.60} can't be written in a formula: only letters, digits and _ can"
            )
        } else {
            let usable = self.known.iter().copied().filter(|name| is_name(name));
            let names: Vec<String> = usable.take(20).map(|name| format!("{name:.60}")).collect();
            match names.as_slice() {
                [] => "no trigger has a name that a formula could use".to_owned(),
                names => format!("the triggers' names are {}", names.join(", ")),
            }
        };
        FormulaError::UnknownName {
            name: format!("{text:.60}"),
            at,
            known,
        }
    }
}
