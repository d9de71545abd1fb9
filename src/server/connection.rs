//! One connection from its handshake to its end: what it may have open at once goes by what its client has shown.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use axum::{Router, extract::Request, response::Response};
use http::StatusCode;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::server::{
    answer::api,
    answer::failure::Failure,
    guest::{Guest, Limits, Standing},
    request::accept::Format,
    request::identity::Peer,
    request::route::{self, Path, Route},
    request::trust::Trust,
};

const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(15);
/// Limits of one connection: streams that are open, bytes that are unread.
struct Windows {
    streams: u32,
    header_bytes: u32,
    connection: u32,
}

/// kube-apiserver multiplexes over one connection, its own backends allow at least as many streams, and a user's groups are a
/// header each.
const FRONT_PROXY: Windows = Windows {
    streams: 250,
    header_bytes: 64 * 1024,
    connection: 1 << 20,
};
/// kube-apiserver's own reviews are among these.
const OTHERS: Windows = Windows {
    streams: 32,
    header_bytes: 16 * 1024,
    connection: 128 * 1024,
};
/// Bytes of a request's body that may be unread.
const STREAM_WINDOW: u32 = 64 * 1024;

/// Requests that may be under way.
pub(super) struct Slots {
    proxies: Semaphore,
    known: Semaphore,
    strangers: Semaphore,
}

/// A connection that was accepted.
pub(super) struct Connection {
    pub tls: TlsAcceptor,
    pub router: Router,
    pub trust: Arc<ArcSwapOption<Trust>>,
    pub slots: Arc<Slots>,
    pub guest: Arc<Guest>,
    pub limits: Arc<Limits>,
    pub ending: watch::Receiver<bool>,
}

impl Slots {
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            proxies: Semaphore::new(limits.requests),
            known: Semaphore::new(limits.known),
            strangers: Semaphore::new(limits.strangers),
        })
    }
}

impl Connection {
    /// Shakes hands and answers until it ends, or has to.
    pub async fn serve(mut self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let shaken = timeout(self.limits.handshake, self.tls.accept(stream));
        let Ok(Ok(stream)) = shaken.await else {
            return;
        };
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let chain = stream.get_ref().1.peer_certificates();
        let chain = chain.unwrap_or_default().iter();
        let chain = chain.map(|c| c.clone().into_owned()).collect();
        let peer = Arc::new(Peer::new(chain, self.guest.clone()));
        let standing = peer.standing(self.trust.load().as_ref());
        self.guest.showed(standing);
        let windows = if standing == Standing::FrontProxy {
            FRONT_PROXY
        } else {
            OTHERS
        };
        let (router, slots, trust) = (self.router.clone(), self.slots.clone(), self.trust.clone());
        let service = hyper::service::service_fn(move |request| {
            let (router, slots, peer) = (router.clone(), slots.clone(), peer.clone());
            let standing = peer.standing(trust.load().as_ref());
            async move {
                let _busy = peer.guest.asks();
                let slots = match standing {
                    Standing::FrontProxy => Some(&slots.proxies),
                    _ if has_bounds_of_its_own(&request) => None,
                    _ if peer.guest.standing() > Standing::Stranger => Some(&slots.known),
                    _ => Some(&slots.strangers),
                };
                let Ok(_slot) = slots.map(Semaphore::try_acquire).transpose() else {
                    return Ok(too_many());
                };
                let request: Request = api::with_peer(request, &peer);
                router.oneshot(request).await
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // By what was negotiated: guessing from the first bytes would wait for them for ever.
        builder = if is_h2 {
            builder.http2_only()
        } else {
            builder.http1_only()
        };
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.headers)
            .max_buf_size(windows.header_bytes as usize)
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(windows.streams)
            .max_header_list_size(windows.header_bytes)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(windows.connection)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // A client that goes away in the middle is no event for anybody here.
            _ = connection.as_mut() => return,
            () = self.guest.lives(&self.limits, &mut self.ending) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ = timeout(self.limits.drain, connection).await;
    }
}

/// Whether a request needs no slot: probes are answered at once, and webhooks count theirs.
fn has_bounds_of_its_own(request: &hyper::Request<hyper::body::Incoming>) -> bool {
    let text = route::decode(request.uri().path());
    matches!(Path::of(&text).route, Route::Health(_) | Route::Webhook(..))
}

fn too_many() -> Response {
    let said = "too many requests at once";
    let code = StatusCode::SERVICE_UNAVAILABLE;
    Failure::new(code, "ServiceUnavailable", said).reply(Format::Json, false)
}
