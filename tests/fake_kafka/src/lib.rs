//! Enough of a Kafka cluster to be asked for lag, to misbehave on command, and to say afterwards what it was asked. It is
//! checked by Kafka's own client (tests/fake_checked).
// Test code: what does not hold is a failed test, said by the panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate
)]

mod answers;
mod commits;
pub mod fault;
mod fetch;
mod layout;
mod offsets;
pub mod profile;
mod serve;
pub mod state;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use state::{Group, Partition, State, Topic};
use tokio::{net::TcpListener, task::JoinHandle};

/// A running fake.
pub struct FakeKafka {
    state: Arc<Mutex<State>>,
    brokers: Vec<Option<JoinHandle<()>>>,
}

impl FakeKafka {
    /// Starts brokers 0 to `brokers` - 1.
    pub async fn start(brokers: i32) -> Self {
        Self::start_at("127.0.0.1", brokers).await
    }

    /// A fake at another address of this machine.
    pub async fn start_at(host: &str, brokers: i32) -> Self {
        let mut state = State {
            host: host.to_owned(),
            ..State::default()
        };
        let mut listeners = Vec::new();
        for _ in 0..brokers {
            let listener = TcpListener::bind((host, 0)).await.unwrap();
            state.ports.push(listener.local_addr().unwrap().port());
            listeners.push(listener);
        }
        let state = Arc::new(Mutex::new(state));
        let listeners = (0..).zip(listeners);
        let brokers = listeners.map(|(node, l)| Some(serve::broker(node, l, state.clone())));
        Self {
            brokers: brokers.collect(),
            state,
        }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Ends a broker: its connections end, and its port refuses.
    pub async fn stop(&mut self, node: i32) {
        if let Some(broker) = self.brokers[index(node)].take() {
            broker.abort();
            let _ = broker.await;
        }
    }

    /// Starts it again, at its old port of `host`.
    pub async fn restart_at(&mut self, host: &str, node: i32) {
        let port = self.state().ports[index(node)];
        let address: SocketAddr = (host.parse::<std::net::IpAddr>().unwrap(), port).into();
        let listener = loop {
            // The port may be held by what the ended broker left behind.
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let broker = serve::broker(node, listener, self.state.clone());
        self.brokers[index(node)] = Some(broker);
    }

    pub async fn restart(&mut self, node: i32) {
        let host = self.state().host.clone();
        self.restart_at(&host, node).await;
    }

    /// Makes a topic, or changes one: leader and end of each partition. Its logs begin at 0.
    pub fn topic(&self, name: &str, partitions: &[(i32, i64)]) {
        let each = partitions.iter().map(|(leader, end)| Partition {
            leader: *leader,
            end: *end,
            epoch: -1,
            ..Partition::default()
        });
        let mut id = [1; 16];
        for (place, byte) in id.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        let topic = Topic {
            id,
            partitions: each.collect(),
        };
        self.state().topics.insert(name.to_owned(), topic);
    }

    /// Makes a group, or changes one: topic, partition and offset of each commit.
    pub fn group(&self, name: &str, coordinator: i32, commits: &[(&str, i32, i64)]) {
        let mut group = Group {
            coordinator,
            ..Group::default()
        };
        for (topic, id, offset) in commits {
            let of_topic = group.commits.entry((*topic).to_owned()).or_default();
            of_topic.insert(*id, *offset);
        }
        self.state().groups.insert(name.to_owned(), group);
    }

    pub fn fault(&self, fault: fault::Fault) {
        self.state().faults.push(fault);
    }

    /// Everything behaves again.
    pub fn mend(&self) {
        self.state().faults.clear();
    }
}

impl Drop for FakeKafka {
    fn drop(&mut self) {
        for broker in self.brokers.iter().flatten() {
            broker.abort();
        }
    }
}

fn index(node: i32) -> usize {
    usize::try_from(node).unwrap()
}
