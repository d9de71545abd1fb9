//! The value of a formula that was read.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use super::{
    FormulaError, Place,
    apply::{apply, number, size},
    call::Function,
    node::{Kind, Node, Operator, Value},
};

pub const NO_NIL: &str = "a trigger that fell back is nil here, or a list is empty: write what to use instead, like (a ?? 0)";

struct Run<'f> {
    names: &'f [Arc<str>],
    values: &'f BTreeMap<Arc<str>, Option<f64>>,
    /// The value of `#` in each predicate around.
    elements: Vec<Value>,
    /// Where something was divided by zero: why a result may not be finite.
    zero: Option<Place>,
}

pub fn evaluate(
    root: &Node,
    names: &[Arc<str>],
    values: &BTreeMap<Arc<str>, Option<f64>>,
) -> Result<f64, FormulaError> {
    let mut run = Run {
        names,
        values,
        elements: Vec::new(),
        zero: None,
    };
    match run.value(root)? {
        Value::Number(result) if result.is_finite() => Ok(result),
        found => Err(FormulaError::NoNumber {
            at: run.zero.unwrap_or(root.at),
            reason: match found {
                Value::Number(_) if run.zero.is_some() => "division by zero",
                Value::Number(_) => "no number can hold it",
                _ => NO_NIL,
            },
            found: found.to_string(),
        }),
    }
}

impl Run<'_> {
    fn value(&mut self, node: &Node) -> Result<Value, FormulaError> {
        Ok(match &node.kind {
            Kind::Literal(value) => value.clone(),
            Kind::Variable(index) => self.variable(*index, node.at)?,
            Kind::Element => self.elements.last().cloned().unwrap_or(Value::Nil),
            Kind::List(nodes) => Value::List(self.values(nodes)?),
            Kind::Not(inner) => Value::Bool(!self.condition(inner, "not", node.at)?),
            Kind::Negative(inner) => {
                let inner = self.value(inner)?;
                Value::Number(-number(&inner).ok_or_else(|| nil(format!("- {inner}"), node.at))?)
            }
            Kind::Fold(first, parts) => self.fold(first, parts)?,
            Kind::Choice(parts) => {
                let [condition, then, otherwise] = &**parts;
                if self.condition(condition, "?", node.at)? {
                    self.value(then)?
                } else {
                    self.value(otherwise)?
                }
            }
            Kind::Call(function, arguments) => {
                let arguments = self.values(arguments)?;
                apply(*function, arguments, node.at)?
            }
            Kind::Each(function, parts) => {
                let [list, predicate] = &**parts;
                let elements = match self.value(list)? {
                    Value::List(elements) => elements,
                    one => vec![one],
                };
                self.each(*function, elements, predicate, node.at)?
            }
        })
    }

    fn values(&mut self, nodes: &[Node]) -> Result<Vec<Value>, FormulaError> {
        nodes.iter().map(|node| self.value(node)).collect()
    }

    fn variable(&self, index: usize, at: Place) -> Result<Value, FormulaError> {
        let name = self.names.get(index).cloned().unwrap_or_default();
        match self.values.get(&name) {
            None => Err(FormulaError::Missing { name }),
            Some(None) => Ok(Value::Nil),
            Some(Some(value)) if value.is_finite() => Ok(Value::Number(*value)),
            Some(Some(value)) => Err(FormulaError::NoNumber {
                found: value.to_string(),
                at,
                reason: "the trigger's value is not finite",
            }),
        }
    }

    fn condition(&mut self, node: &Node, of: &str, at: Place) -> Result<bool, FormulaError> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(nil(format!("{of} with {other}"), at)),
        }
    }

    fn fold(
        &mut self,
        first: &Node,
        parts: &[(Operator, Place, Node)],
    ) -> Result<Value, FormulaError> {
        let mut result = self.value(first)?;
        // The right side of a comparison, for one that goes on from there.
        let mut compared: Option<Value> = None;
        for (operator, at, node) in parts {
            let chained = compared.take().filter(|_| operator.orders());
            let settled = match operator {
                Operator::Or => result == Value::Bool(true),
                Operator::And => result == Value::Bool(false),
                Operator::Coalesce => result != Value::Nil,
                _ => chained.is_some() && result == Value::Bool(false),
            };
            if settled {
                compared = chained;
                continue;
            }
            let right = self.value(node)?;
            let left = chained.unwrap_or(result);
            result = self.operation(&left, *operator, &right, *at)?;
            compared = operator.orders().then_some(right);
        }
        Ok(result)
    }

    fn operation(
        &mut self,
        left: &Value,
        operator: Operator,
        right: &Value,
        at: Place,
    ) -> Result<Value, FormulaError> {
        match operator {
            Operator::Coalesce => return Ok(right.clone()),
            Operator::Equal => return Ok(Value::Bool(left == right)),
            Operator::NotEqual => return Ok(Value::Bool(left != right)),
            Operator::Or | Operator::And
                if matches!((left, right), (Value::Bool(_), Value::Bool(_))) =>
            {
                return Ok(right.clone());
            }
            _ => {}
        }
        let found = || format!("{left} {operator} {right}");
        let (Some(l), Some(r)) = (number(left), number(right)) else {
            return Err(nil(found(), at));
        };
        let order = l.partial_cmp(&r);
        if matches!(operator, Operator::Divided | Operator::Remainder) && r.abs() <= 0.0 {
            self.zero.get_or_insert(at);
            if operator == Operator::Remainder {
                return Err(FormulaError::Operation {
                    found: found(),
                    at,
                    expected: "division by zero",
                });
            }
        }
        Ok(match operator {
            Operator::Less => Value::Bool(order == Some(Ordering::Less)),
            Operator::More => Value::Bool(order == Some(Ordering::Greater)),
            Operator::LessOrEqual => Value::Bool(order.is_some_and(Ordering::is_le)),
            Operator::MoreOrEqual => Value::Bool(order.is_some_and(Ordering::is_ge)),
            Operator::Plus => Value::Number(l + r),
            Operator::Minus => Value::Number(l - r),
            Operator::Times => Value::Number(l * r),
            Operator::Divided => Value::Number(l / r),
            Operator::Remainder => Value::Number(l % r),
            Operator::Power => Value::Number(l.powf(r)),
            _ => return Err(nil(found(), at)),
        })
    }

    /// `function` with what `predicate` says of every element.
    fn each(
        &mut self,
        function: Function,
        elements: Vec<Value>,
        predicate: &Node,
        at: Place,
    ) -> Result<Value, FormulaError> {
        let mut kept = Vec::new();
        for element in elements {
            self.elements.push(element.clone());
            let said = self.value(predicate);
            self.elements.pop();
            let said = said?;
            if matches!(function, Function::Map | Function::Sum) {
                kept.push(said);
                continue;
            }
            let Value::Bool(said) = said else {
                return Err(nil(format!("{} with {said}", function.name()), at));
            };
            match function {
                Function::Any if said => return Ok(Value::Bool(true)),
                Function::None if said => return Ok(Value::Bool(false)),
                Function::All if !said => return Ok(Value::Bool(false)),
                _ if said => kept.push(element),
                _ => {}
            }
        }
        Ok(match function {
            Function::Map | Function::Filter => Value::List(kept),
            Function::Sum => apply(function, kept, at)?,
            Function::Count => size(kept.len()),
            Function::One => Value::Bool(kept.len() == 1),
            function => Value::Bool(function != Function::Any),
        })
    }
}

pub fn nil(found: String, at: Place) -> FormulaError {
    FormulaError::Operation {
        found,
        at,
        expected: NO_NIL,
    }
}
