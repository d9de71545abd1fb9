//! The promises, on a real control plane and a real Kafka. One bed serves all scenarios that stop nothing; they mostly
//! wait, so they run side by side. tests/README.md says what each file costs.
// Test code without `#[test]`: an unwrap that fails is a failed scenario.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::large_futures
)]

mod access;
mod admission;
mod ask;
mod authentication;
mod bad_input;
mod bounds;
mod brokers;
mod elections;
mod expiry;
mod faults;
mod groups;
mod helm;
mod install;
mod lag;
mod lag_metrics;
mod leadership;
mod load;
mod metrics;
mod native_sleep;
mod objects;
mod olm;
mod options;
mod overlays;
mod ownership;
mod page;
mod prometheus;
mod replicas;
mod restarts;
mod rollouts;
mod rotation;
mod scene;
mod secrets;
mod security;
mod story;
mod token_endpoint;
mod transactions;
mod truth;
mod world;
mod writes;

use std::{sync::Arc, time::Instant};

use bed::{BedOptions, ControlPlaneOptions};
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::{runtime::Runtime, sync::OnceCell};
use world::{World, Yard};

/// Starts at the first scenario that needs it.
#[derive(Clone)]
struct Shared {
    runtime: Arc<Runtime>,
    world: Arc<OnceCell<World>>,
    yard: Arc<OnceCell<Yard>>,
}

impl Shared {
    /// A scenario of the shared bed.
    fn trial<F>(&self, name: &str, scenario: F) -> Trial
    where
        F: AsyncFn(&World) + Send + 'static,
    {
        let shared = self.clone();
        timed(name, move || {
            shared.runtime.clone().block_on(async {
                let page = format!("--status-page-listen={}", page::address());
                let args = [
                    &*page,
                    "--metrics-names=kafka_exporter,keda",
                    "--metrics-per-partition",
                    authentication::AUDIENCES,
                ];
                let control_plane = ControlPlaneOptions {
                    // On by default from Kubernetes 1.37 on.
                    feature_gates: Some("HPAScaleToZero=true".into()),
                    ..ControlPlaneOptions::default()
                };
                let options = BedOptions {
                    control_plane,
                    ..BedOptions::default()
                };
                let start = || World::start(options, &args);
                scenario(shared.world.get_or_init(start).await).await;
            });
        })
    }

    /// A scenario that starts its own processes of lagscale, on the bed for those.
    fn counted<F>(&self, name: &str, scenario: F) -> Trial
    where
        F: AsyncFn(&Yard) + Send + 'static,
    {
        let shared = self.clone();
        timed(name, move || {
            shared.runtime.clone().block_on(async {
                scenario(shared.yard.get_or_init(Yard::start).await).await;
            });
        })
    }

    /// Ends the beds that were started, and keeps their logs if something failed.
    fn end(&mut self, failed: bool) {
        let _inside = self.runtime.enter();
        let world = Arc::into_inner(std::mem::take(&mut self.world));
        let world = world.and_then(OnceCell::into_inner);
        let yard = Arc::into_inner(std::mem::take(&mut self.yard));
        let yard = yard.and_then(OnceCell::into_inner);
        // Processes end before what they run on.
        let (world, lagscale) = world.map(|w| (w.bed, w.lagscale)).unzip();
        drop(lagscale);
        for mut bed in world.into_iter().chain(yard.map(|y| y.bed)) {
            if failed {
                eprintln!("logs are kept in {}", bed.keep().display());
            }
        }
    }

    /// A scenario with a bed of its own.
    fn alone<F>(&self, name: &str, scenario: F) -> Trial
    where
        F: AsyncFn() + Send + 'static,
    {
        let runtime = self.runtime.clone();
        timed(name, move || runtime.block_on(scenario()))
    }
}

/// Says what a scenario cost.
fn timed(name: &str, scenario: impl FnOnce() + Send + 'static) -> Trial {
    let said = name.to_owned();
    Trial::test(name, move || {
        let begin = Instant::now();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(scenario));
        eprintln!("{said}: {} s", begin.elapsed().as_secs());
        done.map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Failed::from(text.unwrap_or("panicked").to_owned())
        })
    })
}

fn main() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    let mut args = Arguments::from_args();
    // They mostly wait, but sixty that begin at once outlast each other's deadlines on two cores.
    args.test_threads.get_or_insert(24);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut shared = Shared {
        runtime: Arc::new(runtime),
        world: Arc::default(),
        yard: Arc::default(),
    };
    // The longest begin first.
    let files = [
        faults::trials,
        install::trials,
        olm::trials,
        story::trials,
        bounds::trials,
        brokers::trials,
        secrets::trials,
        security::trials,
        rollouts::trials,
        rotation::trials,
        access::trials,
        admission::trials,
        ask::trials,
        authentication::trials,
        bad_input::trials,
        elections::trials,
        groups::trials,
        lag::trials,
        lag_metrics::trials,
        metrics::trials,
        native_sleep::trials,
        objects::trials,
        ownership::trials,
        page::trials,
        prometheus::trials,
        transactions::trials,
        truth::trials,
        options::trials,
    ];
    let trials = files.iter().flat_map(|file| file(&shared)).collect();
    let first = libtest_mimic::run(&args, trials);
    shared.end(first.has_failed());
    // A scenario that counts writes has the machine for itself.
    let counting = [
        expiry::trials,
        leadership::trials,
        replicas::trials,
        restarts::trials,
        writes::trials,
    ];
    let trials = counting.iter().flat_map(|file| file(&shared)).collect();
    let second = libtest_mimic::run(&args, trials);
    shared.end(second.has_failed());
    first.exit_if_failed();
    second.exit()
}
