//! The commands of the binary besides running: looking at groups and records from a terminal, saying why, checking, and printing what
//! an installation needs.

mod answers;
mod brokers;
mod certs;
mod check;
mod explain;
mod lag;
mod peek;
mod properties;
mod top;

use std::{error::Error, fmt::Write as _, io::Write as _, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

pub use brokers::ClusterArgs;
pub use certs::{CertsArgs, certs};
pub use check::{CheckArgs, check};
pub use explain::{ExplainArgs, explain};
pub use lag::{LagArgs, lag};
pub use peek::{PeekArgs, peek};
pub use properties::Properties;
pub use top::{TopArgs, top};

use crate::{api_client, text};

/// Whether all is well; an error is neither yes nor no.
pub type Done = Result<bool, Box<dyn Error>>;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For scripts.
    Json,
}

/// A client of the cluster that the kubeconfig leads to; it does not wait for ever.
async fn cluster() -> Result<kube::Client, String> {
    let none = |e: &dyn Error| {
        format!("no cluster: neither KUBECONFIG nor a service account leads to one: {e}")
    };
    let mut config = kube::Config::infer().await.map_err(|e| none(&e))?;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.read_timeout = Some(Duration::from_secs(15));
    // A person waits: an answer such as 503 is told, and not asked for again and again.
    config.default_retry = false;
    api_client::client(config).map_err(|e| none(&e))
}

/// Writes to standard output, without what would move a terminal's cursor: names and keys of records are anybody's. Whoever
/// listened and has heard enough, as `head` does, is no error.
fn say(text: &str) -> std::io::Result<()> {
    let text = text::shown(text, usize::MAX);
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result,
    }
}

/// The output for scripts.
fn json(value: &(impl Serialize + ?Sized)) -> Result<String, String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    Ok(text::in_json(&text) + "\n")
}

/// Prints the custom resource definitions as YAML.
pub fn crds() -> Done {
    let yaml = crate::resources::crds()?;
    say(&yaml)?;
    Ok(true)
}

/// A group of the API that lagscale serves, and that nobody answers for.
fn unanswered(group: &str, said: &str) -> String {
    format!("nobody answers for {group}: {said}; `lagscale check` says more")
}

/// Columns as wide as their widest cell, two blanks apart.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
