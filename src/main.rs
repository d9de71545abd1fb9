//! The binary: installs the crypto provider, parses, runs, exits with a code.

use std::{future::Future, process::ExitCode};

use clap::Parser;
use lagscale::{
    args::{Cli, Command},
    cli::{self, Done},
    run,
};

#[cfg(target_arch = "x86_64")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    if rustls::crypto::ring::default_provider()
        .install_default()
        .is_err()
    {
        eprintln!("lagscale: a crypto provider is installed already");
        return ExitCode::FAILURE;
    }
    let args = Cli::parse();
    let done = match args.command {
        None => run::run(args.run).map(|()| true),
        Some(Command::Lag(args)) => waited(cli::lag(&args)),
        Some(Command::Peek(args)) => waited(cli::peek(&args)),
        Some(Command::Check(args)) => waited(cli::check(&args)),
        Some(Command::Explain(args)) => waited(cli::explain(&args)),
        Some(Command::Top(args)) => waited(cli::top(&args)),
        Some(Command::Crd) => cli::crds(),
        Some(Command::Certs(certs)) => cli::certs(&certs).map(|()| true),
        Some(Command::Completions(args)) => {
            lagscale::args::completions(&args);
            Ok(true)
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lagscale: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does a command's work on this thread.
fn waited(work: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    // Dials in progress are not waited for.
    runtime.shutdown_background();
    done
}
