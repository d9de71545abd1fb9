//! The one place that wires the rooms together, and shuts them down.

mod ports;
mod rules;

use std::{error::Error, sync::Arc, time::Duration};

use kube::{Client, Config};
use prometheus::{IntGauge, Registry};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{oneshot, watch},
};

use crate::{
    api_client,
    args::{RunArgs, ServingArgs},
    certificates::{self, Keeping, Registration, Spans},
    controller::{self, Controller, Lead, Leading},
    delegation::Delegation,
    installation,
    kafka::Budgets,
    poll::Timing,
    process_limits,
    pulse::Pulse,
    scaling::{Settings, table::Table},
    server::{self, API_SERVICE, Limits, Server, Source, webhooks::Neighbours},
    telemetry::{self, Collector, Compatible, Counts, Exposition, Samples},
};

/// Runs until SIGTERM or SIGINT; an error says which part could not begin.
pub fn run(mut args: RunArgs) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let begun = runtime.block_on(rules::installed(&mut args))?;
    let log = args.zap_log_level.as_ref().unwrap_or(&args.log);
    telemetry::init(log, args.log_format, args.zap_time_encoding);
    let done = runtime.block_on(wired(args, begun));
    // Dials in progress are not waited for.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

async fn wired(args: RunArgs, begun: Option<installation::Settings>) -> Result<(), Box<dyn Error>> {
    let descriptors = process_limits::raise_open_files();
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
    let namespace = rules::own_namespace(&args.credentials);
    let makes = begun.is_some();
    let scope = rules::scope(args.scope);
    let election = rules::election(args.election, namespace.clone(), scope.clone())?;
    // A policy that is refused ends the process before it stands for anything.
    let credentials = rules::credentials(&scope, args.credentials)?;
    let (lead, handing_over) =
        controller::stand(&client, election, pulse.clone(), stopping.clone());
    let table = Arc::new(Table::default());
    let samples = Arc::new(Samples::default());
    let registry = Registry::new();
    let shown = (args.metrics_per_partition, args.metrics_names);
    let exposition = exposition(&registry, &samples, shown)?;
    registry.register(Box::new(Leading::new(lead.clone(), pulse.clone())?))?;
    let published = (table.clone(), samples.clone());
    let controller = Controller::new(controller::Parts {
        client: client.clone(),
        scope: scope.clone(),
        rules: credentials,
        settings: Settings {
            max_sample_age: args.max_sample_age,
            tolerance_milli: args.hpa_tolerance.0,
            ready_follows_outages: args.ready_follows_outages,
        },
        timing: Timing::default(),
        budgets: Budgets::within(descriptors / 2, process_limits::memory()),
        lead: lead.clone(),
        table: table.clone(),
        samples,
        counts: Counts::new(&registry)?,
        pulse: pulse.clone(),
        ready,
    });
    let others = rules::delegation(args.delegation, &namespace, &args.serving.service_name)?;
    let delegation = Delegation::new(client.clone(), others, &registry)?;
    if !lead.is_shadow() {
        // Whom the APIService led to before is found by itself.
        tokio::spawn(delegation.clone().follow(client.clone(), API_SERVICE));
        tokio::spawn(delegation.clone().list(server::DISCOVERY));
    }
    let changed = changes_of(begun, (&client, &namespace), &lead);
    let (objects, hpas) = controller.stores();
    let (questions, external) = (controller.questions(), controller.external());
    let address = args.status_page_listen.0;
    let page = ports::status_page(address, &controller, published, &ending).await?;
    let (told_path, secret_path) = watch::channel(None);
    let source = serving(
        &client,
        (args.serving, makes),
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
            scope,
            warns_of_unmatched: args.check_unexpected_scalers_params,
        },
        secret_path,
        shadow: lead.is_shadow(),
        questions,
        delegation,
        pulse: pulse.clone(),
        // An engine that stood still for so long serves nothing of before.
        longest_turn: args.max_sample_age / 2,
        polled,
        stopping,
        ending: ending.clone(),
        limits: Limits::default().within(descriptors / 4),
    };
    let server = Server::bind(args.listen, source, parts, exposition).await?;
    tracing::info!(api = %server.local_addr()?, "listening");
    let plain = ports::plain_port(args.metrics_listen.0, &server, ending.clone()).await?;
    let asked = (external, (pulse, args.max_sample_age / 2));
    let external =
        ports::external_scaler(args.external_scaler, &server, asked, (&registry, &ending)).await?;
    let controlling = tokio::spawn(controller.run(ending));
    let serving = on_a_thread_of_its_own(server)?;
    until_the_end(args.shutdown_delay, &stop, changed).await?;
    end.send_replace(true);
    let _ = tokio::join!(controlling, serving, plain, page, external, handing_over);
    Ok(())
}

/// Told once the settings of the installation are others than it began with; never, where it has none.
fn changes_of(
    begun: Option<installation::Settings>,
    (client, namespace): (&Client, &str),
    lead: &Lead,
) -> watch::Receiver<bool> {
    let (anew, changed) = watch::channel(false);
    if let Some(begun) = begun {
        let (client, namespace) = (client.clone(), namespace.to_owned());
        tokio::spawn(installation::follow(
            client,
            namespace,
            begun,
            lead.clone(),
            anew,
        ));
    }
    changed
}

/// Everything that `/metrics` shows but the counters of the rooms: those register themselves.
fn exposition(
    registry: &Registry,
    samples: &Arc<Samples>,
    (per_partition, others): (bool, Vec<telemetry::Names>),
) -> Result<Exposition, prometheus::Error> {
    let mut exposition = Exposition::new(registry.clone());
    exposition.add(Collector::new(samples.clone(), per_partition));
    for names in others {
        exposition.add(Compatible::new(samples.clone(), names));
    }
    registry.register(Box::new(
        prometheus::process_collector::ProcessCollector::for_self(),
    ))?;
    Ok(exposition)
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

/// Where the serving certificate comes from. One of its own is kept by the leader and loaded by every replica.
fn serving(
    client: &Client,
    (args, makes): (ServingArgs, bool),
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
            makes,
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

/// Returns once a signal says so, or that settings have `changed`, and enough was served after it; `stop` is told in between.
async fn until_the_end(
    delay: Duration,
    stop: &watch::Sender<bool>,
    mut changed: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let delay = tokio::select! {
        told = told_to_end(delay) => told?,
        Ok(_) = changed.wait_for(|changed| *changed) => delay,
    };
    tracing::info!(?delay, "told to end");
    stop.send_replace(true);
    tokio::select! {
        () = tokio::time::sleep(delay) => {}
        told = told_to_end(Duration::ZERO) => drop(told?),
    }
    Ok(())
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
