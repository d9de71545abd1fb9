//! Every flag, its default and its environment name.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, builder::FalseyValueParser};

use crate::{
    cli,
    telemetry::{Format, Names, Times, level},
};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

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
    /// Of the run.
    #[command(flatten)]
    pub run: RunArgs,
}

/// What else it can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What consumer groups have yet to do, partition by partition. Needs no Kubernetes.
    Lag(cli::LagArgs),
    /// The record that a consumer group stands before on a partition. Needs no Kubernetes.
    Peek(cli::PeekArgs),
    /// Whether the installation works, one line each, with what to do where it does not.
    Check(cli::CheckArgs),
    /// Why a ScaledObject has the replicas it has, and what would change that.
    Explain(cli::ExplainArgs),
    /// Print the custom resource definitions, generated from the types, as YAML.
    #[command(visible_alias = "crds")]
    Crd,
    /// Write a CA and a serving certificate for the API server's Service.
    Certs(CertsArgs),
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
    /// Address of /metrics and of health over plain HTTP.
    #[arg(long, env = "LAGSCALE_METRICS_LISTEN", default_value = "0.0.0.0:8080")]
    pub metrics_listen: SocketAddr,
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
    /// The serving certificate.
    #[command(flatten)]
    pub serving: ServingArgs,
    /// The one namespace to watch; all where it is not set.
    #[arg(long, env = "WATCH_NAMESPACE")]
    pub namespace: Option<String>,
    /// Where its credentials may come from.
    #[command(flatten)]
    pub credentials: CredentialArgs,
    /// Which replica writes.
    #[command(flatten)]
    pub election: ElectionArgs,
    /// The HPA controller's --horizontal-pod-autoscaler-tolerance: what an HPA without a tolerance of its own has.
    #[arg(long, env = "LAGSCALE_HPA_TOLERANCE", default_value = "0.1", value_parser = tolerance)]
    pub hpa_tolerance: Tolerance,
    /// Seconds without a reading after which a value is withheld, 10 (two sample intervals) to 3600.
    #[arg(long, env = "LAGSCALE_MAX_SAMPLE_AGE", default_value = "20", value_parser = seconds)]
    pub max_sample_age: Duration,
    /// How long it serves on after SIGTERM, no longer ready, until the endpoints that lead here are gone; with ten seconds for
    /// what is under way then it has to fit into the pod's terminationGracePeriodSeconds. SIGINT, or a second signal, does
    /// not wait.
    #[arg(long, env = "LAGSCALE_SHUTDOWN_DELAY", default_value = "10s", value_parser = delay)]
    pub shutdown_delay: Duration,
    /// What to log: a level, or directives such as lagscale=debug.
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
    /// What to log, as KEDA's flag has it: debug, info, error, panic or a number. It goes before --log.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub zap_log_level: Option<String>,
    /// How the time of a log line looks.
    #[arg(long, value_enum, default_value = "rfc3339nano")]
    pub zap_time_encoding: Times,
}

/// Flags about credentials.
#[derive(Debug, Args)]
pub struct CredentialArgs {
    /// The namespace it runs in; the service account's where it is not set.
    #[arg(long, env = "POD_NAMESPACE")]
    pub pod_namespace: Option<String>,
    /// Where a ClusterTriggerAuthentication's references are looked for; the namespace it runs in where it is not set.
    #[arg(long, env = "KEDA_CLUSTER_OBJECT_NAMESPACE")]
    pub cluster_object_namespace: Option<String>,
    /// Read Secrets of the cluster object namespace only.
    #[arg(long, env = "KEDA_RESTRICT_SECRET_ACCESS", value_parser = FalseyValueParser::new())]
    pub restrict_secret_access: bool,
    /// The folder below which a filePath of a ClusterTriggerAuthentication leads; there is none where it is not set.
    #[arg(long, env = "LAGSCALE_FILEPATH_AUTH_ROOT_PATH")]
    pub filepath_auth_root_path: Option<PathBuf>,
    /// For how long a boundServiceAccountToken is asked for, 1h to 6h.
    #[arg(
        long,
        env = "KEDA_BOUND_SERVICE_ACCOUNT_TOKEN_EXPIRY",
        default_value = "1h",
        value_parser = hours
    )]
    pub bound_service_account_token_expiry: Duration,
}

/// Flags about the serving certificate, and about what leads here.
#[derive(Debug, Args)]
pub struct ServingArgs {
    /// PEM file with the serving certificate and its intermediates, which somebody else renews. Without it the leader makes
    /// and renews one of its own.
    #[arg(
        long,
        env = "LAGSCALE_TLS_CERT_FILE",
        requires = "tls_private_key_file"
    )]
    pub tls_cert_file: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(
        long,
        env = "LAGSCALE_TLS_PRIVATE_KEY_FILE",
        requires = "tls_cert_file"
    )]
    pub tls_private_key_file: Option<PathBuf>,
    /// Name of the Secret, in the namespace it runs in, that keeps the certificate which it makes itself.
    #[arg(
        long,
        env = "LAGSCALE_CERT_SECRET_NAME",
        default_value = "lagscale-serving"
    )]
    pub cert_secret_name: String,
    /// How long a CA of its own lasts; it is replaced when a third of that is left.
    #[arg(long, env = "LAGSCALE_CA_LIFETIME", default_value = "17520h", value_parser = lifetime)]
    pub ca_lifetime: Duration,
    /// How long a serving certificate of its own lasts; it is replaced when a third of that is left.
    #[arg(long, env = "LAGSCALE_CERT_LIFETIME", default_value = "2160h", value_parser = lifetime)]
    pub cert_lifetime: Duration,
    /// For how long a new CA is trusted before it is used, and the one before afterwards.
    #[arg(long, env = "LAGSCALE_CERT_OVERLAP", default_value = "1m", value_parser = delay)]
    pub cert_overlap: Duration,
    /// Name of its Service, in the namespace it runs in.
    #[arg(long, env = "LAGSCALE_SERVICE_NAME", default_value = "lagscale")]
    pub service_name: String,
    /// The Service's port.
    #[arg(long, env = "LAGSCALE_SERVICE_PORT", default_value_t = 443)]
    pub service_port: u16,
    /// Name of the ValidatingWebhookConfiguration that is told whom to trust.
    #[arg(
        long,
        env = "LAGSCALE_WEBHOOK_CONFIGURATION",
        default_value = "lagscale-admission"
    )]
    pub webhook_configuration: String,
    /// Take over the APIService v1beta1.external.metrics.k8s.io from whoever serves it.
    #[arg(long, env = "LAGSCALE_TAKE_APISERVICE", value_parser = FalseyValueParser::new())]
    pub take_apiservice: bool,
}

/// Flags about leadership. The environment names are KEDA's.
#[derive(Debug, Args)]
pub struct ElectionArgs {
    /// Name of the Lease, in the namespace it runs in, whose holder writes.
    #[arg(long, env = "LAGSCALE_LEADER_ELECTION_ID", default_value = "lagscale")]
    pub leader_election_id: String,
    /// What this replica is called in the Lease; the host's name where it is not set.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    /// For how long nobody else takes a Lease that is not renewed, 1s to 10m; longer than the renew deadline.
    #[arg(
        long,
        env = "KEDA_OPERATOR_LEADER_ELECTION_LEASE_DURATION",
        default_value = "15s",
        value_parser = delay
    )]
    pub leader_election_lease_duration: Duration,
    /// For how long the leader writes without a renewal; longer than the retry period.
    #[arg(
        long,
        env = "KEDA_OPERATOR_LEADER_ELECTION_RENEW_DEADLINE",
        default_value = "10s",
        value_parser = delay
    )]
    pub leader_election_renew_deadline: Duration,
    /// Between two tries to take or renew the Lease.
    #[arg(
        long,
        env = "KEDA_OPERATOR_LEADER_ELECTION_RETRY_PERIOD",
        default_value = "2s",
        value_parser = delay
    )]
    pub leader_election_retry_period: Duration,
    /// Write although a KEDA operator holds the Lease operator.keda.sh: two controllers on the same objects.
    #[arg(long, env = "LAGSCALE_WRITE_BESIDE_KEDA", value_parser = FalseyValueParser::new())]
    pub write_beside_keda: bool,
}

/// Flags of `certs`.
#[derive(Debug, Args)]
pub struct CertsArgs {
    /// Folder to write to.
    #[arg(long, default_value = "certs")]
    pub directory: PathBuf,
    /// Namespace of the Service.
    #[arg(long, default_value = "lagscale")]
    pub namespace: String,
    /// Name of the Service.
    #[arg(long, default_value = "lagscale")]
    pub service: String,
    /// Write anew over what is there.
    #[arg(long)]
    pub force: bool,
}

/// A tolerance in thousandths, 0 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance(pub i64);

fn tolerance(text: &str) -> Result<Tolerance, String> {
    let milli = crate::quantity::parse_milli(text).map_err(|e| e.to_string())?;
    if !(0..1000).contains(&milli) {
        return Err("expected a number from 0 to 0.999".into());
    }
    Ok(Tolerance(milli))
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 10..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected whole seconds, 10 to 3600".into()),
    }
}

fn delay(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::SignedDuration>().ok();
    match span.and_then(|span| Duration::try_from(span).ok()) {
        Some(span) if span <= Duration::from_secs(600) => Ok(span),
        _ => Err("expected a duration such as 10s, 0s to 10m".into()),
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::SignedDuration>().ok();
    match span.and_then(|span| Duration::try_from(span).ok()) {
        Some(span) if (Duration::from_secs(10)..=20 * YEAR).contains(&span) => Ok(span),
        _ => Err("expected a duration such as 2160h, 10s to 175200h".into()),
    }
}

fn hours(text: &str) -> Result<Duration, String> {
    let hour = Duration::from_secs(3600);
    if text.is_empty() {
        return Ok(hour);
    }
    let span = text.parse::<jiff::SignedDuration>().ok();
    match span.and_then(|span| Duration::try_from(span).ok()) {
        Some(span) if (hour..=6 * hour).contains(&span) => Ok(span),
        _ => Err("expected a duration such as 1h30m, 1h to 6h".into()),
    }
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
        ] {
            let error = Cli::try_parse_from(["lagscale", flag])
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
