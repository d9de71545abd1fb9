//! Families written at each scrape from what is known then, so that no series outlives its object. Series become text at once, in
//! blocks: as values of the library each label is two strings, and a scrape would be the largest moment of the process.

use std::{collections::BTreeMap, fmt::Write as _};

/// A family: its name, what it means, whether it only grows, and its labels.
#[derive(Clone, Copy)]
pub(super) struct Family {
    pub name: &'static str,
    pub help: &'static str,
    pub grows: bool,
    pub labels: &'static [&'static str],
}

impl Family {
    /// A gauge.
    pub const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            help,
            grows: false,
            labels,
        }
    }

    /// A counter.
    pub const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            grows: true,
            ..Self::gauge(name, labels, help)
        }
    }

    /// The lines before its series.
    fn head(&self) -> String {
        let kind = if self.grows { "counter" } else { "gauge" };
        let Self { name, help, .. } = self;
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n")
    }
}

/// Text that grows without being copied: a block that has this many bytes is followed by another.
const BLOCK: usize = 32 << 10;
/// Room for the line that begins when a block is all but full.
const LINE: usize = 1 << 10;

/// The full blocks, and the one that the next line goes to.
struct Blocks {
    full: Vec<String>,
    open: String,
}

impl Blocks {
    fn begin(head: String) -> Self {
        Self {
            full: Vec::new(),
            open: head,
        }
    }

    fn open(&mut self) -> &mut String {
        if self.open.len() >= BLOCK {
            let next = String::with_capacity(BLOCK + LINE);
            self.full.push(std::mem::replace(&mut self.open, next));
        }
        &mut self.open
    }
}

/// Families as Prometheus' text format 0.0.4 has them. A family without series is left out.
#[derive(Default)]
pub struct Filled(BTreeMap<&'static str, Blocks>);

impl Filled {
    /// One more series of `family`, with a value for each of its labels.
    pub(super) fn add(&mut self, family: &Family, labels: &[&str], value: f64) {
        let begin = || Blocks::begin(family.head());
        let text = self.0.entry(family.name).or_insert_with(begin).open();
        text.push_str(family.name);
        for (place, (name, value)) in family.labels.iter().zip(labels).enumerate() {
            text.push_str(if place == 0 { "{" } else { "," });
            text.push_str(name);
            text.push_str("=\"");
            escape(value, text);
            text.push('"');
        }
        let end = if family.labels.is_empty() { "" } else { "}" };
        // Writing to a String can't fail.
        let _ = writeln!(text, "{end} {value}");
    }

    /// The text of all families, by name, in blocks.
    pub(super) fn texts(self) -> impl Iterator<Item = String> {
        let blocks = self.0.into_values();
        blocks.flat_map(|b| b.full.into_iter().chain([b.open]))
    }
}

/// A label's value with backslash, quote and line feed escaped.
fn escape(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// A flag as Prometheus has one.
pub(super) fn flag(set: bool) -> f64 {
    f64::from(u8::from(set))
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder, GaugeVec, Opts, TextEncoder, core::Collector};

    use super::*;

    #[test]
    fn a_family_is_written_as_the_library_writes_it() {
        let family = Family::gauge("lag", &["group", "topic"], "Lag, in records.");
        let library = GaugeVec::new(Opts::new(family.name, family.help), family.labels).unwrap();
        let mut filled = Filled::default();
        let names = ["a", "a\\b", "say \"so\"", "two\nlines", "{}, =", "\u{e9}"];
        for (name, value) in names.into_iter().zip([0.0, 1.0, -2.5, 1e15, 0.1, 1e300]) {
            filled.add(&family, &[name, "t"], value);
            library.with_label_values(&[name, "t"]).set(value);
        }
        let mut theirs = Vec::new();
        TextEncoder::new()
            .encode(&library.collect(), &mut theirs)
            .unwrap();
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let ours: String = filled.texts().collect();
        assert_eq!(sorted(&ours), sorted(&String::from_utf8(theirs).unwrap()));
    }

    #[test]
    fn a_large_family_is_in_blocks_of_whole_lines() {
        let family = Family::gauge("lag", &["group"], "Lag.");
        let mut filled = Filled::default();
        for group in 0..10_000 {
            filled.add(&family, &[&format!("group {group}")], 1.0);
        }
        let blocks: Vec<String> = filled.texts().collect();
        assert!(blocks.len() > 5, "{}", blocks.len());
        assert!(
            blocks
                .iter()
                .all(|b| b.ends_with('\n') && b.capacity() <= 2 * BLOCK)
        );
        assert_eq!(blocks.concat().lines().count(), 10_002);
    }

    #[test]
    fn a_series_without_labels_has_no_braces() {
        let mut filled = Filled::default();
        filled.add(&Family::counter("seen_total", &[], "Seen."), &[], 3.0);
        let text: String = filled.texts().collect();
        assert_eq!(
            text,
            "# HELP seen_total Seen.\n# TYPE seen_total counter\nseen_total 3\n"
        );
    }
}
