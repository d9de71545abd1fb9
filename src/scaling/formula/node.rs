//! The nodes of a formula.

use std::fmt;

use super::{Place, call::Function};

/// A part of a formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub at: Place,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Literal(Value),
    /// Its place in the formula's names.
    Variable(usize),
    /// `#`: the element that the innermost predicate looks at.
    Element,
    List(Vec<Node>),
    Not(Box<Node>),
    Negative(Box<Node>),
    /// Operators of one precedence, from left to right; one list, so that long sums are not deep.
    Fold(Box<Node>, Vec<(Operator, Place, Node)>),
    /// Condition, then, else.
    Choice(Box<[Node; 3]>),
    Call(Function, Vec<Node>),
    /// A function over a list, asking a predicate about every element.
    Each(Function, Box<[Node; 2]>),
}

/// A value. Lists hold no lists.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Nil,
    Bool(bool),
    Number(f64),
    List(Vec<Self>),
}

/// A type as far as it is known before values are. Anything but a list may turn out to be nil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    One(Scalar),
    /// At most `len` elements.
    List {
        of: Scalar,
        len: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// The type of the literal `nil`, and of an empty list's elements.
    Nil,
    Bool,
    /// The operands of `%`. Computed as a number like any other.
    Whole,
    Number,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Plus,
    Minus,
    Times,
    Divided,
    Remainder,
    Power,
    Coalesce,
}

/// Precedences, the loosest first. The unary minus binds as `POWER`, `not` as `PRODUCT`.
pub const CHOICE: u8 = 0;
pub const PRODUCT: u8 = 5;
pub const POWER: u8 = 6;

impl Operator {
    /// As written; the first spelling is the one in messages.
    const ALL: [(&str, Self); 18] = [
        ("or", Self::Or),
        ("||", Self::Or),
        ("and", Self::And),
        ("&&", Self::And),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        (">", Self::More),
        (">=", Self::MoreOrEqual),
        ("+", Self::Plus),
        ("-", Self::Minus),
        ("*", Self::Times),
        ("/", Self::Divided),
        ("%", Self::Remainder),
        ("**", Self::Power),
        ("^", Self::Power),
        ("??", Self::Coalesce),
    ];

    pub fn of(text: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(written, _)| *written == text);
        found.map(|(_, operator)| *operator)
    }

    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal | Self::NotEqual => 3,
            _ if self.orders() => 3,
            Self::Plus | Self::Minus => 4,
            Self::Power => POWER,
            Self::Coalesce => 7,
            _ => PRODUCT,
        }
    }

    /// Whether it chains: `1 < a < 8` is `1 < a and a < 8`.
    pub fn orders(self) -> bool {
        matches!(
            self,
            Self::Less | Self::LessOrEqual | Self::More | Self::MoreOrEqual
        )
    }

    /// The type of `left self right`, or what it takes instead.
    pub fn result(self, left: Type, right: Type) -> Result<Type, &'static str> {
        let one = match (left, right) {
            (Type::One(left), Type::One(right)) => Some((left, right)),
            _ => None,
        };
        let numbers = one.filter(|(left, right)| left.is_number() && right.is_number());
        let bools = one.filter(|sides| *sides == (Scalar::Bool, Scalar::Bool));
        let whole = |(left, right)| {
            if (left, right) == (Scalar::Whole, Scalar::Whole) {
                Scalar::Whole
            } else {
                Scalar::Number
            }
        };
        let result = match self {
            Self::Or | Self::And => bools
                .map(|_| Scalar::Bool)
                .ok_or("expected comparisons on both sides, like a > 1 and b > 1"),
            Self::Equal | Self::NotEqual => one
                .and_then(|(left, right)| left.join(right))
                .map(|_| Scalar::Bool)
                .ok_or("expected numbers on both sides, or nil on one"),
            _ if self.orders() => numbers
                .map(|_| Scalar::Bool)
                .ok_or("expected numbers on both sides"),
            Self::Plus | Self::Minus | Self::Times => {
                numbers.map(whole).ok_or("expected numbers on both sides")
            }
            Self::Remainder => numbers
                .map(whole)
                .filter(|of| *of == Scalar::Whole)
                .ok_or("% takes whole numbers: write int(...) around each side that is not one"),
            Self::Coalesce => one
                .and_then(|(left, right)| left.join(right))
                .ok_or("expected numbers on both sides, or comparisons on both"),
            _ => numbers
                .map(|_| Scalar::Number)
                .ok_or("expected numbers on both sides"),
        };
        result.map(Type::One)
    }
}

impl Scalar {
    pub fn is_number(self) -> bool {
        matches!(self, Self::Whole | Self::Number)
    }

    /// The type of what is one or the other.
    pub fn join(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Nil, one) | (one, Self::Nil) => Some(one),
            (one, other) if one == other => Some(one),
            (one, other) if one.is_number() && other.is_number() => Some(Self::Number),
            _ => None,
        }
    }
}

impl Type {
    /// The type of what is one or the other.
    pub fn join(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::One(one), Self::One(other)) => one.join(other).map(Self::One),
            (Self::List { of, len }, Self::List { of: other, len: n }) => Some(Self::List {
                of: of.join(other)?,
                len: len.max(n),
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::One(Scalar::Nil) => "nil",
            Self::One(Scalar::Bool) => "bool",
            Self::One(Scalar::Whole) => "whole number",
            Self::One(Scalar::Number) => "number",
            Self::List { .. } => "list",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::List(_) => f.write_str("list"),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.iter().find(|(_, operator)| operator == self);
        f.write_str(found.map_or("", |(written, _)| written))
    }
}
