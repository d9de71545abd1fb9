//! Pages that people follow: their links lead somewhere, their commands are commands, and what they name is there.

#![allow(
    clippy::unwrap_used,
    reason = "a file that can't be read is a failed test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use clap::{CommandFactory, Parser, error::ErrorKind};
use lagscale::args::Cli;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page, by its path in the checkout.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut paths: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"]
        .map(PathBuf::from)
        .into();
    paths.push("tests/README.md".into());
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| Path::new("docs").join(entry.unwrap().file_name()));
    paths.extend(docs.filter(|path| path.extension().is_some_and(|e| e == "md")));
    let page = |path: PathBuf| (path.clone(), fs::read_to_string(root().join(path)).unwrap());
    paths.into_iter().map(page).collect()
}

/// The anchors that GitHub and mdBook make of a page's headings.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c => c.is_alphanumeric().then_some(c),
        });
        kept.collect()
    };
    headings.map(anchor).collect()
}

/// The targets of a page's links that lead to other files, or to a place in this one.
fn links(page: &str) -> Vec<&str> {
    let targets = page.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split_once(')'));
    let targets = targets.map(|(target, _)| target);
    targets.filter(|t| !t.contains("://")).collect()
}

/// Text between backquotes, and each line of a block of code, without its comment.
fn code(page: &str) -> Vec<String> {
    let (mut found, mut is_block, mut prose) = (Vec::new(), false, String::new());
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if is_block {
            let line = line.split(" #").next().unwrap_or_default();
            found.push(line.trim().to_owned());
        } else {
            prose.push_str(line);
            prose.push(' ');
        }
    }
    let spans = prose.split('`').skip(1).step_by(2);
    found.extend(spans.map(str::to_owned));
    found
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading_of_it() {
    let pages = pages();
    let mut dead = Vec::new();
    for (path, page) in &pages {
        for link in links(page) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => root().join(path),
                file => root().join(path).parent().unwrap().join(file),
            };
            let is_alive = match fs::canonicalize(&target) {
                Err(_) => false,
                Ok(_) if anchor.is_empty() => true,
                Ok(found) => anchors(&fs::read_to_string(found).unwrap()).contains(anchor),
            };
            if !is_alive {
                dead.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert_eq!(dead, Vec::<String>::new());
    let count: usize = pages.values().map(|page| links(page).len()).sum();
    assert!(count > 50, "{count} links");
}

#[test]
fn the_book_has_every_page_once() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let mut listed = links(&summary);
    listed.sort_unstable();
    let pages = pages();
    let docs = pages
        .keys()
        .filter_map(|path| path.strip_prefix("docs").ok());
    let docs = docs.filter_map(Path::to_str).filter(|p| *p != "SUMMARY.md");
    assert_eq!(listed, docs.collect::<Vec<_>>());
}

/// A command as it is written for people: `[what may be left out]`, `one|another`, and capitals for what is theirs.
fn words(command: &str) -> Vec<String> {
    let command = command.replace(['[', ']'], " ");
    let words = command.split_whitespace();
    let first = |word: &str| word.split('|').next().unwrap_or_default().to_owned();
    words.map(first).collect()
}

#[test]
fn every_command_of_lagscale_has_flags_and_arguments_that_there_are() {
    let mut count = 0;
    for (path, page) in pages() {
        for command in code(&page) {
            if !command.starts_with("lagscale ") {
                continue;
            }
            count += 1;
            if let Err(error) = Cli::try_parse_from(words(&command))
                // Prose may name a command without what it needs.
                && error.kind() != ErrorKind::MissingRequiredArgument
            {
                panic!("{}: {command}: {error}", path.display());
            }
        }
    }
    assert!(count > 15, "{count} commands");
}

#[test]
fn variables_targets_and_paths_that_pages_name_are_there() {
    let cli = Cli::command();
    let variables = cli.get_arguments().filter_map(|a| a.get_env()?.to_str());
    let variables: BTreeSet<&str> = variables.collect();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let mut missing = Vec::new();
    for (path, page) in pages() {
        let mut miss = |what: &str| missing.push(format!("{}: {what}", path.display()));
        for text in code(&page) {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
            for word in text.split(|c| !is_part(c)) {
                let word = word.trim_end_matches(['.', '/']);
                // Tests have variables of their own.
                let is_variable = word.starts_with("LAGSCALE_") && !path.starts_with("tests");
                if is_variable && !variables.contains(word) {
                    miss(word);
                }
                let is_path = word.starts_with("manifests/") || word.starts_with("charts/");
                if is_path && !root().join(word).exists() {
                    miss(word);
                }
            }
            if let Some(target) = text.strip_prefix("make ") {
                let target = target.split_whitespace().next().unwrap_or_default();
                if !makefile.contains(&format!("\n{target}:")) {
                    miss(&text);
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
