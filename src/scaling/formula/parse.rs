//! Tokens to a typed tree, bounded in depth and in the work of evaluating it.

use std::sync::Arc;

use super::{
    FormulaError,
    call::Function,
    lex::{self, Token, lex},
    node::{CHOICE, Kind, Node, Operator, POWER, PRODUCT, Scalar, Type, Value},
    parser::Parser,
};

/// Deepest nesting; every step of a chain of ternaries is one deeper. Half a thread's stack is enough for it, in a debug
/// build too.
pub const NESTING: usize = 64;
/// Most nodes that are looked at in one evaluation; only predicates in predicates get near.
pub const WORK: usize = 10_000;

const A_VALUE: &str = "a number, a trigger's name, a function, a list or a parenthesis";
const AN_END: &str = "an operator or the end";

/// A node, what it yields and how many nodes are looked at for it.
pub struct Typed {
    pub node: Node,
    pub of: Type,
    pub work: usize,
}

/// The tree and the names it uses.
pub fn parse(text: &str, known: &[&str]) -> Result<(Node, Vec<Arc<str>>), FormulaError> {
    let mut parser = Parser {
        tokens: lex(text)?,
        next: 0,
        known,
        names: Vec::new(),
        nesting: 0,
        elements: Vec::new(),
    };
    let root = parser.expression(CHOICE)?;
    if parser.peek().kind != lex::Kind::End {
        return Err(parser.unexpected(AN_END));
    }
    match root.of {
        Type::One(of) if of.is_number() => Ok((root.node, parser.names)),
        of => Err(FormulaError::Operation {
            found: format!("float({of})"),
            at: root.node.at,
            expected: "the formula has to yield a number: write comparisons as a > 1 ? 1 : 0",
        }),
    }
}

impl Parser<'_> {
    /// An expression of operators that bind at least as `precedence`.
    pub fn expression(&mut self, precedence: u8) -> Result<Typed, FormulaError> {
        if self.nesting == NESTING {
            return Err(FormulaError::TooMuch {
                what: "levels of nesting",
                at: self.peek().at,
                limit: NESTING,
            });
        }
        self.nesting += 1;
        let expression = if precedence == CHOICE && self.is("if") {
            self.conditional()
        } else {
            let operations = self.operations(precedence)?;
            if precedence == CHOICE && self.is("?") {
                self.ternary(operations)
            } else {
                Ok(operations)
            }
        };
        self.nesting -= 1;
        expression
    }

    fn operations(&mut self, precedence: u8) -> Result<Typed, FormulaError> {
        let mut left = self.operand()?;
        // The last operator and what stands on its right.
        let mut last: Option<(Operator, Type)> = None;
        while let Some(operator) = self.operator().filter(|o| o.precedence() >= precedence) {
            let at = self.advance().at;
            if operator != Operator::Coalesce
                && last.is_some_and(|(last, _)| last == Operator::Coalesce)
            {
                return Err(FormulaError::Operation {
                    found: format!("{operator} after ??"),
                    at,
                    expected: "?? can't be mixed with other operators: put it in parentheses",
                });
            }
            // Powers are right-associative.
            let tighter = operator.precedence() + u8::from(operator != Operator::Power);
            let right = self.expression(tighter)?;
            let compared = last.filter(|(last, _)| last.orders() && operator.orders());
            let of = compared.map_or(left.of, |(_, of)| of);
            let result = operator.result(of, right.of);
            let result = result.map_err(|expected| FormulaError::Operation {
                found: format!("{of} {operator} {}", right.of),
                at,
                expected,
            })?;
            let part = (operator, at, right.node);
            match &mut left.node.kind {
                Kind::Fold(_, parts)
                    if last.is_some_and(|(l, _)| l.precedence() == operator.precedence()) =>
                {
                    parts.push(part);
                    left.node.at = at;
                }
                _ => {
                    let kind = Kind::Fold(Box::new(left.node), vec![part]);
                    left.node = Node { at, kind };
                }
            }
            left.of = result;
            left.work += right.work + 1;
            last = Some((operator, right.of));
        }
        Ok(left)
    }

    fn operand(&mut self) -> Result<Typed, FormulaError> {
        let token = self.peek();
        if let lex::Kind::Number { value, whole } = token.kind {
            let of = if whole { Scalar::Whole } else { Scalar::Number };
            return Ok(self.leaf(Kind::Literal(Value::Number(value)), of));
        }
        match token.text {
            "true" | "false" => {
                let value = Value::Bool(token.text == "true");
                Ok(self.leaf(Kind::Literal(value), Scalar::Bool))
            }
            "nil" => Ok(self.leaf(Kind::Literal(Value::Nil), Scalar::Nil)),
            "#" => match self.elements.last() {
                Some(of) => Ok(self.leaf(Kind::Element, *of)),
                None => Err(self.unexpected(A_VALUE)),
            },
            "not" | "!" | "-" | "+" => self.unary(),
            "(" => {
                self.advance();
                let inner = self.expression(CHOICE)?;
                self.expect(")", "an operator or \")\"")?;
                Ok(inner)
            }
            "[" => self.list(),
            _ if token.kind == lex::Kind::Name && self.operator().is_none() => self.named(),
            _ => Err(self.unexpected(A_VALUE)),
        }
    }

    fn unary(&mut self) -> Result<Typed, FormulaError> {
        let Token { text, at, .. } = self.advance();
        let not = matches!(text, "not" | "!");
        let inner = self.expression(if not { PRODUCT } else { POWER })?;
        let fits = match inner.of {
            Type::One(of) if not => of == Scalar::Bool,
            Type::One(of) => of.is_number(),
            Type::List { .. } => false,
        };
        if !fits {
            return Err(FormulaError::Operation {
                found: format!("{text} {}", inner.of),
                at,
                expected: if not {
                    "expected a comparison in parentheses, like not (a > 1)"
                } else {
                    "expected a number"
                },
            });
        }
        let kind = match text {
            "-" => Kind::Negative(Box::new(inner.node)),
            "+" => return Ok(inner),
            _ => Kind::Not(Box::new(inner.node)),
        };
        Ok(Typed {
            node: Node { at, kind },
            work: inner.work + 1,
            ..inner
        })
    }

    fn list(&mut self) -> Result<Typed, FormulaError> {
        let at = self.advance().at;
        let elements = self.sequence("]", "an operator, \",\" or \"]\"")?;
        let mut of = Scalar::Nil;
        for element in &elements {
            let joined = match element.of {
                Type::One(one) => one.join(of),
                Type::List { .. } => None,
            };
            of = joined.ok_or_else(|| FormulaError::Operation {
                found: format!("{} in a list of {}", element.of, Type::One(of)),
                at: element.node.at,
                expected: "expected numbers only, or comparisons only",
            })?;
        }
        let len = elements.len();
        let work = 1 + elements.iter().map(|e| e.work).sum::<usize>();
        let kind = Kind::List(elements.into_iter().map(|e| e.node).collect());
        let node = Node { at, kind };
        let of = Type::List { of, len };
        Ok(Typed { node, of, work })
    }

    /// Expressions, separated and perhaps followed by a comma, up to `close`.
    pub fn sequence(
        &mut self,
        close: &str,
        expected: &'static str,
    ) -> Result<Vec<Typed>, FormulaError> {
        let mut all = Vec::new();
        while !self.is(close) {
            all.push(self.expression(CHOICE)?);
            if !self.is(close) {
                self.expect(",", expected)?;
            }
        }
        self.advance();
        Ok(all)
    }

    /// An expression in which `#` is an `element`, in braces or not.
    pub fn predicate(&mut self, element: Scalar) -> Result<Typed, FormulaError> {
        // No element of an empty list is ever looked at.
        self.elements.push(match element {
            Scalar::Nil => Scalar::Number,
            of => of,
        });
        let predicate = if self.is("{") {
            self.block()
        } else {
            self.expression(CHOICE)
        };
        self.elements.pop();
        predicate
    }

    fn named(&mut self) -> Result<Typed, FormulaError> {
        let Token { text, at, .. } = self.peek();
        let call = self
            .tokens
            .get(self.next + 1)
            .is_some_and(|t| t.text == "(");
        if call && let Some(function) = Function::of(text) {
            self.next += 2;
            return self.call(function, at);
        }
        if call || !self.known.contains(&text) {
            return Err(self.unknown(text, at, call));
        }
        let index = self.names.iter().position(|n| **n == *text);
        let index = index.unwrap_or_else(|| {
            self.names.push(Arc::from(text));
            self.names.len() - 1
        });
        Ok(self.leaf(Kind::Variable(index), Scalar::Number))
    }

    fn leaf(&mut self, kind: Kind, of: Scalar) -> Typed {
        let at = self.advance().at;
        Typed {
            node: Node { at, kind },
            of: Type::One(of),
            work: 1,
        }
    }
}
