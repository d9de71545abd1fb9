//! The ports beside the API's, each where it is asked for.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::OptionFuture;
use prometheus::Registry;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use crate::{
    args::ExternalScalerArgs,
    controller::{Controller, ExternalTriggers},
    page,
    pulse::Pulse,
    scaling::table::Table,
    server::{ExternalScaler, ExternalScalerParts, Server, plain},
    telemetry::Samples,
};

/// Serves /metrics and health over plain HTTP, where that is asked for.
pub(super) async fn plain_port(
    address: Option<SocketAddr>,
    server: &Server,
    ending: watch::Receiver<bool>,
) -> Result<JoinHandle<Option<()>>, Box<dyn Error>> {
    let plain = match address {
        Some(address) => {
            let listener = listener("--metrics-listen", address).await?;
            tracing::info!(metrics = %listener.local_addr()?, "listening");
            let (metrics, readiness) = (server.metrics(), server.readiness());
            Some(plain(listener, metrics, readiness, ending))
        }
        None => None,
    };
    Ok(tokio::spawn(OptionFuture::from(plain)))
}

/// Serves the status page, where that is asked for.
pub(super) async fn status_page(
    address: Option<SocketAddr>,
    controller: &Controller,
    (table, samples): (Arc<Table>, Arc<Samples>),
    ending: &watch::Receiver<bool>,
) -> Result<JoinHandle<Option<()>>, Box<dyn Error>> {
    let page = match address {
        Some(address) => {
            let listener = listener("--status-page-listen", address).await?;
            let (objects, hpas) = controller.stores();
            let sources = page::Sources {
                objects,
                hpas,
                table,
                samples,
                questions: controller.questions(),
            };
            tracing::info!(status_page = %listener.local_addr()?, "listening");
            Some(page::serve(listener, sources, ending.clone()))
        }
        None => None,
    };
    Ok(tokio::spawn(OptionFuture::from(page)))
}

/// Answers a KEDA that asks as of an external scaler, where that is asked for.
pub(super) async fn external_scaler(
    args: ExternalScalerArgs,
    server: &Server,
    (triggers, pulse): (ExternalTriggers, (Pulse, Duration)),
    (registry, ending): (&Registry, &watch::Receiver<bool>),
) -> Result<JoinHandle<Option<()>>, Box<dyn Error>> {
    let scaler = match (
        args.external_scaler_listen.0,
        args.external_scaler_client_ca_file,
    ) {
        (None, _) => None,
        (Some(address), None) => {
            return Err(format!("--external-scaler-listen={address} needs --external-scaler-client-ca-file: nobody could be told from KEDA without").into());
        }
        (Some(address), Some(client_ca)) => {
            let parts = ExternalScalerParts {
                address,
                client_ca,
                certificate: server.certificate(),
                triggers,
                pulse,
                ending: ending.clone(),
            };
            let scaler = ExternalScaler::bind(parts, registry).await?;
            tracing::info!(external_scaler = %scaler.local_addr()?, "listening");
            Some(scaler.serve())
        }
    };
    Ok(tokio::spawn(OptionFuture::from(scaler)))
}

/// A listener at the address that a flag gives.
async fn listener(flag: &str, address: SocketAddr) -> Result<TcpListener, String> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|e| format!("{flag}={address}: {e}"))
}
