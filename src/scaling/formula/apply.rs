//! Functions of values.

use super::{FormulaError, Place, call::Function, evaluate::nil, node::Value};

/// `function` of values and lists of them.
pub fn apply(function: Function, arguments: Vec<Value>, at: Place) -> Result<Value, FormulaError> {
    let mut flat = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match argument {
            Value::List(elements) => flat.extend(elements),
            one => flat.push(one),
        }
    }
    match function {
        Function::Len => return Ok(size(flat.len())),
        Function::Count => {
            let counted = flat.iter().filter(|v| **v == Value::Bool(true)).count();
            return Ok(size(counted));
        }
        _ => {}
    }
    let numbers: Option<Vec<f64>> = flat.iter().map(number).collect();
    let Some(mut numbers) = numbers else {
        return Err(nil(format!("{} with nil", function.name()), at));
    };
    // Not `sum()`, which is -0 of nothing.
    let sum = numbers.iter().fold(0.0, |sum, n| sum + n);
    // The order matters with NaN, which no comparison moves; as in expr.
    let best = |better: fn(&f64, &f64) -> bool| {
        let mut numbers = numbers.iter().copied();
        numbers.next().map(|first| {
            numbers.fold(
                first,
                |best, next| if better(&next, &best) { next } else { best },
            )
        })
    };
    let result = match function {
        Function::Max => best(|a, b| a > b),
        Function::Min => best(|a, b| a < b),
        Function::Sum => Some(sum),
        Function::Mean if numbers.is_empty() => Some(0.0),
        Function::Mean => number(&size(numbers.len())).map(|count| sum / count),
        Function::Median => {
            numbers.sort_by(f64::total_cmp);
            Some(median(&numbers))
        }
        Function::Abs => numbers.first().map(|n| n.abs()),
        Function::Ceil => numbers.first().map(|n| n.ceil()),
        Function::Floor => numbers.first().map(|n| n.floor()),
        Function::Round => numbers.first().map(|n| n.round()),
        Function::Int => numbers.first().map(|n| n.trunc()),
        _ => numbers.first().copied(),
    };
    Ok(result.map_or(Value::Nil, Value::Number))
}

/// The median of sorted numbers; 0 of none, as in expr.
fn median(numbers: &[f64]) -> f64 {
    let middle = numbers.len() / 2;
    let upper = numbers.get(middle).copied().unwrap_or(0.0);
    match middle.checked_sub(1).and_then(|i| numbers.get(i)) {
        Some(lower) if numbers.len().is_multiple_of(2) => f64::midpoint(*lower, upper),
        _ => upper,
    }
}

pub fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(value) => Some(*value),
        _ => None,
    }
}

/// A length: no list of a formula has more elements than its text has characters.
pub fn size(len: usize) -> Value {
    Value::Number(u32::try_from(len).map_or(f64::INFINITY, f64::from))
}
