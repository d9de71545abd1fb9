//! Which topics are meant: by name, by pattern, or all that a group has committed.

use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

use regex::bytes::{Regex, RegexBuilder};

/// Longest pattern: a user's pattern runs over every topic of a cluster.
const LONGEST: usize = 249;
/// Patterns of one trigger.
const MOST: usize = 32;
/// Bytes that all patterns of one trigger may compile to, and as many that matching them may take.
const LARGEST: usize = 1 << 16;

/// A pattern of topic names, which takes a whole name, as `subscribe(Pattern)` of Kafka's consumer does.
#[derive(Clone, Debug)]
pub struct TopicPattern {
    text: Arc<str>,
    regex: Regex,
}

impl TopicPattern {
    /// A regular expression in the syntax of the `regex` crate: as Java's, without look-around and back references. Classes
    /// such as `\w` are of ASCII, as in Java, and as topic names are.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::one_of(1, text)
    }

    /// One of so many patterns, among which the budget is divided.
    fn one_of(count: usize, text: &str) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("longer than {LONGEST} bytes"));
        }
        let whole = format!("^(?:{text})$");
        let budget = LARGEST / count.max(1);
        let built = RegexBuilder::new(&whole)
            .unicode(false)
            .size_limit(budget)
            .dfa_size_limit(budget)
            .build();
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

    /// Whether it takes this name.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.regex.is_match(name.as_bytes())
    }
}

/// A hint where in a piece of a list a star follows a letter: in a shell it stands for anything, in a regular expression for
/// more of that letter.
#[must_use]
pub fn hint(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let shell =
        |i: usize| bytes[i] == b'*' && i > 0 && is_of_names(bytes[i - 1]) && bytes[i - 1] != b'.';
    let at = (0..bytes.len()).find(|i| shell(*i))?;
    let (before, after) = text.split_at(at);
    let letter = char::from(bytes[at - 1]);
    Some(format!(
        "the pattern {text} takes any number of '{letter}', not any text: write {before}.{after} for every topic that begins with {before}"
    ))
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
    /// By name, each once, ascending.
    pub names: Arc<[Arc<str>]>,
    /// Every topic of the cluster that one of these takes.
    pub patterns: Arc<[TopicPattern]>,
}

impl Topics {
    /// The pieces of a list, each once: a piece of nothing but the letters of topic names is a name, another one a pattern.
    pub fn parse(pieces: impl Iterator<Item = impl AsRef<str>>) -> Result<Self, String> {
        let (mut names, mut texts) = (BTreeSet::<Arc<str>>::new(), BTreeSet::<Arc<str>>::new());
        for piece in pieces {
            let piece: Arc<str> = piece.as_ref().into();
            if is_pattern(&piece) {
                texts.insert(piece);
            } else {
                names.insert(piece);
            }
            if texts.len() > MOST {
                return Err(format!(
                    "more than {MOST} patterns: write some as one, as in (orders|audit)-.*"
                ));
            }
        }
        let compiled = texts.iter().map(|text| {
            let pattern = TopicPattern::one_of(texts.len(), text);
            pattern.map_err(|e| format!("pattern \"{text}\": {e}"))
        });
        let patterns = compiled.collect::<Result<Vec<_>, String>>()?;
        Ok(Self {
            patterns: patterns.into(),
            ..Self::named(names)
        })
    }

    /// Topics by name only.
    #[must_use]
    pub fn named(names: BTreeSet<Arc<str>>) -> Self {
        Self {
            names: names.into_iter().collect(),
            patterns: Arc::default(),
        }
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

    /// Whether this topic is named.
    #[must_use]
    pub fn name(&self, name: &str) -> bool {
        self.names.binary_search_by(|n| (**n).cmp(name)).is_ok()
    }

    /// Whether this topic is named or fits a pattern.
    #[must_use]
    pub fn take(&self, name: &str) -> bool {
        self.name(name) || self.patterns.iter().any(|p| p.takes(name))
    }
}

/// Whether a piece of a list is a pattern: a name could not be written so.
#[must_use]
pub fn is_pattern(piece: &str) -> bool {
    !piece.bytes().all(is_of_names)
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

    /// One object must not take the memory of all: the budget is the list's.
    #[test]
    fn a_list_of_patterns_costs_no_more_than_one() {
        let list =
            |count, piece: fn(usize) -> String| (0..count).map(piece).collect::<Vec<_>>().join(",");
        let classes = |n| format!("\\w{n}");
        assert_eq!(parse(&list(32, classes)).unwrap().patterns.len(), 32);
        let why = parse(&list(3_000, classes)).unwrap_err();
        assert!(why.starts_with("more than 32 patterns"), "{why}");
        assert_eq!(
            parse(&list(3_000, |_| "a.*".into()))
                .unwrap()
                .patterns
                .len(),
            1
        );
        let large = |n| format!("(a{{9}}[0-9a-f]{{300}}){n}");
        assert!(parse(&large(2)).is_ok());
        assert!(parse(&list(32, large)).unwrap_err().contains("size limit"));
        let names = parse(&list(100_000, |n| format!("t{}", n % 50_000)))
            .unwrap()
            .names;
        assert_eq!(names.len(), 50_000);
    }

    #[test]
    fn classes_are_of_the_letters_that_names_have() {
        let topics = parse("orders-\\w\\d").unwrap();
        assert!(topics.take("orders-a1") && !topics.take("orders-é1") && !topics.take("orders-a١"));
    }
}
