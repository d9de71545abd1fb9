//! The forms in which a command tells what it found: a table for people, JSON or YAML for scripts.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde::Serialize;

use crate::text;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// A table with further columns, where the command has some.
    Wide,
    /// For scripts.
    Json,
    /// JSON's fields, for people too.
    Yaml,
}

impl Output {
    /// The answer as data; `None` where a table is wanted.
    pub(super) fn data(self, value: &(impl Serialize + ?Sized)) -> Option<Result<String, String>> {
        match self {
            Self::Table | Self::Wide => None,
            Self::Json => Some(json(value)),
            Self::Yaml => Some(yaml(value)),
        }
    }

    pub(super) const fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    Ok(text::in_json(&text) + "\n")
}

/// A document of its own, since `--watch` writes one after the other. By way of JSON, so that its fields are JSON's.
fn yaml(value: &(impl Serialize + ?Sized)) -> Result<String, String> {
    let value = serde_json::to_value(value).map_err(|e| e.to_string())?;
    let text = serde_saphyr::to_string(&value).map_err(|e| e.to_string())?;
    Ok(format!("---\n{}\n", text.trim_end()))
}

/// Columns as wide as their widest cell, two blanks apart. Rows have one length.
pub(super) fn table<R: AsRef<[String]>>(rows: &[R]) -> String {
    let columns = rows.first().map_or(0, |row| row.as_ref().len());
    let width = |column: usize| {
        rows.iter()
            .map(move |row| row.as_ref()[column].chars().count())
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.as_ref().iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn data_comes_back_as_it_was_and_moves_no_cursor() {
        let nasty = [
            "",
            "no",
            "null",
            "1e3",
            "- a",
            "a: b",
            " x ",
            "two\nlines",
            "#",
            "\u{1b}[2J",
            "two\n\u{1b}[2J\u{9b}2J",
            "\u{9b}2J",
            "\u{7f}",
            "'\"",
            "0x1f",
            "\t",
            "---",
            "é",
            "{}",
            "a\r\nb",
            "\u{feff}",
            "\u{2028}",
            "~",
            "<<",
            "=",
            "%a",
            "@",
            "`",
            "\\",
        ];
        let found = json!({"strings": nasty, "none": null, "count": -3, "is": true, "empty": [], "of": {"a b": [{"c": 1}]}});
        let json = Output::Json.data(&found).unwrap().unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), found);
        let yaml = Output::Yaml.data(&found).unwrap().unwrap();
        assert_eq!(
            serde_saphyr::from_str::<Value>(&yaml).unwrap(),
            found,
            "{yaml}"
        );
        for text in [json, yaml] {
            let obeyed = |c: char| c.is_control() && c != '\n';
            assert_eq!(text.chars().find(|c| obeyed(*c)), None, "{text:?}");
        }
        assert!(Output::Table.data(&found).is_none() && Output::Wide.data(&found).is_none());
    }
}
