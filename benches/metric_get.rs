//! Cost of a metric GET: `cargo bench --bench metric_get`. A server with 3 000 metrics runs in a process of its own; a
//! client asks it for them in turn, as the HPA controller would through kube-apiserver: 1 000 times a second, then as fast as
//! it is answered. One JSON line.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unused_imports,
    reason = "a program for developers, with the tests' rig"
)]

#[path = "metric_get/client.rs"]
mod client;
#[path = "../tests/api/rig/mod.rs"]
mod rig;
#[path = "metric_get/served.rs"]
mod served;

use tokio::runtime::Builder;

const METRICS: usize = 3_000;

fn metric(number: usize) -> String {
    format!("s0-kafka-orders-of-shop-{number:05}")
}

fn object(number: usize) -> String {
    format!("billing-of-shop-{number:05}")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["serve", folder, cluster] = arguments.as_slice() {
        // One thread for the API, as the binary has it.
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(served::run(folder.as_ref(), cluster));
    }
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    println!("{}", runtime.block_on(client::measure()));
}
