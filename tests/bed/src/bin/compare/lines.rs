//! The lines of target/compare.json: each is written as soon as it is measured, so that an hour may end early or be measured in parts.

use std::{fs, path::PathBuf};

use serde_json::Value;

/// The lines of a run, in the order of the page.
pub struct Lines {
    path: PathBuf,
    all: Vec<Value>,
}

impl Lines {
    /// None so far.
    pub const fn new(path: PathBuf) -> Self {
        let all = Vec::new();
        Self { path, all }
    }

    /// The lines of the last run.
    pub fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("target/compare.json of a run");
        let lines = text.lines().map(serde_json::from_str);
        let all = lines.collect::<Result<_, _>>().expect("a line each");
        Self { path, all }
    }

    /// Adds a line in the place of one of the same side, size and kind, and writes the file.
    pub fn push(&mut self, line: Value) {
        self.all.retain(|other| place(other) != place(&line));
        self.all.push(line);
        self.all.sort_by_key(place);
        let lines = self.all.iter().map(|line| format!("{line}\n"));
        fs::write(&self.path, lines.collect::<String>()).expect("target/compare.json");
    }

    /// All of them.
    pub fn all(&self) -> &[Value] {
        &self.all
    }
}

/// The place of a line: KEDA first, then by brokers and objects; the story has neither.
fn place(line: &Value) -> (bool, String, u64, u64, u64) {
    let number = |key: &str| line[key].as_u64().unwrap_or(0);
    (
        line["side"] == "lagscale",
        line["version"].as_str().unwrap_or_default().to_owned(),
        number("kube_api_qps"),
        number("brokers"),
        number("objects"),
    )
}
