//! The commands of the binary besides running: looking at groups and records from a terminal, saying why, checking, and printing what
//! an installation needs.

mod answers;
mod brokers;
mod certs;
mod check;
mod explain;
mod lag;
mod output;
mod peek;
mod properties;
mod top;

use std::{error::Error, io::Write as _, time::Duration};

pub use brokers::ClusterArgs;
pub use certs::{CertsArgs, certs};
pub use check::{CheckArgs, check};
pub use explain::{ExplainArgs, explain};
pub use lag::{LagArgs, lag};
pub use output::Output;
pub use peek::{PeekArgs, peek};
pub use properties::Properties;
pub use top::{TopArgs, top};

use crate::{api_client, text};

/// Whether all is well; an error is neither yes nor no.
pub type Done = Result<bool, Box<dyn Error>>;

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
