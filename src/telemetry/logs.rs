//! Logs on stderr, as text or JSON, with the levels, encodings and times that KEDA's `--zap-*` flags name.

use std::fmt;

use clap::ValueEnum;
use tracing_subscriber::{
    EnvFilter,
    fmt::{fmt as logging, format::Writer, time::FormatTime},
};

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Console,
    /// For machines, one object a line.
    Json,
}

/// How its time looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Times {
    /// Seconds since 1970, with a fraction.
    Epoch,
    /// Milliseconds since 1970.
    Millis,
    /// Nanoseconds since 1970.
    Nano,
    /// To the millisecond.
    Iso8601,
    /// To the second.
    Rfc3339,
    /// To the nanosecond.
    Rfc3339nano,
}

impl FormatTime for Times {
    #[allow(
        clippy::cast_precision_loss,
        reason = "seconds with a fraction are a float"
    )]
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let now = jiff::Timestamp::now();
        match self {
            Self::Epoch => write!(w, "{:.6}", now.as_microsecond() as f64 / 1e6),
            Self::Millis => write!(w, "{}", now.as_millisecond()),
            Self::Nano => write!(w, "{}", now.as_nanosecond()),
            Self::Iso8601 => write!(w, "{now:.3}"),
            Self::Rfc3339 => write!(w, "{now:.0}"),
            Self::Rfc3339nano => write!(w, "{now:.9}"),
        }
    }
}

/// A level of `--zap-log-level` as directives: a name, or a number from 1 on for ever more detail.
pub fn level(zap: &str) -> Result<String, String> {
    let own = match zap {
        "debug" | "1" => "debug",
        "info" | "0" => "info",
        "error" | "panic" => "error",
        number if number.parse::<u8>().is_ok() => "trace",
        _ => return Err("expected debug, info, error, panic or a number".into()),
    };
    Ok(format!(
        "{own},kube_client=warn,kube_runtime=warn,hyper=warn,h2=warn,rustls=warn"
    ))
}

/// Begins to log. `filter` is a level or `tracing` directives; one that does not parse means `info`.
pub fn init(filter: &str, format: Format, times: Times) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = logging()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(times);
    match format {
        Format::Console => builder.with_ansi(false).init(),
        Format::Json => builder.json().init(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_of_zap_is_one_of_ours_and_libraries_stay_quiet() {
        for (zap, own) in [
            ("debug", "debug,"),
            ("1", "debug,"),
            ("0", "info,"),
            ("5", "trace,"),
            ("error", "error,"),
        ] {
            let found = level(zap).unwrap();
            assert!(
                found.starts_with(own) && found.contains("kube_client=warn"),
                "{found}"
            );
        }
        assert!(level("loud").unwrap_err().contains("expected debug"));
    }

    #[test]
    fn a_time_is_written_as_its_name_says() {
        let written = |times: Times| {
            let mut text = String::new();
            times.format_time(&mut Writer::new(&mut text)).unwrap();
            text
        };
        assert_eq!(written(Times::Millis).len(), 13);
        assert_eq!(written(Times::Nano).len(), 19);
        assert_eq!(
            written(Times::Epoch)
                .split('.')
                .map(str::len)
                .collect::<Vec<_>>(),
            [10, 6]
        );
        assert_eq!(written(Times::Rfc3339).len(), "2026-01-01T00:00:00Z".len());
        assert_eq!(
            written(Times::Iso8601).len(),
            "2026-01-01T00:00:00.000Z".len()
        );
        assert_eq!(
            written(Times::Rfc3339nano).len(),
            "2026-01-01T00:00:00.000000000Z".len()
        );
    }
}
