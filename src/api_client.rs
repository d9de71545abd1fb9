//! The client of kube-apiserver: one HTTP/2 connection carries every watch, read and write, and a ping tells within seconds
//! that it is dead. kube's own client opens an HTTP/1.1 connection for each request under way.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt, retry::RetryPolicy},
};
use tower::{BoxError, ServiceBuilder, retry::RetryLayer};

/// Without a frame for this long a ping is sent, and its answer has to come: together within the time in which a Lease has to be
/// renewed, so that another connection can still do that. Go's clients take 30 and 15 s, and lose the Lease.
const PING_AFTER: Duration = Duration::from_secs(4);
const PONG_WITHIN: Duration = Duration::from_secs(3);

/// A client of the cluster that `config` leads to. Behind a proxy, or with a credential from a program or a server name of its own,
/// it is kube's own.
pub(crate) fn client(config: Config) -> Result<Client, kube::Error> {
    let plain = config.proxy_url.is_none()
        && config.tls_server_name.is_none()
        && config.auth_info.exec.is_none();
    if !plain {
        return Client::try_from(config);
    }
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let tls = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(tcp);
    let mut connector = TimeoutConnector::new(tls);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    let http: HttpClient<_, Body> = HttpClient::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PONG_WITHIN)
        .build(connector);
    let retry = config.default_retry.then(RetryPolicy::server_retry);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(retry.map(RetryLayer::new))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}
