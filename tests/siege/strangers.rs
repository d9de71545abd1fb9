//! Pods without a credential: idle sockets, streams without an end, reviews of three megabytes, tokens that nobody gave, and
//! readers of a byte a second.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bed::{Bed, Lagscale};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

const NAME: &str = "lagscale.lagscale.svc";
const HOOK: &str = "/validate-keda-sh-v1alpha1-scaledobject";
const METRIC: &str = "/apis/external.metrics.k8s.io/v1beta1/namespaces/honest/any";
const LARGEST: usize = 3 << 20;
/// Nobody waits longer for an answer that may never come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often something was done.
#[derive(Clone)]
pub struct Count(&'static str, Arc<AtomicUsize>);

impl Count {
    pub fn of(what: &'static str) -> Self {
        Self(what, Arc::default())
    }

    pub fn add(&self) {
        self.1.fetch_add(1, Ordering::Relaxed);
    }

    pub fn is_nothing(&self) -> bool {
        self.1.load(Ordering::Relaxed) == 0
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.1.load(Ordering::Relaxed), self.0)
    }
}

/// Whether the siege is over.
pub fn ended(stop: &AtomicBool) -> bool {
    stop.load(Ordering::Relaxed)
}

type Sender = SendRequest<BoxBody<Bytes, std::convert::Infallible>>;

/// Where they go, and how they shake hands.
#[derive(Clone)]
struct Stranger {
    address: SocketAddr,
    plain: SocketAddr,
    tls: TlsConnector,
    stop: Arc<AtomicBool>,
}

/// Begins all of them.
pub fn begin(bed: &Bed, lagscale: &Lagscale, stop: &Arc<AtomicBool>) -> Vec<Count> {
    let mut roots = RootCertStore::empty();
    let ca = bed.control_plane.serving_ca.pem.as_bytes();
    for certificate in CertificateDer::pem_slice_iter(ca) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stranger = Stranger {
        address: lagscale.address,
        plain: lagscale.plain,
        tls: TlsConnector::from(Arc::new(config)),
        stop: stop.clone(),
    };
    let counts = [
        "idle sockets",
        "streams without an end",
        "reviews of three megabytes",
        "tokens that nobody gave",
        "readers of a byte a second",
    ]
    .map(Count::of);
    let [idle, streams, reviews, tokens, readers] = counts.clone();
    for nth in 0..600 {
        tokio::spawn(stranger.clone().idle(nth, idle.clone()));
    }
    for nth in 0..9 {
        tokio::spawn(stranger.clone().streams(nth, streams.clone()));
    }
    for nth in 0..4 {
        tokio::spawn(stranger.clone().reviews(nth, reviews.clone()));
    }
    for nth in 0..4 {
        tokio::spawn(stranger.clone().tokens(nth, tokens.clone()));
    }
    for nth in 0..160 {
        tokio::spawn(stranger.clone().reads(nth, readers.clone()));
    }
    counts.to_vec()
}

impl Stranger {
    /// A connection from one of this machine's addresses.
    async fn connect(&self, nth: usize, to: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        // Bytes that are read slowly are to stand in the server, not in the kernel.
        socket.set_recv_buffer_size(2_048)?;
        let nth = u8::try_from(nth % 200).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 10 + nth], 0)))?;
        socket.connect(to).await
    }

    async fn http(&self, nth: usize) -> std::io::Result<Sender> {
        let stream = self.connect(nth, self.address).await?;
        let name = ServerName::try_from(NAME).unwrap();
        let stream = self.tls.connect(name, stream).await?;
        let shaken = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn idle(self, nth: usize, count: Count) {
        while !ended(&self.stop) {
            if let Ok(mut stream) = self.connect(nth, self.address).await {
                count.add();
                let _ = timeout(PATIENCE, stream.read_u8()).await;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// 250 requests on a connection, each with a head and a body that does not come.
    async fn streams(self, nth: usize, count: Count) {
        while !ended(&self.stop) {
            if let Ok(mut sender) = self.http(nth).await {
                let mut open = Vec::new();
                for _ in 0..250 {
                    let endless = http_body_util::StreamBody::new(futures::stream::pending());
                    let request = request(Method::POST, HOOK, BodyExt::boxed(endless));
                    if timeout(PATIENCE, sender.ready())
                        .await
                        .is_ok_and(|r| r.is_ok())
                    {
                        open.push(tokio::spawn(sender.send_request(request)));
                        count.add();
                    }
                }
                for one in open {
                    let _ = timeout(PATIENCE, one).await;
                }
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    async fn reviews(self, nth: usize, count: Count) {
        let piece = "{\"\":0},";
        let spec = piece.repeat(LARGEST / 2 / piece.len());
        let body = format!(
            "{{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{{\"uid\":\"u\",\"operation\":\"UPDATE\",\"name\":\"o\",\"namespace\":\"honest\",\"object\":{{\"spec\":[{spec}0]}},\"oldObject\":{{\"spec\":[{spec}1]}}}}}}",
        );
        let body = Bytes::from(body);
        while !ended(&self.stop) {
            if let Ok(mut sender) = self.http(20 + nth).await {
                while sender.ready().await.is_ok() && !ended(&self.stop) {
                    let body = BodyExt::boxed(Full::new(body.clone()));
                    let sent = sender.send_request(request(Method::POST, HOOK, body));
                    if !matches!(timeout(PATIENCE, sent).await, Ok(Ok(_))) {
                        break;
                    }
                    count.add();
                    sleep(Duration::from_millis(100)).await;
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn tokens(self, nth: usize, count: Count) {
        while !ended(&self.stop) {
            if let Ok(mut sender) = self.http(30 + nth).await {
                while sender.ready().await.is_ok() && !ended(&self.stop) {
                    let mut asks = request(Method::GET, METRIC, BodyExt::boxed(Full::default()));
                    let token = format!("Bearer {}", uuid::Uuid::new_v4());
                    asks.headers_mut()
                        .insert("authorization", token.parse().unwrap());
                    let sent = sender.send_request(asks);
                    if !matches!(timeout(PATIENCE, sent).await, Ok(Ok(_))) {
                        break;
                    }
                    count.add();
                    sleep(Duration::from_millis(5)).await;
                }
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn reads(self, nth: usize, count: Count) {
        while !ended(&self.stop) {
            if let Ok(mut stream) = self.connect(nth, self.plain).await {
                let asks = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
                if stream.write_all(asks).await.is_ok() {
                    while stream.read_u8().await.is_ok() && !ended(&self.stop) {
                        count.add();
                        sleep(Duration::from_secs(1)).await;
                    }
                }
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}

fn request<B>(method: Method, path: &str, body: B) -> Request<B> {
    let uri = format!("https://{NAME}{path}");
    let request = Request::builder().method(method).uri(uri);
    request
        .header("content-type", "application/json")
        .body(body)
        .unwrap()
}
