//! Ternaries, and `if` with `else`.

use super::{
    FormulaError, Place,
    node::{CHOICE, Kind, Node, Scalar, Type},
    parse::Typed,
    parser::Parser,
};

impl Parser<'_> {
    pub fn ternary(&mut self, condition: Typed) -> Result<Typed, FormulaError> {
        let at = self.advance().at;
        let then = self.expression(CHOICE)?;
        self.expect(":", "an operator or \":\"")?;
        let otherwise = self.expression(CHOICE)?;
        choice(at, condition, then, otherwise)
    }

    /// `if a > 1 { 5 } else { 0 }`
    pub fn conditional(&mut self) -> Result<Typed, FormulaError> {
        let at = self.advance().at;
        let condition = self.expression(CHOICE)?;
        let then = self.block()?;
        self.expect("else", "else")?;
        let otherwise = if self.is("if") {
            self.expression(CHOICE)?
        } else {
            self.block()?
        };
        choice(at, condition, then, otherwise)
    }

    pub fn block(&mut self) -> Result<Typed, FormulaError> {
        self.expect("{", "an operator or \"{\"")?;
        let inner = self.expression(CHOICE)?;
        self.expect("}", "an operator or \"}\"")?;
        Ok(inner)
    }
}

fn choice(
    at: Place,
    condition: Typed,
    then: Typed,
    otherwise: Typed,
) -> Result<Typed, FormulaError> {
    if condition.of != Type::One(Scalar::Bool) {
        return Err(FormulaError::Operation {
            found: format!("{} used as condition", condition.of),
            at: condition.node.at,
            expected: "expected a comparison, like a > 1",
        });
    }
    let of = then
        .of
        .join(otherwise.of)
        .ok_or_else(|| FormulaError::Operation {
            found: format!("{} or {}", then.of, otherwise.of),
            at,
            expected: "both branches need the same type",
        })?;
    let kind = Kind::Choice(Box::new([condition.node, then.node, otherwise.node]));
    Ok(Typed {
        node: Node { at, kind },
        of,
        work: 1 + condition.work + then.work + otherwise.work,
    })
}
