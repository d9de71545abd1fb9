//! A row that knows which of its inputs were read: what is not read proves nothing, so such a row fails.

use std::{
    cell::Cell,
    collections::BTreeMap,
    ops::{Deref, Index},
};

use serde_json::Value;

/// Keys that are no input; what is given in prose stands in code under the row's id.
const WORDS: [&str; 5] = ["id", "origin", "note", "since", "given"];

/// A value of a row with what is in it.
pub struct Row {
    value: Value,
    fields: BTreeMap<String, Self>,
    read: Cell<bool>,
}

thread_local! {
    static NULL: &'static Row = Box::leak(Box::new(Row::from(Value::Null)));
}

impl From<Value> for Row {
    fn from(value: Value) -> Self {
        let fields = value.as_object().into_iter().flatten();
        let fields = fields.map(|(key, value)| (key.clone(), Self::from(value.clone())));
        Self {
            fields: fields.collect(),
            value,
            read: Cell::new(false),
        }
    }
}

impl Row {
    /// Whether it is an object, without reading it.
    pub fn is_object(&self) -> bool {
        self.value.is_object()
    }

    /// The error that a row expects; `ok` stands for none.
    pub fn error(&self) -> Option<&str> {
        let expected = &self["expect"];
        if expected.is_object() {
            return expected["err"].as_str();
        }
        assert_eq!(expected.as_str(), Some("ok"));
        None
    }

    /// The paths that nobody looked at.
    pub fn unread(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (key, field) in self
            .fields
            .iter()
            .filter(|(k, _)| !WORDS.contains(&k.as_str()))
        {
            field.gather(key, &mut all);
        }
        all
    }

    fn gather(&self, path: &str, all: &mut Vec<String>) {
        // Null is as good as absent.
        if self.read.get() || self.value.is_null() {
            return;
        }
        // An object is read by its fields.
        if self.fields.is_empty() {
            all.push(path.to_owned());
        }
        for (key, field) in &self.fields {
            field.gather(&format!("{path}.{key}"), all);
        }
    }
}

impl Index<&str> for Row {
    type Output = Self;

    fn index(&self, key: &str) -> &Self {
        // A missing key counts as null, as with a Value.
        self.fields.get(key).unwrap_or_else(|| NULL.with(|n| *n))
    }
}

/// The whole value, all of which is read with that.
impl Deref for Row {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.read.set(true);
        &self.value
    }
}

impl<T: ?Sized> PartialEq<T> for Row
where
    Value: PartialEq<T>,
{
    fn eq(&self, other: &T) -> bool {
        **self == *other
    }
}
