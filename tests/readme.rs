//! Tests that tests/README.md names are there: a table of what is proven where is worth what it says.

#![allow(
    clippy::unwrap_used,
    reason = "a file that can't be read is a failed test"
)]

use std::{collections::BTreeSet, fs, path::Path};

/// The names of all functions in the Rust files of a folder.
fn functions(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let named = text
                .lines()
                .filter_map(|line| line.split_once("fn ")?.1.split_once('('));
            into.extend(named.map(|(name, _)| name.to_owned()));
        }
    }
}

#[test]
fn every_test_that_the_tables_name_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    for folder in ["src", "tests"] {
        functions(&root.join(folder), &mut known);
    }
    let text = fs::read_to_string(root.join("tests/README.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let spans = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let names = spans.filter_map(|span| span.rsplit("::").next());
    // A sentence in a table; a module, a file or a family has fewer words.
    let names: Vec<&str> = names
        .filter(|name| name.matches('_').count() >= 3)
        .collect();
    assert!(names.len() > 100, "{names:?}");
    let missing = names.iter().filter(|name| {
        let begins = name.strip_suffix("...").map(|n| n.trim_end_matches('_'));
        match begins {
            Some(begins) => !known.iter().any(|k| k.starts_with(begins)),
            None => !known.contains(**name),
        }
    });
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new());
}
