//! One client's connection, HTTP/2 over TLS, as kube-apiserver makes it.

use std::{net::SocketAddr, sync::Arc};

use bed::Identity;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{NAME, PATIENCE};

/// The user that kube-apiserver names when it probes.
pub const MASTERS: [(&str, &str); 2] = [
    ("x-remote-user", "system:kube-aggregator"),
    ("x-remote-group", "system:masters"),
];

/// The headers of the front proxy for a user.
pub fn user<'a>(name: &'a str, groups: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let groups = groups.iter().map(|group| ("x-remote-group", *group));
    std::iter::once(("x-remote-user", name))
        .chain(groups)
        .collect()
}

/// A connection.
#[derive(Clone)]
pub struct Caller {
    sender: SendRequest<Full<Bytes>>,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub code: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// A header's text, or the empty one.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl Caller {
    pub async fn connect(address: SocketAddr, ca: &str, identity: Option<&Identity>) -> Self {
        Self::try_connect(address, ca, identity).await.unwrap()
    }

    /// A request where there may be no server any more.
    pub async fn try_connect(
        address: SocketAddr,
        ca: &str,
        identity: Option<&Identity>,
    ) -> std::io::Result<Self> {
        let stream = tls(address, config(ca, identity, &[b"h2"])).await?;
        let shaken = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    /// Whether the server ended it, or is about to.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends a request and takes it back before its answer.
    pub async fn send_and_reset(&self, path: &str) {
        let request = Request::get(format!("https://{NAME}{path}"));
        let request = request.body(Full::default()).unwrap();
        let mut sender = self.sender.clone();
        if sender.ready().await.is_ok() {
            let mut answer = std::pin::pin!(sender.send_request(request));
            let _ = futures::poll!(&mut answer);
            tokio::task::yield_now().await;
        }
    }

    /// Waits until a request may be sent; false once it will never be.
    pub async fn is_ready(&self) -> bool {
        self.sender.clone().ready().await.is_ok()
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(Method::GET, path, headers, "").await.unwrap()
    }

    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &'static str,
    ) -> hyper::Result<Answer> {
        let uri = format!("https://{NAME}{path}");
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            // Names of people are UTF-8.
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request = request.header(*name, value);
        }
        let request = request.body(Full::from(body)).unwrap();
        let mut sender = self.sender.clone();
        let whole = async {
            sender.ready().await?;
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok(Answer {
                code: head.status,
                headers: head.headers,
                body: body.collect().await?.to_bytes(),
            })
        };
        tokio::time::timeout(PATIENCE, whole)
            .await
            .unwrap_or_else(|_| panic!("no answer to {path}"))
    }
}

/// A connection from another address of this machine than others have: 127.0.0.2 is that of the first.
pub async fn from_another(nth: u8, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let own = SocketAddr::from(([127, 0, 0, 2 + nth], 0));
    socket.bind(own).unwrap();
    socket.connect(address).await.unwrap()
}

/// How a client of this identity shakes hands.
pub fn config(ca: &str, identity: Option<&Identity>, alpn: &[&[u8]]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => {
            let chain = CertificateDer::pem_slice_iter(identity.cert.as_bytes());
            let chain = chain.map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
            config.with_client_auth_cert(chain, key).unwrap()
        }
    };
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    config
}

/// A TLS stream to the server.
pub async fn tls(
    address: SocketAddr,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    tls_over(TcpStream::connect(address).await?, config).await
}

/// A request over a connection that is there.
pub async fn tls_over(
    stream: TcpStream,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(NAME).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await
}
