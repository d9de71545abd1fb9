//! Lists and maps of a specification, of which one entry more is kept than may be there: the rest is skipped while it is read,
//! so that an object costs no more memory than it has bytes. Whoever judges the object says that there are too many.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Entries of a list of triggers, of a trigger's metadata, and of each list of an authentication.
pub const MOST: usize = 100;

/// The first entries of a list; null is an empty one.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(List(PhantomData))
}

/// The first entries of a map.
pub(super) fn map<'de, D>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error>
where
    D: Deserializer<'de>,
{
    deserializer.deserialize_map(Map)
}

struct List<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
        let mut kept = Vec::new();
        while kept.len() <= MOST {
            match entries.next_element()? {
                Some(entry) => kept.push(entry),
                None => return Ok(kept),
            }
        }
        while entries.next_element::<IgnoredAny>()?.is_some() {}
        Ok(kept)
    }
}

struct Map;

impl<'de> Visitor<'de> for Map {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut kept = BTreeMap::new();
        while kept.len() <= MOST {
            match entries.next_entry()? {
                Some((key, value)) => kept.insert(key, value),
                None => return Ok(kept),
            };
        }
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_more_is_kept_than_may_be_there() {
        for (written, kept) in [
            (0, 0),
            (1, 1),
            (MOST, MOST),
            (MOST + 1, MOST + 1),
            (5_000, MOST + 1),
        ] {
            let numbers: Vec<usize> = (0..written).collect();
            let read: Vec<usize> = list(json!(numbers)).unwrap();
            assert_eq!(read, numbers[..kept]);
            let entries = numbers.iter().map(|n| (n.to_string(), json!("")));
            let read = map(serde_json::Value::Object(entries.collect())).unwrap();
            assert_eq!(read.len(), kept);
        }
        assert_eq!(
            list::<_, String>(json!(null)).unwrap(),
            Vec::<String>::new()
        );
        assert!(list::<_, String>(json!([1])).is_err() && map(json!({"a": 1})).is_err());
    }
}
