//! The server as a process: its address on the first line, then its CPU time and memory for each line it is sent.
//! Meanwhile a fifth of its metrics changes each second, as with a sample interval of five.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Client, Config};
use lagscale::{
    controller::{Questions, Scope},
    delegation::{Delegation, Rules},
    scaling::table::{Entry, Outcome, Owner, Table},
    server::{Limits, Parts, Server, Source, webhooks::Neighbours},
    telemetry::Exposition,
};
use tokio::sync::watch;

use crate::{METRICS, metric, object};

const PUBLISHED_EACH: Duration = Duration::from_millis(50);
const PUBLISHED: usize = METRICS / 5 / 20;

pub async fn run(folder: &Path, cluster: &str) {
    let table = Arc::new(Table::default());
    let mut entries: Vec<Entry> = (0..METRICS).map(|n| entry(n, 0)).collect();
    for entry in &entries {
        table.replace("shop", &[], std::slice::from_ref(entry));
    }
    let (_polled, polled) = watch::channel(true);
    let (_stop, stopping) = watch::channel(false);
    let (_end, ending) = watch::channel(false);
    let client = Client::try_from(Config::new(cluster.parse().unwrap())).unwrap();
    let exposition = Exposition::default();
    let nobody_else = Delegation::new(client.clone(), Rules::default(), exposition.registry());
    let parts = Parts {
        table: table.clone(),
        client,
        neighbours: Neighbours {
            objects: kube::runtime::reflector::store().0,
            hpas: kube::runtime::reflector::store().0,
            scope: Scope::default(),
            warns_of_unmatched: true,
        },
        secret_path: watch::channel(None).1,
        shadow: false,
        questions: Questions::unanswered(),
        delegation: nobody_else.unwrap(),
        pulse: lagscale::pulse::Pulse::default(),
        longest_turn: std::time::Duration::from_secs(10),
        polled,
        stopping,
        ending,
        limits: Limits::default(),
    };
    let source = Source::Files {
        certificate: folder.join("tls.crt"),
        key: folder.join("tls.key"),
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::bind(any, source, parts, exposition).await.unwrap();
    let address = server.local_addr().unwrap();
    let mut trust = server.readiness().trust;
    tokio::spawn(server.serve());
    trust.wait_for(|known| *known).await.unwrap();
    println!("{address}");
    let publish = async {
        let mut clock = tokio::time::interval(PUBLISHED_EACH);
        for turn in 0.. {
            clock.tick().await;
            for number in (turn * PUBLISHED..).take(PUBLISHED) {
                let number = number % METRICS;
                let new = entry(number, i64::try_from(turn).unwrap());
                table.replace(
                    "shop",
                    &[entries[number].clone()],
                    std::slice::from_ref(&new),
                );
                entries[number] = new;
            }
        }
    };
    let report = tokio::task::spawn_blocking(|| {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            println!("{} {}", cpu_us(), peak_kib());
        }
    });
    tokio::select! {
        () = publish => {}
        ended = report => ended.unwrap(),
    }
}

fn entry(number: usize, value: i64) -> Entry {
    Entry {
        metric: metric(number).into(),
        owner: Owner::ScaledObject(object(number).into()),
        outcome: Outcome::Value {
            milli: value * 1_000,
            at: Timestamp::now(),
        },
    }
}

/// User and system time so far.
fn cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks: u64 = [11, 12]
        .iter()
        .map(|i| fields[*i].parse::<u64>().unwrap())
        .sum();
    // A hundred ticks a second on every Linux.
    ticks * 10_000
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}
