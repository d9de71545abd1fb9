//! Flags by what they are about.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use clap::{Args, builder::FalseyValueParser};

use super::values::{Place, address, delay, hours, labels, lifetime, service_address};
use crate::controller::Labels;

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
    /// Use no ClusterTriggerAuthentication without an annotation lagscale.io/bootstrap-hosts.
    #[arg(long, env = "LAGSCALE_CLUSTER_AUTH_NEEDS_HOSTS", value_parser = FalseyValueParser::new())]
    pub cluster_auth_needs_hosts: bool,
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
    /// enforce-audience: a boundServiceAccountToken is asked for only where an audience is named for its account. legacy: for every
    /// account, without an audience, so that whoever it is shown to can use it at the API server.
    #[arg(long, default_value = "enforce-audience")]
    pub service_account_token_mode: String,
    /// The audiences of service accounts, a YAML or JSON list of audience, namespace and serviceAccountName.
    #[arg(
        long,
        env = "KEDA_SERVICE_ACCOUNT_TOKEN_AUDIENCES",
        default_value = "",
        hide_default_value = true
    )]
    pub service_account_token_audiences: String,
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

/// Flags about other servers of external metrics.
#[derive(Debug, Args)]
pub struct DelegationArgs {
    /// Other servers of external metrics, which are asked what is not lagscale's own: a YAML or JSON list of name, service, caBundle or
    /// insecureSkipTLSVerify, and match (selectorKey, namePrefix, namespaces). The first that matches is asked; after them whom the
    /// APIService led to before.
    #[arg(
        long,
        env = "LAGSCALE_BACKENDS",
        default_value = "",
        hide_default_value = true
    )]
    pub backends: String,
    /// The ServiceAccount, in the namespace it runs in, whose token they are shown.
    #[arg(
        long,
        env = "LAGSCALE_DELEGATE_SERVICE_ACCOUNT",
        default_value = "lagscale-delegate"
    )]
    pub delegate_service_account: String,
    /// Where their Services are, if cluster DNS does not say so: name.namespace=address, separated by commas.
    #[arg(
        long,
        env = "LAGSCALE_SERVICE_ADDRESSES",
        value_delimiter = ',',
        value_parser = service_address
    )]
    pub service_addresses: Vec<(String, IpAddr)>,
}

/// Flags about being asked by a KEDA.
#[derive(Debug, Args)]
pub struct ExternalScalerArgs {
    /// Address where a KEDA may ask as of an external scaler (gRPC over mutual TLS), for triggers of types external and external-push and for
    /// ScaledJobs; empty: nowhere.
    #[arg(
        long,
        env = "LAGSCALE_EXTERNAL_SCALER_LISTEN",
        default_value = "",
        hide_default_value = true,
        value_parser = address
    )]
    pub external_scaler_listen: Place,
    /// PEM file with the CA that KEDA's client certificate is of. Whoever has such a certificate may have any authentication used, so the CA should be
    /// made for this alone.
    #[arg(long, env = "LAGSCALE_EXTERNAL_SCALER_CLIENT_CA_FILE")]
    pub external_scaler_client_ca_file: Option<PathBuf>,
}

/// Flags about what is handled here. The environment names are KEDA's.
#[derive(Debug, Args)]
pub struct ScopeArgs {
    /// Take the namespaces to watch and how to log from the KedaController keda of the namespace it runs in, as an installation by the
    /// Operator Lifecycle Manager has it, and begin anew where that changes. What it does not set the flags do.
    #[arg(long, env = "LAGSCALE_KEDA_CONTROLLER", value_parser = FalseyValueParser::new())]
    pub keda_controller: bool,
    /// The namespaces to watch, with commas between; all where it is not set.
    #[arg(long, env = "WATCH_NAMESPACE")]
    pub namespace: Option<String>,
    /// The ScaledObjects that are handled here, by label, as several KEDA operators share a cluster; all where it is empty.
    #[arg(
        long,
        env = "WATCH_LABEL_SELECTOR",
        default_value = "",
        hide_default_value = true,
        value_parser = |text: &str| labels("WATCH_LABEL_SELECTOR", text)
    )]
    pub watch_label_selector: Labels,
    /// The authentications that they may refer to, by label; all where it is empty.
    #[arg(
        long,
        env = "WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH",
        default_value = "",
        hide_default_value = true,
        value_parser = |text: &str| labels("WATCH_LABEL_SELECTOR_FOR_TRIGGERAUTH", text)
    )]
    pub watch_label_selector_for_triggerauth: Labels,
}

/// Flags about leadership. The environment names are KEDA's.
#[derive(Debug, Args)]
pub struct ElectionArgs {
    /// Name of the Lease, in the namespace it runs in, whose holder writes.
    #[arg(long, env = "LAGSCALE_LEADER_ELECTION_ID", default_value = "lagscale")]
    pub leader_election_id: String,
    /// Name of this replica in the Lease; the host's name where it is not set.
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
    /// The namespaces of a KEDA operator beside which nothing is written; where they are not set: keda, openshift-keda, and what KEDA's
    /// CRDs and webhooks say.
    #[arg(long, env = "LAGSCALE_KEDA_NAMESPACE", value_delimiter = ',')]
    pub keda_namespace: Vec<String>,
    /// Name of that operator's Lease; where it is not set: what its Deployment says, or operator.keda.sh.
    #[arg(long, env = "LAGSCALE_KEDA_LEASE")]
    pub keda_lease: Option<String>,
    /// Write although a KEDA operator is alive: two controllers on the same objects.
    #[arg(long, env = "LAGSCALE_WRITE_BESIDE_KEDA", value_parser = FalseyValueParser::new())]
    pub write_beside_keda: bool,
    /// Write nothing and answer no HPA: poll, evaluate and explain every object, and hold what lagscale would say against what its HPA was
    /// told by the server that is there. `lagscale check --shadow` shows it.
    #[arg(
        long,
        env = "LAGSCALE_SHADOW",
        value_parser = FalseyValueParser::new(),
        conflicts_with_all = ["write_beside_keda", "take_apiservice"]
    )]
    pub shadow: bool,
}
