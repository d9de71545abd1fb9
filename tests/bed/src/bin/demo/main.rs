//! `make demo`: plays manifests/samples/story.yaml on a bed, shows it as a table while it happens, and leaves a chart.
// A part that does not start ends the demo, said by the panic.
#![allow(clippy::expect_used, clippy::panic)]

mod chart;
mod story;

use std::process::ExitCode;

use bed::story::{QUICK, REAL, Times};
use clap::{Parser, ValueEnum};

#[derive(Parser)]
struct Args {
    /// quick: minutes; real: the story's own times.
    #[arg(long, value_enum, default_value = "quick")]
    pace: Pace,
    /// Leave it up afterwards, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Pace {
    Quick,
    Real,
}

impl Pace {
    const fn times(self) -> &'static Times {
        match self {
            Self::Quick => &QUICK,
            Self::Real => &REAL,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no provider yet");
    let times = args.pace.times();
    println!("starting etcd, kube-apiserver, kube-controller-manager and Kafka ...");
    let bed = times.bed().await;
    tokio::select! {
        told = story::play(&bed, times, args.keep) => match told {
            Ok(line) => {
                println!("{line}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                println!("story: FAILED: {why}");
                ExitCode::FAILURE
            }
        },
        _ = tokio::signal::ctrl_c() => {
            println!("stopped");
            ExitCode::from(130)
        }
    }
}
