//! Every flag, its default and its environment name.

mod parts;
mod values;

use std::{net::SocketAddr, time::Duration};

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand, builder::FalseyValueParser};

use crate::{
    cli,
    telemetry::{Format, Names, Times, level},
};

pub use parts::{
    CredentialArgs, DelegationArgs, ElectionArgs, ExternalScalerArgs, ScopeArgs, ServingArgs,
};
pub use values::{Place, Tolerance};
use values::{address, delay, enabled, loopback, seconds, tolerance};

/// Scales Kafka consumers on Kubernetes by consumer-group lag, and serves external.metrics.k8s.io.
///
/// Without a command it runs: as a controller of ScaledObjects and LagMetrics, and as the API server that HPAs ask. The commands
/// are for people: they look at Kafka or at a cluster, and change nothing.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// Without one: run.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Flags of a run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// Other commands than running the server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lag of consumer groups, partition by partition. Needs no Kubernetes.
    Lag(cli::LagArgs),
    /// The record that a consumer group stands before on a partition. Needs no Kubernetes.
    Peek(cli::PeekArgs),
    /// Whether the installation works, one line each, with what to do where it does not.
    Check(cli::CheckArgs),
    /// Why a ScaledObject has the replicas it has, and what would change that.
    Explain(cli::ExplainArgs),
    /// Every ScaledObject on one screen: what its HPA is told, its replicas, and what is the matter.
    Top(cli::TopArgs),
    /// Print the custom resource definitions, generated from the types, as YAML.
    #[command(visible_alias = "crds")]
    Crd,
    /// Write a CA and a serving certificate for the API server's Service.
    Certs(cli::CertsArgs),
    /// Print what a shell reads to complete commands and flags.
    Completions(CompletionsArgs),
}

/// Flags of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Flags of a run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Address of the external metrics API (HTTPS).
    #[arg(long, env = "LAGSCALE_LISTEN", default_value = "0.0.0.0:6443")]
    pub listen: SocketAddr,
    /// Address of /metrics and of health over plain HTTP; empty: neither, /metrics and probes are asked for at --listen.
    #[arg(long, env = "LAGSCALE_METRICS_LISTEN", default_value = "0.0.0.0:8080", value_parser = address)]
    pub metrics_listen: Place,
    /// Series for each partition in /metrics too; by default there is one for each topic of a group.
    #[arg(long, env = "LAGSCALE_METRICS_PER_PARTITION", value_parser = FalseyValueParser::new())]
    pub metrics_per_partition: bool,
    /// Metric names of others in /metrics too, so that their dashboards and alerts go on.
    #[arg(
        long,
        env = "LAGSCALE_METRICS_NAMES",
        value_delimiter = ',',
        value_enum
    )]
    pub metrics_names: Vec<Names>,
    /// Loopback address of the status page, a page for browsers that shows every object; empty: none.
    #[arg(long, env = "LAGSCALE_STATUS_PAGE_LISTEN", default_value = "", hide_default_value = true, value_parser = loopback)]
    pub status_page_listen: Place,
    /// The serving certificate.
    #[command(flatten)]
    pub serving: ServingArgs,
    /// The objects that are handled here.
    #[command(flatten)]
    pub scope: ScopeArgs,
    /// Warnings at apply about metadata that no trigger reads: enabled or disabled.
    #[arg(
        long,
        env = "KEDA_CHECK_UNEXPECTED_SCALERS_PARAMS",
        default_value = "enabled",
        value_parser = enabled,
        action = ArgAction::Set
    )]
    pub check_unexpected_scalers_params: bool,
    /// Where its credentials may come from.
    #[command(flatten)]
    pub credentials: CredentialArgs,
    /// Which replica writes.
    #[command(flatten)]
    pub election: ElectionArgs,
    /// Other servers, for what is not its own.
    #[command(flatten)]
    pub delegation: DelegationArgs,
    /// A KEDA that asks.
    #[command(flatten)]
    pub external_scaler: ExternalScalerArgs,
    /// The HPA controller's --horizontal-pod-autoscaler-tolerance: what an HPA without a tolerance of its own has.
    #[arg(long, env = "LAGSCALE_HPA_TOLERANCE", default_value = "0.1", value_parser = tolerance)]
    pub hpa_tolerance: Tolerance,
    /// Seconds without a reading after which a value is withheld, 10 (two sample intervals) to 3600.
    #[arg(long, env = "LAGSCALE_MAX_SAMPLE_AGE", default_value = "20", value_parser = seconds)]
    pub max_sample_age: Duration,
    /// Ready=False, TriggerError in an outage too, from the moment a value is withheld. Without it an outage, which passes by itself, is told by
    /// the conditions KafkaReachable and HPAActive, and Ready says what a person has to change.
    #[arg(long, env = "LAGSCALE_READY_FOLLOWS_OUTAGES", value_parser = FalseyValueParser::new())]
    pub ready_follows_outages: bool,
    /// How long it serves on after SIGTERM, no longer ready, until the endpoints that lead here are gone; with ten seconds for
    /// what is under way then it has to fit into the pod's terminationGracePeriodSeconds. SIGINT, or a second signal, does
    /// not wait.
    #[arg(long, env = "LAGSCALE_SHUTDOWN_DELAY", default_value = "10s", value_parser = delay)]
    pub shutdown_delay: Duration,
    /// Log lines to write: a level, or directives such as lagscale=debug.
    #[arg(
        long,
        env = "LAGSCALE_LOG",
        default_value = "info,kube_client=warn,kube_runtime=warn"
    )]
    pub log: String,
    /// How log lines look.
    #[arg(
        long,
        env = "LAGSCALE_LOG_FORMAT",
        value_enum,
        visible_alias = "zap-encoder",
        default_value = "console"
    )]
    pub log_format: Format,
    /// Log lines to write, as KEDA's flag has it: debug, info, error, panic or a number. It goes before --log.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub zap_log_level: Option<String>,
    /// How the time of a log line looks.
    #[arg(long, value_enum, default_value = "rfc3339nano")]
    pub zap_time_encoding: Times,
}

/// Prints what a shell reads to complete commands and flags.
pub fn completions(args: &CompletionsArgs) {
    let (mut command, mut out) = (Cli::command(), std::io::stdout());
    clap_complete::generate(args.shell, &mut command, "lagscale", &mut out);
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{Cli, Tolerance};

    #[test]
    fn the_flags_make_sense_to_clap() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_number_out_of_range_is_refused_with_the_range() {
        let cli = Cli::try_parse_from(["lagscale", "--hpa-tolerance=0.2"]).unwrap();
        assert_eq!(cli.run.hpa_tolerance, Tolerance(200));
        let flag = "--bound-service-account-token-expiry=1h30m";
        let cli = Cli::try_parse_from(["lagscale", flag]).unwrap();
        let expiry = cli.run.credentials.bound_service_account_token_expiry;
        assert_eq!(expiry.as_secs(), 5400);
        for (flag, said) in [
            ("--hpa-tolerance=1", "0 to 0.999"),
            ("--hpa-tolerance=x", "quantities must match"),
            ("--max-sample-age=9", "10 to 3600"),
            ("--shutdown-delay=11m", "0s to 10m"),
            ("--bound-service-account-token-expiry=59m", "1h to 6h"),
            ("--bound-service-account-token-expiry=-2h", "1h to 6h"),
            (
                "--watch-label-selector=!",
                "failed to parse WATCH_LABEL_SELECTOR",
            ),
            ("--service-addresses=a=127.0.0.1", "name and namespace"),
            ("--service-addresses=a.b=c", "name.namespace=IP address"),
            (
                "--watch-label-selector-for-triggerauth=a in (",
                "failed to parse WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH: invalid WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH \"a in (\"",
            ),
        ] {
            let error = Cli::try_parse_from(["lagscale", flag])
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
