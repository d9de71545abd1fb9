//! The one place that wires the rooms together, and shuts them down.

use std::{error::Error, sync::Arc, time::Duration};

use futures::future::OptionFuture;
use kube::{Client, Config};
use prometheus::{IntGauge, Registry};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};

use crate::{
    api_client,
    args::{CredentialArgs, ElectionArgs, RunArgs, ServingArgs},
    certificates::{self, Keeping, Registration, Spans},
    controller::{
        self, Controller, CredentialRules, ElectionRules, KedaRules, Lead, Leading, Terms,
        TokenPolicy,
    },
    descriptors,
    kafka::Budgets,
    poll::Timing,
    pulse::Pulse,
    scaling::{Settings, table::Table},
    server::{self, Limits, Server, Source, plain, webhooks::Neighbours},
    telemetry::{self, Collector, Compatible, Counts, Exposition, Samples},
};

/// Runs until SIGTERM or SIGINT; an error says which part could not begin.
pub fn run(args: RunArgs) -> Result<(), Box<dyn Error>> {
    let log = args.zap_log_level.as_ref().unwrap_or(&args.log);
    telemetry::init(log, args.log_format, args.zap_time_encoding);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(wired(args));
    // Dials in progress are not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

async fn wired(args: RunArgs) -> Result<(), Box<dyn Error>> {
    let descriptors = descriptors::raise();
    let config = Config::infer().await.map_err(|e| {
        format!("no cluster: neither KUBECONFIG nor a service account leads to one: {e}")
    })?;
    let client = api_client::client(config.clone())?;
    // A connection of its own: reviews of strangers must not hold up the Lease.
    let asking = api_client::client(config)?;
    let (stop, stopping) = watch::channel(false);
    let (end, ending) = watch::channel(false);
    let (ready, polled) = watch::channel(false);
    let pulse = Pulse::default();
    let namespace = own_namespace(&args.credentials);
    let election = election(args.election, namespace.clone())?;
    // A policy that is refused ends the process before it stands for anything.
    let rules = rules(args.namespace, args.credentials)?;
    let (lead, handing_over) =
        controller::stand(&client, election, pulse.clone(), stopping.clone());
    let table = Arc::new(Table::default());
    let samples = Arc::new(Samples::default());
    let registry = Registry::new();
    let mut exposition = Exposition::new(registry.clone());
    exposition.add(Collector::new(samples.clone(), args.metrics_per_partition));
    for names in args.metrics_names {
        exposition.add(Compatible::new(samples.clone(), names));
    }
    registry.register(Box::new(
        prometheus::process_collector::ProcessCollector::for_self(),
    ))?;
    registry.register(Box::new(Leading::new(lead.clone(), pulse.clone())?))?;
    let controller = Controller::new(controller::Parts {
        client: client.clone(),
        rules,
        settings: Settings {
            max_sample_age: args.max_sample_age,
            tolerance_milli: args.hpa_tolerance.0,
        },
        timing: Timing::default(),
        budgets: Budgets::with_lanes(descriptors / 2),
        lead: lead.clone(),
        table: table.clone(),
        samples,
        counts: Counts::new(&registry)?,
        pulse: pulse.clone(),
        ready,
    });
    let (objects, hpas) = controller.stores();
    let questions = controller.questions();
    let (told_path, secret_path) = watch::channel(None);
    let source = serving(
        &client,
        args.serving,
        namespace,
        &lead,
        (&registry, told_path),
    )?;
    let parts = server::Parts {
        table,
        client: asking,
        neighbours: Neighbours {
            objects,
            hpas,
            warns_of_unmatched: args.check_unexpected_scalers_params,
        },
        secret_path,
        questions,
        pulse,
        // An engine that stood still for so long serves nothing of before.
        longest_turn: args.max_sample_age / 2,
        polled,
        stopping,
        ending: ending.clone(),
        limits: Limits::default().within(descriptors / 4),
    };
    let server = Server::bind(args.listen, source, parts, exposition).await?;
    tracing::info!(api = %server.local_addr()?, "listening");
    let plain = match args.metrics_listen.0 {
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|e| format!("--metrics-listen={address}: {e}"))?;
            tracing::info!(metrics = %listener.local_addr()?, "listening");
            let (metrics, readiness) = (server.metrics(), server.readiness());
            Some(plain(listener, metrics, readiness, ending.clone()))
        }
        None => None,
    };
    let plain = tokio::spawn(OptionFuture::from(plain));
    let controlling = tokio::spawn(controller.run(ending));
    let serving = on_a_thread_of_its_own(server)?;
    let delay = told_to_end(args.shutdown_delay).await?;
    tracing::info!(?delay, "told to end");
    stop.send_replace(true);
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        told = told_to_end(Duration::ZERO) => drop(told?),
    }
    end.send_replace(true);
    let _ = tokio::join!(controlling, serving, plain, handing_over);
    Ok(())
}

/// Serves the API on one thread, whatever the engine and the polls have to do meanwhile.
fn on_a_thread_of_its_own(server: Server) -> std::io::Result<oneshot::Receiver<()>> {
    let (done, serving) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("api".to_owned())
        .spawn(move || {
            runtime.block_on(server.serve());
            let _ = done.send(());
        })?;
    Ok(serving)
}

/// Where the kubelet tells a pod its namespace.
const NAMESPACE_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Where credentials may come from. An empty value of a flag is none: charts set the environment either way.
fn rules(namespace: Option<String>, args: CredentialArgs) -> Result<CredentialRules, String> {
    let own = own_namespace(&args);
    let (mode, audiences) = (
        &args.service_account_token_mode,
        &args.service_account_token_audiences,
    );
    let tokens = TokenPolicy::new(mode, audiences)
        .map_err(|error| format!("invalid service account token policy: {error}"))?;
    if mode == "legacy" {
        tracing::warn!(
            "--service-account-token-mode=legacy: tokens of service accounts have no audience, and are good for the API server too"
        );
    }
    Ok(CredentialRules {
        namespace: set(namespace),
        cluster_namespace: set(args.cluster_object_namespace).unwrap_or(own),
        restricted: args.restrict_secret_access,
        cluster_needs_hosts: args.cluster_auth_needs_hosts,
        files: args.filepath_auth_root_path,
        token_life: args.bound_service_account_token_expiry,
        tokens,
    })
}

fn set(value: Option<String>) -> Option<String> {
    value.filter(|v| !v.is_empty())
}

/// The namespace it runs in.
fn own_namespace(args: &CredentialArgs) -> String {
    let told = || std::fs::read_to_string(NAMESPACE_FILE).ok();
    set(args.pod_namespace.clone())
        .or_else(|| set(told().map(|n| n.trim().to_owned())))
        .unwrap_or_else(|| "lagscale".to_owned())
}

/// Where the serving certificate comes from. One of its own is kept by the leader and loaded by every replica.
fn serving(
    client: &Client,
    args: ServingArgs,
    namespace: String,
    lead: &Lead,
    (registry, path): (&Registry, watch::Sender<Option<Arc<str>>>),
) -> Result<Source, prometheus::Error> {
    if let Some((certificate, key)) = args.tls_cert_file.zip(args.tls_private_key_file) {
        return Ok(Source::Files { certificate, key });
    }
    let (told, pairs) = watch::channel(None);
    let secret = args.cert_secret_name;
    tokio::spawn(certificates::load(
        client.clone(),
        namespace.clone(),
        secret.clone(),
        told,
        path,
    ));
    let keeping = Keeping {
        secret,
        registration: Registration {
            namespace,
            service: args.service_name,
            port: args.service_port.into(),
            webhooks: args.webhook_configuration,
            take: args.take_apiservice,
        },
        spans: Spans {
            authority: args.ca_lifetime,
            leaf: args.cert_lifetime.min(args.ca_lifetime),
            overlap: args.cert_overlap,
        },
    };
    let registered = IntGauge::new(
        "lagscale_registered",
        "1 where this replica is the leader and the APIService leads to its Service and trusts its CA.",
    )?;
    registry.register(Box::new(registered.clone()))?;
    tokio::spawn(certificates::keep(
        client.clone(),
        keeping,
        lead.clone(),
        registered,
    ));
    Ok(Source::Told(pairs))
}

/// Which replica writes. No two processes have one identity, whatever they are called.
fn election(args: ElectionArgs, namespace: String) -> Result<ElectionRules, String> {
    let terms = Terms {
        lease: args.leader_election_lease_duration,
        renew: args.leader_election_renew_deadline,
        retry: args.leader_election_retry_period,
    };
    let second = Duration::from_secs(1);
    if terms.lease < second || terms.lease <= terms.renew || terms.renew <= terms.retry {
        return Err(format!(
            "--leader-election-lease-duration={:?} must be at least a second and longer than --leader-election-renew-deadline={:?}, and that longer than --leader-election-retry-period={:?}",
            terms.lease, terms.renew, terms.retry
        ));
    }
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = set(args.pod_name).or_else(|| set(host().map(|h| h.trim().to_owned())));
    let name = name.unwrap_or_else(|| "lagscale".to_owned());
    Ok(ElectionRules {
        namespace,
        name: args.leader_election_id,
        identity: format!("{name}_{:032x}", fastrand::u128(..)),
        terms,
        beside_keda: args.write_beside_keda,
        keda: KedaRules {
            namespaces: args.keda_namespace,
            lease: set(args.keda_lease),
        },
    })
}

/// Returns once a signal says so, with how long to serve on: `delay` after SIGTERM, which Kubernetes sends.
async fn told_to_end(delay: Duration) -> std::io::Result<Duration> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    Ok(tokio::select! {
        _ = terminate.recv() => delay,
        _ = interrupt.recv() => Duration::ZERO,
    })
}
