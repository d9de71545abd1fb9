//! `make compare`: the same work through KEDA and through lagscale, each on a bed of its own on this machine, one after the
//! other. Writes target/compare.json, a line for each side and size, and from it docs/compare.md with its charts.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a part that does not start is said by the panic"
)]

mod chart;
mod costs;
mod latency;
mod lines;
mod report;
mod run;
mod side;
mod story;
mod two;
mod work;

use std::path::PathBuf;

use bed::{KedaOptions, parts, root, shipped};
use clap::Parser;

use crate::{
    lines::Lines,
    run::{EXAMINED, Run},
    side::Kind,
};

/// Costs of KEDA and lagscale for the same work.
#[derive(Parser)]
struct Args {
    /// The release of KEDA: 2.21.0 or 2.20.2.
    #[arg(long, default_value = parts::KEDA.version)]
    keda: String,
    /// The binary of lagscale; by default the one that `make static` built.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Numbers of objects for lagscale.
    #[arg(long, num_args = 0.., value_delimiter = ',', default_value = "10,100,1000,3000,10000")]
    sizes: Vec<usize>,
    /// Numbers of objects for KEDA with the limits that it has by default.
    #[arg(long, num_args = 0.., value_delimiter = ',', default_value = "10,100,1000")]
    keda_sizes: Vec<usize>,
    /// Numbers of objects for KEDA with `--kube-api-qps=200`.
    #[arg(long, num_args = 0.., value_delimiter = ',', default_value = "1000")]
    raised_sizes: Vec<usize>,
    /// Two lagscales with so many objects each, printed and in no report; nothing else is measured.
    #[arg(long, value_name = "OBJECTS")]
    two: Option<usize>,
    /// Brokers in a further run with 1 000 objects, for KEDA with `--kube-api-qps=200` and for lagscale; 0: none.
    #[arg(long, default_value_t = 12)]
    brokers: usize,
    /// The story is not played.
    #[arg(long)]
    skip_story: bool,
    /// Lines of the last run stay but for those that are measured now; with no sizes, brokers or story, the report is only written anew.
    #[arg(long)]
    further: bool,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no provider yet");
    if let Some(objects) = args.two {
        let binary = args.binary.clone().unwrap_or_else(shipped);
        for line in two::play(&binary, objects).await {
            println!("{line}");
        }
        return;
    }
    let path = root().join("target/compare.json");
    let mut lines = if args.further {
        Lines::read(path)
    } else {
        Lines::new(path)
    };
    measure(&args, &mut lines).await;
    report::write(&root().join("docs"), lines.all());
}

async fn measure(args: &Args, lines: &mut Lines) {
    let release = parts::release(&args.keda).expect("--keda is 2.21.0 or 2.20.2");
    let keda = |kube_api_qps| {
        Kind::Keda(KedaOptions {
            release,
            kube_api_qps,
            ..KedaOptions::default()
        })
    };
    let binary = args.binary.clone().unwrap_or_else(shipped);
    let runs = [
        (keda(None), &args.keda_sizes),
        (keda(Some(200)), &args.raised_sizes),
        (Kind::Lagscale(binary), &args.sizes),
    ];
    if !args.skip_story {
        for kind in [&runs[0].0, &runs[2].0] {
            lines.push(story::play(kind).await);
        }
    }
    for (kind, sizes) in &runs {
        if !sizes.is_empty() {
            let run = Run::start(kind.clone(), 1).await;
            run.play(sizes, lines).await;
        }
    }
    if args.brokers > 0 {
        for kind in [&runs[1].0, &runs[2].0] {
            let run = Run::start(kind.clone(), args.brokers).await;
            run.play(&[EXAMINED], lines).await;
        }
    }
}
