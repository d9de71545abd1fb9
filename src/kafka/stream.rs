//! Name resolution, TCP and TLS towards a broker, with causes a person can act on.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{Address, Budget, Cause, error::first_sentence};

/// The stream under a connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// How long one of several addresses may be silent.
const SILENT: Duration = Duration::from_secs(1);

/// Tries every address of the host, in the resolver's order.
pub(super) async fn connect(address: &Address, budget: &Budget) -> Result<TcpStream, Cause> {
    let found = resolve(address, budget).await?;
    let mut last = Cause::Resolve("no address".into());
    let count = found.len();
    for (i, socket) in found.into_iter().enumerate() {
        // A silent one must not use up the time of the others.
        let patience = if i + 1 < count { SILENT } else { Duration::MAX };
        match tokio::time::timeout(patience, TcpStream::connect(socket)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => last = Cause::Connect(e.to_string()),
            Err(_) => last = Cause::Connect(format!("{socket} is silent")),
        }
    }
    Err(last)
}

/// Looks the host up, unless it is an address. A look-up that nobody waits for any more still holds a thread, and its part of
/// the budget, until the name server has answered.
async fn resolve(address: &Address, budget: &Budget) -> Result<Vec<SocketAddr>, Cause> {
    if let Ok(ip) = address.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port)]);
    }
    let held = budget.lookup().await;
    let (host, port) = (address.host.clone(), address.port);
    let looked = tokio::spawn(async move {
        let found = tokio::net::lookup_host((host, port)).await;
        drop(held);
        found.map(Iterator::collect)
    });
    let found = looked.await.map_err(|e| Cause::Resolve(e.to_string()))?;
    found.map_err(|e| Cause::Resolve(e.to_string()))
}

/// The client's side of a TLS handshake.
pub(super) async fn handshake(
    address: &Address,
    config: Arc<ClientConfig>,
    tcp: TcpStream,
) -> Result<impl Stream + use<>, Cause> {
    let name = ServerName::try_from(address.host.clone())
        .map_err(|_| Cause::Setting("the host is no valid TLS server name".into()))?;
    TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|error| {
            if let Some(cause) = Cause::of_alert(&error) {
                return cause;
            }
            match error
                .get_ref()
                .and_then(|e| e.downcast_ref::<rustls::Error>())
            {
                Some(rustls::Error::InvalidCertificate(e)) => {
                    Cause::Certificate(first_sentence(&e.to_string()))
                }
                Some(rustls::Error::InvalidMessage(_)) => Cause::NotTls,
                Some(e) => Cause::Tls(first_sentence(&e.to_string())),
                None if error.kind() == io::ErrorKind::UnexpectedEof => Cause::NotTls,
                None => error.into(),
            }
        })
}
