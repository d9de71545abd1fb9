//! `lagscale top`: every ScaledObject of a cluster on one screen, with what its HPA is told, its replicas and what is the matter. Objects are
//! watched and values asked for together, so that thousands cost the API server a list and one question every two seconds.

mod row;
mod screen;

use std::{fmt::Debug, io::IsTerminal, sync::Arc, time::Duration};

use clap::Args;
use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::{NamespaceResourceScope, api::autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    Api, Client, Resource,
    api::ListParams,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;

use self::{
    row::{Order, metrics},
    screen::Screen,
};
use super::{Done, Output, unanswered};
use crate::{
    overview::{Metric, Row, rows},
    resources::ScaledObject,
    server::{OWN_GROUP, VERSION},
    text::api_error,
};

/// Time between two screens.
const EVERY: Duration = Duration::from_secs(2);
/// Objects in a page of a list.
const PAGE: u32 = 500;

/// Flags of `top`.
#[derive(Debug, Args)]
#[command(after_help = "Exit code 0: told. 1: it could not be asked. 2: the arguments are wrong.")]
pub struct TopArgs {
    /// The namespace; all of them where it is not set.
    #[arg(long, short)]
    pub namespace: Option<String>,
    /// The order: largest value first, most replicas first, or by namespace and name.
    #[arg(long, value_enum, default_value = "value")]
    pub sort_by: Order,
    /// One table instead of a screen that goes on; also where the output is no terminal, and for JSON and YAML.
    #[arg(long)]
    pub once: bool,
    /// Table, wide (with targets and the names of metrics), JSON or YAML.
    #[arg(long, short, value_enum, default_value = "table")]
    pub output: Output,
}

/// Runs it.
pub async fn top(args: &TopArgs) -> Done {
    let client = super::cluster().await?;
    let cluster = Cluster::watched(client, args.namespace.clone()).await?;
    let wide = args.output == Output::Wide;
    let live = args.output.is_table() && !args.once && std::io::stdout().is_terminal();
    if !live {
        let metrics = cluster.metrics().await?;
        let rows = cluster.rows(&metrics, args.sort_by);
        let data = args.output.data(&rows);
        super::say(&data.unwrap_or_else(|| Ok(screen::text(&rows, wide)))?)?;
        return Ok(true);
    }
    let mut screen = Screen::open(wide)?;
    loop {
        let metrics = cluster.metrics().await;
        let found = metrics.as_deref().unwrap_or_default();
        let trouble = metrics.as_ref().err().map(String::as_str);
        screen.draw(&cluster.rows(found, args.sort_by), trouble)?;
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(true),
        }
    }
}

/// The objects as they are now.
struct Cluster {
    client: Client,
    namespace: Option<String>,
    objects: Store<ScaledObject>,
    hpas: Store<HorizontalPodAutoscaler>,
}

impl Cluster {
    /// Waits for the first list of both kinds.
    async fn watched(client: Client, namespace: Option<String>) -> Result<Self, String> {
        let place = namespace.as_deref();
        Ok(Self {
            objects: watched(&client, place, "ScaledObjects").await?,
            hpas: watched(&client, place, "HorizontalPodAutoscalers").await?,
            client,
            namespace,
        })
    }

    /// Every metric of lagscale's, with the value that an HPA gets.
    async fn metrics(&self) -> Result<Vec<Metric>, String> {
        let place = self.namespace.as_ref();
        let place = place.map_or_else(String::new, |n| format!("namespaces/{n}/"));
        let path = format!("/apis/{OWN_GROUP}/{VERSION}/{place}externalmetrics");
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
        let request = http::Request::get(path).header(http::header::ACCEPT, table);
        let request = request.body(Vec::new()).map_err(|e| e.to_string())?;
        let answer = self.client.request(request).await;
        let answer = answer.map_err(|e| unanswered(OWN_GROUP, &api_error(&e)))?;
        Ok(metrics(&answer))
    }

    fn rows(&self, metrics: &[Metric], order: Order) -> Vec<Row> {
        let hpas: Vec<Arc<_>> = self.hpas.state();
        let mut rows = rows(&self.objects.state(), &hpas, metrics, Timestamp::now());
        row::sort(&mut rows, order);
        rows
    }
}

/// Objects of a kind, followed for as long as the command runs.
async fn watched<K>(
    client: &Client,
    namespace: Option<&str>,
    kinds: &str,
) -> Result<Store<K>, String>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let api: Api<K> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    // A watch tries again for ever; whoever may not look is told so.
    let first = api.list(&ListParams::default().limit(1)).await;
    first.map_err(|e| format!("{kinds} can't be listed: {}", api_error(&e)))?;
    let (store, writer) = reflector::store();
    let config = watcher::Config::default().page_size(PAGE);
    let events = watcher(api, config).default_backoff().reflect(writer);
    tokio::spawn(events.for_each(|_| std::future::ready(())));
    store.wait_until_ready().await.map_err(|e| e.to_string())?;
    Ok(store)
}
