//! The rooms of src import each other along the arrows of ARCHITECTURE.md and along no others, and no two files import each
//! other but where a parser or its steps call one another. Comments begin with the noun they are about.

#![allow(
    clippy::unwrap_used,
    reason = "a file that can't be read is a failed test"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use regex::Regex;

/// Segments from `crate`.
type Module = Vec<String>;

/// Files of `src` that import one another, and why that is so.
const CIRCLES: [&[&str]; 4] = [
    // A parser by recursive descent.
    &[
        "scaling/formula/call",
        "scaling/formula/node",
        "scaling/formula/parse",
        "scaling/formula/parser",
    ],
    // An evaluation by recursive descent.
    &["scaling/formula/apply", "scaling/formula/evaluate"],
    // Steps of one thing, which use its types.
    &[
        "controller/resolve",
        "controller/resolve/authentication",
        "controller/resolve/environment",
    ],
    &["scaling/explain", "scaling/explain/sentences"],
];

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// The code of `src`, without tests and comments, by module.
fn sources() -> BTreeMap<Module, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let comments = Regex::new(r"//[^\n]*").unwrap();
    let sources = files.into_iter().filter_map(|file| {
        let path = file.strip_prefix(&root).unwrap().with_extension("");
        let words = path.iter().map(|w| w.to_str().unwrap().to_owned());
        let mut module: Module = words.collect();
        if module == ["main"] || module.iter().any(|w| w == "tests") {
            return None;
        }
        module.pop_if(|last| last == "mod" || last == "lib");
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        Some((module, comments.replace_all(code, "").into_owned()))
    });
    sources.collect()
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`; what is renamed has its own name.
fn expanded(tree: &str) -> Vec<Module> {
    let words = |text: &str| -> Module {
        let text = text.split(" as ").next().unwrap_or_default();
        let words = text.split("::").map(str::trim);
        words.filter(|w| !w.is_empty()).map(str::to_owned).collect()
    };
    let Some((prefix, rest)) = tree.trim().split_once('{') else {
        return vec![words(tree)];
    };
    let body = rest.trim_end().strip_suffix('}').unwrap();
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for letter in body.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if letter == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().unwrap().push(letter);
        }
    }
    let parts = parts.iter().filter(|p| !p.trim().is_empty());
    let all = parts.flat_map(|part| expanded(part));
    all.map(|path| [words(prefix), path].concat()).collect()
}

struct House {
    sources: BTreeMap<Module, String>,
    /// By module, what a name in it was imported from.
    imported: BTreeMap<Module, BTreeMap<String, Module>>,
}

impl House {
    fn read() -> Self {
        let sources = sources();
        let uses = uses();
        let of = |code: &String| {
            let trees = uses.captures_iter(code).map(|c| c[2].to_owned());
            let paths = trees.flat_map(|tree| expanded(&tree));
            paths
                .filter_map(|p| Some((p.last()?.clone(), p.clone())))
                .collect()
        };
        let imported = sources.iter().map(|(m, code)| (m.clone(), of(code)));
        Self {
            imported: imported.collect(),
            sources,
        }
    }

    /// The module whose file a path in `from` leads to; `None` where it leaves the crate.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut here = from.clone();
        let mut path = path;
        match path.first()?.as_str() {
            "crate" => {
                here.clear();
                path = &path[1..];
            }
            "self" => path = &path[1..],
            "super" => {
                while path.first().is_some_and(|w| w == "super") {
                    here.pop();
                    path = &path[1..];
                }
            }
            first => {
                let child = [from.as_slice(), &[first.to_owned()]].concat();
                let known = self.imported[from].contains_key(first);
                if !self.sources.contains_key(&child) && !known {
                    return None;
                }
            }
        }
        while let Some(word) = path.first() {
            let child = [here.as_slice(), std::slice::from_ref(word)].concat();
            if !self.sources.contains_key(&child) {
                break;
            }
            here = child;
            path = &path[1..];
        }
        // A name that a module hands on comes from where it was.
        let word = path.first().filter(|w| *w != "self" && *w != "*");
        let handed = word.and_then(|word| self.imported.get(&here)?.get(word));
        match handed.filter(|_| depth < 8) {
            Some(path) => self.resolve(&here, path, depth + 1).or(Some(here)),
            None => Some(here),
        }
    }

    /// From each module to those whose files it needs.
    fn edges(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let (uses, inline) = (uses(), Regex::new(r"\b(?:crate|super)(?:::\w+)+").unwrap());
        let edges = self.sources.iter().map(|(module, code)| {
            let private = uses.captures_iter(code).filter(|c| c.get(1).is_none());
            let mut paths: Vec<Module> = private.flat_map(|c| expanded(&c[2])).collect();
            let rest = uses.replace_all(code, "\n");
            paths.extend(inline.find_iter(&rest).flat_map(|m| expanded(m.as_str())));
            let to = paths
                .iter()
                .filter_map(|path| self.resolve(module, path, 0));
            let to = to.filter(|to| to != module).collect();
            (module.clone(), to)
        });
        edges.collect()
    }
}

fn uses() -> Regex {
    Regex::new(r"(?:^|\n)\s*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);").unwrap()
}

fn name(module: &Module) -> String {
    module.join("/")
}

/// Groups of modules that reach one another.
fn circles(edges: &BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<BTreeSet<String>> {
    let reached = |from: &Module| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = next.pop() {
            for to in edges.get(&module).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    next.push(to.clone());
                }
            }
        }
        seen
    };
    let all: BTreeMap<_, _> = edges.keys().map(|m| (m, reached(m))).collect();
    let circular = all.iter().filter(|(m, reached)| reached.contains(**m));
    let groups = circular.map(|(m, reached)| {
        let back = reached.iter().filter(|to| all[to].contains(*m));
        back.map(name).collect()
    });
    groups.collect()
}

#[test]
fn rooms_import_each_other_along_the_arrows_of_the_architecture_only() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in House::read().edges() {
        for to in to {
            if let (Some(from), Some(to)) = (from.first(), to.first())
                && from != to
            {
                found.entry(from.clone()).or_default().insert(to.clone());
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let block = text.split("```arrows\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    let told = block.lines().map(|line| {
        let (from, to) = line.split_once("->").unwrap();
        (from.trim().to_owned(), words(to))
    });
    let told: BTreeMap<String, BTreeSet<String>> = told.collect();
    assert_eq!(found, told, "left: src, right: ARCHITECTURE.md");
}

#[test]
fn no_two_files_import_each_other_but_where_one_thing_is_in_steps() {
    let allowed = CIRCLES.iter().map(|circle| {
        let names = circle.iter().map(|name| (*name).to_owned());
        names.collect()
    });
    let allowed: BTreeSet<BTreeSet<String>> = allowed.collect();
    assert_eq!(circles(&House::read().edges()), allowed);
}

/// Beginnings of a comment that hide the noun it is about.
const HIDDEN: [&str; 5] = ["What ", "Whoever ", "Who ", "Of ", "The same "];

#[test]
fn a_comment_begins_with_the_noun_it_is_about() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut files, mut found) = (Vec::new(), Vec::new());
    for dir in ["src", "tests", "benches", "fuzz/fuzz_targets"] {
        walk(&root.join(dir), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut goes_on = false;
        for (number, line) in (1..).zip(text.lines()) {
            let comment = line.trim_start().strip_prefix("//");
            let words = comment.map(|c| c.trim_start_matches(['/', '!']).trim_start());
            let begins = words.filter(|_| !goes_on);
            if begins.is_some_and(|words| HIDDEN.iter().any(|h| words.starts_with(h))) {
                found.push(format!("{}:{number}: {}", file.display(), line.trim()));
            }
            // A paragraph is one comment.
            goes_on = words.is_some_and(|words| !words.is_empty());
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
