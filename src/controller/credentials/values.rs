//! The values of Secrets, ConfigMaps, tokens and files, as many as are kept.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;

use crate::triggers::Parameters;

/// Bytes of a value; a bundle of all public authorities has less.
const LONGEST: usize = 256 * 1024;

/// By key. They may be secret, so they have no `Debug`.
#[derive(Default)]
pub(in crate::controller) struct Values {
    /// Those that are kept.
    pub(in crate::controller) kept: Parameters,
    /// Why others are not.
    left_out: BTreeMap<String, String>,
}

impl Values {
    /// Those of `held` that are text and not too long.
    pub(super) fn of(held: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let mut values = Self::default();
        for (key, value) in held {
            if value.len() > LONGEST {
                let why = format!("has {} bytes, at most {LONGEST} are read", value.len());
                values.left_out.insert(key, why);
            } else if let Ok(text) = String::from_utf8(value) {
                values.kept.insert(key, text.into());
            } else {
                values.left_out.insert(key, "is no text (UTF-8)".into());
            }
        }
        values
    }

    /// Why there is no value under this key.
    pub(in crate::controller) fn lack(&self, key: &str) -> String {
        match self.left_out.get(key) {
            Some(why) => format!("key {key}, which {why}, is left out"),
            None => format!("has no key {key}"),
        }
    }

    pub(super) fn size(&self) -> usize {
        let kept = self.kept.iter();
        let kept = kept.map(|(key, value)| key.len() + value.expose_secret().len());
        let left_out = self.left_out.iter().map(|(key, why)| key.len() + why.len());
        kept.chain(left_out).sum()
    }
}

impl From<Parameters> for Values {
    fn from(kept: Parameters) -> Self {
        Self {
            kept,
            left_out: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_or_too_long_is_left_out_and_told() {
        let values = Values::of([
            ("user".into(), b"u".to_vec()),
            ("keystore".into(), vec![0xff; 3]),
            ("dump".into(), vec![b'x'; LONGEST + 1]),
            ("bundle".into(), vec![b'x'; LONGEST]),
        ]);
        assert_eq!(values.kept.len(), 2);
        assert_eq!(values.lack("nothing"), "has no key nothing");
        assert!(values.lack("keystore").contains("is no text"));
        assert!(values.lack("dump").contains("at most 262144"));
        assert!(values.size() < LONGEST + 200);
    }
}
