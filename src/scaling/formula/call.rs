//! The functions: what they take and what they yield.

use super::{
    FormulaError, Place,
    node::{CHOICE, Kind, Node, Scalar, Type},
    parse::{Typed, WORK},
    parser::Parser,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Abs,
    Ceil,
    Floor,
    Round,
    Int,
    Float,
    Max,
    Min,
    Mean,
    Median,
    Len,
    Sum,
    Count,
    Any,
    All,
    None,
    One,
    Filter,
    Map,
}

/// The arguments of a function.
#[derive(PartialEq, Eq)]
enum Takes {
    Number,
    /// Numbers and lists of them.
    Numbers,
    List,
    /// A list, and if wanted a predicate.
    ListOrEach,
    Each,
}

impl Function {
    pub const ALL: [(&'static str, Self); 19] = [
        ("abs", Self::Abs),
        ("ceil", Self::Ceil),
        ("floor", Self::Floor),
        ("round", Self::Round),
        ("int", Self::Int),
        ("float", Self::Float),
        ("max", Self::Max),
        ("min", Self::Min),
        ("mean", Self::Mean),
        ("median", Self::Median),
        ("len", Self::Len),
        ("sum", Self::Sum),
        ("count", Self::Count),
        ("any", Self::Any),
        ("all", Self::All),
        ("none", Self::None),
        ("one", Self::One),
        ("filter", Self::Filter),
        ("map", Self::Map),
    ];

    pub fn of(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(n, _)| *n == name);
        found.map(|(_, function)| *function)
    }

    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, f)| *f == self);
        found.map_or("", |(name, _)| name)
    }

    fn takes(self) -> Takes {
        match self {
            Self::Abs | Self::Ceil | Self::Floor | Self::Round | Self::Int | Self::Float => {
                Takes::Number
            }
            Self::Max | Self::Min | Self::Mean | Self::Median => Takes::Numbers,
            Self::Len => Takes::List,
            Self::Sum | Self::Count => Takes::ListOrEach,
            _ => Takes::Each,
        }
    }

    /// The type of its result where all arguments are of `of`, or where a predicate's are.
    fn result(self, of: Scalar, list: Type) -> Type {
        match self {
            Self::Abs | Self::Max | Self::Min | Self::Sum => {
                Type::One(of.join(Scalar::Whole).unwrap_or(of))
            }
            Self::Int | Self::Len | Self::Count => Type::One(Scalar::Whole),
            Self::Any | Self::All | Self::None | Self::One => Type::One(Scalar::Bool),
            Self::Filter => list,
            Self::Map => match list {
                Type::List { len, .. } => Type::List { of, len },
                one @ Type::One(_) => one,
            },
            _ => Type::One(Scalar::Number),
        }
    }
}

impl Parser<'_> {
    /// The arguments of `function`, which stands `at`, and the closing parenthesis.
    pub fn call(&mut self, function: Function, at: Place) -> Result<Typed, FormulaError> {
        let expected = "an operator, \",\" or \")\"";
        let takes = function.takes();
        if matches!(takes, Takes::Number | Takes::Numbers) {
            let arguments = self.sequence(")", expected)?;
            return numbers(function, at, takes == Takes::Number, arguments);
        }
        let list = self.expression(CHOICE)?;
        let Type::List { of, len } = list.of else {
            return Err(FormulaError::Operation {
                found: format!("{}({})", function.name(), list.of),
                at,
                expected: "expected a list, like [a, b]",
            });
        };
        if self.is(",") {
            self.expect(",", expected)?;
        } else if takes == Takes::Each {
            return Err(self.unexpected("\",\" and a predicate, like {# > 1}"));
        }
        if takes == Takes::List || (takes == Takes::ListOrEach && self.is(")")) {
            self.expect(")", "\")\"")?;
            let fits = match function {
                Function::Sum => of.is_number() || of == Scalar::Nil,
                Function::Count => matches!(of, Scalar::Bool | Scalar::Nil),
                _ => true,
            };
            if !fits {
                return Err(element(function, of, at));
            }
            return Ok(Typed {
                of: function.result(of, list.of),
                work: list.work + 1,
                node: Node {
                    at,
                    kind: Kind::Call(function, vec![list.node]),
                },
            });
        }
        let predicate = self.predicate(of)?;
        if self.is(",") {
            self.expect(",", expected)?;
        }
        self.expect(")", "an operator or \")\"")?;
        let Type::One(yields) = predicate.of else {
            return Err(FormulaError::Operation {
                found: format!("{} of lists", function.name()),
                at,
                expected: "expected a predicate that yields no lists",
            });
        };
        let fits = match function {
            Function::Sum => yields.is_number(),
            Function::Map => true,
            _ => yields == Scalar::Bool,
        };
        if !fits {
            return Err(element(function, yields, at));
        }
        let work = list.work + len.saturating_mul(predicate.work + 1) + 1;
        if work > WORK {
            return Err(FormulaError::TooMuch {
                what: "steps of predicates over lists",
                at,
                limit: WORK,
            });
        }
        Ok(Typed {
            of: function.result(yields, list.of),
            work,
            node: Node {
                at,
                kind: Kind::Each(function, Box::new([list.node, predicate.node])),
            },
        })
    }
}

fn numbers(
    function: Function,
    at: Place,
    one: bool,
    arguments: Vec<Typed>,
) -> Result<Typed, FormulaError> {
    if arguments.is_empty() || (one && arguments.len() > 1) {
        return Err(FormulaError::Operation {
            found: format!("{} with {} arguments", function.name(), arguments.len()),
            at,
            expected: if one {
                "expected one argument"
            } else {
                "expected at least one argument"
            },
        });
    }
    let mut joined = Scalar::Nil;
    for argument in &arguments {
        let of = match argument.of {
            Type::One(of) if of.is_number() => Some(of),
            Type::List { of, .. } if !one && of != Scalar::Bool => Some(of),
            _ => None,
        };
        joined = of
            .and_then(|of| of.join(joined))
            .ok_or_else(|| FormulaError::Operation {
                found: format!("{}({})", function.name(), argument.of),
                at: argument.node.at,
                expected: if one {
                    "expected a number"
                } else {
                    "expected numbers or lists of numbers"
                },
            })?;
    }
    let work = 1 + arguments.iter().map(|a| a.work).sum::<usize>();
    let kind = Kind::Call(function, arguments.into_iter().map(|a| a.node).collect());
    Ok(Typed {
        of: function.result(joined, Type::One(joined)),
        work,
        node: Node { at, kind },
    })
}

/// `function` doesn't go with elements, or with what a predicate makes of them.
fn element(function: Function, of: Scalar, at: Place) -> FormulaError {
    FormulaError::Operation {
        found: format!("{} of {}", function.name(), Type::One(of)),
        at,
        expected: if function == Function::Sum {
            "expected numbers"
        } else {
            "expected comparisons, like {# > 1}"
        },
    }
}
