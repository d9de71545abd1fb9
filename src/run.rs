//! The one place that wires the rooms together, and shuts them down.

use std::{error::Error, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use kube::Client;
use prometheus::Registry;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{
    args::RunArgs,
    controller::{self, Controller},
    poll::Timing,
    scaling::{Settings, table::Table},
    server::{self, Server, plain},
    telemetry::{self, Collector},
};

/// Runs until SIGTERM or SIGINT; an error says which part could not begin.
pub fn run(args: RunArgs) -> Result<(), Box<dyn Error>> {
    telemetry::init(&args.log, args.log_format);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(wired(args));
    // A dial under way is nobody's answer any more.
    runtime.shutdown_timeout(Duration::from_millis(100));
    done
}

async fn wired(args: RunArgs) -> Result<(), Box<dyn Error>> {
    let client = Client::try_default().await.map_err(|e| {
        format!("no cluster: neither KUBECONFIG nor a service account leads to one: {e}")
    })?;
    let (stop, stopping) = watch::channel(false);
    let (ready, polled) = watch::channel(false);
    let table = Arc::new(ArcSwap::from_pointee(Table::default()));
    let samples = Arc::new(ArcSwap::from_pointee(Vec::new()));
    let registry = Registry::new();
    registry.register(Box::new(Collector::new(samples.clone())?))?;
    registry.register(Box::new(
        prometheus::process_collector::ProcessCollector::for_self(),
    ))?;
    let parts = server::Parts {
        table: table.clone(),
        client: client.clone(),
        polled,
        stopping: stopping.clone(),
    };
    let server = Server::bind(
        args.listen,
        &args.tls_cert_file,
        &args.tls_private_key_file,
        parts,
        &registry,
    )
    .await?;
    let plain_listener = TcpListener::bind(args.metrics_listen)
        .await
        .map_err(|e| format!("--metrics-listen={}: {e}", args.metrics_listen))?;
    tracing::info!(api = %server.local_addr()?, metrics = %plain_listener.local_addr()?, "listening");
    let readiness = server.readiness();
    let controller = Controller::new(controller::Parts {
        client,
        namespace: args.namespace.filter(|n| !n.is_empty()),
        settings: Settings {
            max_sample_age: args.max_sample_age,
            tolerance_milli: args.hpa_tolerance.0,
        },
        timing: Timing::default(),
        table,
        samples,
        ready,
    });
    let controlling = tokio::spawn(controller.run(stopping));
    let plain = tokio::spawn(plain(plain_listener, registry, readiness));
    let serving = tokio::spawn(server.serve());
    told_to_end().await?;
    tracing::info!("told to end");
    stop.send_replace(true);
    let _ = tokio::join!(controlling, serving, plain);
    Ok(())
}

async fn told_to_end() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
