//! Which topics are meant: by name, by pattern, or all that a group has committed.

use std::{cmp::Ordering, sync::Arc};

use regex::{Regex, RegexBuilder};

/// Longest pattern, and the size of what it compiles to: a user's pattern runs over every topic of a cluster.
const LONGEST: usize = 249;
const LARGEST: usize = 1 << 18;

/// A pattern of topic names, which takes a whole name, as `subscribe(Pattern)` of Kafka's consumer does.
#[derive(Clone, Debug)]
pub struct TopicPattern {
    text: Arc<str>,
    regex: Regex,
}

impl TopicPattern {
    /// A regular expression in the syntax of the `regex` crate: as Java's, without look-around and back references.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("longer than {LONGEST} bytes"));
        }
        let whole = format!("^(?:{text})$");
        let built = RegexBuilder::new(&whole).size_limit(LARGEST).build();
        // The library's text is several lines that draw a pointer.
        let regex = built.map_err(|e| {
            let text = e.to_string();
            text.lines().last().unwrap_or_default().to_owned()
        })?;
        Ok(Self {
            text: text.into(),
            regex,
        })
    }

    /// What is probably meant where a star follows a letter: in a shell it stands for anything, in a regular expression for more
    /// of that letter.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = &*self.text;
        let bytes = text.as_bytes();
        let shell = |i: usize| {
            bytes[i] == b'*' && i > 0 && is_of_names(bytes[i - 1]) && bytes[i - 1] != b'.'
        };
        let at = (0..bytes.len()).find(|i| shell(*i))?;
        let (before, after) = text.split_at(at);
        let letter = char::from(bytes[at - 1]);
        Some(format!(
            "the pattern {text} takes any number of '{letter}', not any text: write {before}.{after} for every topic that begins with {before}"
        ))
    }

    /// Whether it takes this name.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TopicPattern {}

impl PartialOrd for TopicPattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TopicPattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

/// The topics of one asker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    /// By name, each once.
    pub names: Arc<[Arc<str>]>,
    /// Every topic of the cluster that one of these takes.
    pub patterns: Arc<[TopicPattern]>,
}

impl Topics {
    /// The pieces of a list, each once: a piece of nothing but the letters of topic names is a name, another one a pattern.
    pub fn parse(pieces: impl Iterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        let (mut names, mut patterns) = (Vec::<Arc<str>>::new(), Vec::new());
        for piece in pieces {
            let piece = piece.as_ref();
            if piece.bytes().all(is_of_names) {
                if !names.iter().any(|n| **n == *piece) {
                    names.push(piece.into());
                }
            } else {
                let pattern =
                    TopicPattern::parse(piece).map_err(|e| format!("pattern \"{piece}\": {e}"))?;
                if !patterns.contains(&pattern) {
                    patterns.push(pattern);
                }
            }
        }
        Ok(Self {
            names: names.into(),
            patterns: patterns.into(),
        })
    }

    /// Whether every topic that the group has committed is meant.
    #[must_use]
    pub fn are_all(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    /// Whether a topic that the group has committed is meant: any is, where none is named.
    #[must_use]
    pub fn mean(&self, name: &str) -> bool {
        self.are_all() || self.take(name)
    }

    /// Whether this topic is named or fits a pattern.
    #[must_use]
    pub fn take(&self, name: &str) -> bool {
        self.names.iter().any(|n| **n == *name) || self.patterns.iter().any(|p| p.takes(name))
    }
}

fn is_of_names(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Topics, String> {
        Topics::parse(text.split(',').map(str::trim))
    }

    #[test]
    fn a_piece_is_a_name_unless_a_name_could_not_be_written_so() {
        let topics = parse("orders.eu, orders-.*, orders.eu, (audit|log)s").unwrap();
        assert_eq!(topics.names.len(), 1);
        assert_eq!(topics.patterns.len(), 2);
        for (name, taken) in [
            ("orders.eu", true),
            // A dot in a name is a dot.
            ("orders-eu", true),
            ("ordersXeu", false),
            ("audits", true),
            ("my-audits", false),
            ("logs-2", false),
        ] {
            assert_eq!(topics.take(name), taken, "{name}");
        }
        assert!(!topics.are_all() && Topics::default().are_all());
    }

    #[test]
    fn a_pattern_that_costs_too_much_or_does_not_parse_is_refused() {
        assert!(parse("a(").unwrap_err().starts_with("pattern \"a(\": "));
        assert!(parse("(a{1000}){1000}").unwrap_err().contains("size limit"));
        assert!(
            parse(&"a*".repeat(200))
                .unwrap_err()
                .contains("longer than 249")
        );
        assert!(parse("(?=x)y").is_err());
    }
}
