//! Logs on stderr, as text or JSON.

use tracing_subscriber::{EnvFilter, fmt};

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Console,
    /// For machines, one object a line.
    Json,
}

/// Begins to log. `filter` is a level or a `tracing` directive; one that does not parse means `info`.
pub fn init(filter: &str, format: Format) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        Format::Console => builder.with_ansi(false).init(),
        Format::Json => builder.json().init(),
    }
}
