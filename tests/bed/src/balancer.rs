//! A TCP stand-in for a Service: forwards each connection to one of the replicas that answer readyz.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::http::get;

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

const CHECK: Duration = Duration::from_millis(200);
/// A kubelet's probe waits as long.
const ANSWER: Duration = Duration::from_secs(1);

/// Listens until it is dropped.
pub struct Balancer {
    address: SocketAddr,
    backends: Backends,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Clone, Copy)]
struct Backend {
    address: SocketAddr,
    /// Plain HTTP with `/readyz`.
    health: SocketAddr,
    ready: bool,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Balancer {
    /// Starts without any backend: connections are closed at once, as with a Service that has no endpoint.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let backends = Backends::default();
        let tasks = [
            tokio::spawn(accept(listener, backends.clone())),
            tokio::spawn(check(backends.clone())),
        ];
        Self {
            address,
            backends,
            tasks,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a replica: where it serves, and where its plain `/readyz` is.
    pub fn add(&self, address: SocketAddr, health: SocketAddr) {
        self.backends.add(address, health);
    }

    /// Takes a replica out.
    pub fn remove(&self, address: SocketAddr) {
        self.backends.remove(address);
    }

    /// For whoever adds and removes beside its owner.
    pub(crate) fn backends(&self) -> Backends {
        self.backends.clone()
    }
}

/// The replicas of a balancer.
#[derive(Clone, Default)]
pub(crate) struct Backends(Arc<Mutex<Vec<Backend>>>);

impl Backends {
    pub fn add(&self, address: SocketAddr, health: SocketAddr) {
        let ready = false;
        self.all().push(Backend {
            address,
            health,
            ready,
        });
    }

    pub fn remove(&self, address: SocketAddr) {
        self.all().retain(|b| b.address != address);
    }

    fn all(&self) -> MutexGuard<'_, Vec<Backend>> {
        self.0.lock().expect("not poisoned")
    }
}

async fn accept(listener: TcpListener, backends: Backends) {
    let next = AtomicUsize::new(0);
    loop {
        let Ok((mut from, _)) = listener.accept().await else {
            continue;
        };
        let ready: Vec<_> = {
            let backends = backends.all();
            backends
                .iter()
                .filter(|b| b.ready)
                .map(|b| b.address)
                .collect()
        };
        let Some(to) = ready
            .get(next.fetch_add(1, Ordering::Relaxed) % ready.len().max(1))
            .copied()
        else {
            continue;
        };
        tokio::spawn(async move {
            if let Ok(mut to) = TcpStream::connect(to).await {
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}

async fn check(backends: Backends) {
    loop {
        let now: Vec<_> = backends.all().clone();
        for backend in now {
            let health = backend.health.to_string();
            let answer = timeout(ANSWER, get(&health, "/readyz")).await;
            let ready = answer.is_ok_and(|(code, _)| code == 200);
            let mut backends = backends.all();
            for known in backends.iter_mut().filter(|b| b.address == backend.address) {
                known.ready = ready;
            }
        }
        tokio::time::sleep(CHECK).await;
    }
}
