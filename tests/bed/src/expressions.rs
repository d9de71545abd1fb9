//! Expressions of Prometheus in files of dashboards and alerts.

use serde_json::Value;

/// Every `expr` in it.
pub fn expressions(file: &Value) -> Vec<&str> {
    match file {
        Value::Array(all) => all.iter().flat_map(expressions).collect(),
        Value::Object(all) => {
            let own = all.get("expr").and_then(Value::as_str);
            own.into_iter()
                .chain(all.values().flat_map(expressions))
                .collect()
        }
        _ => Vec::new(),
    }
}
