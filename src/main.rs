//! The binary: installs the crypto provider, parses, runs, exits with a code.

use std::process::ExitCode;

use clap::Parser;
use lagscale::{
    args::{Cli, Command},
    cli, run,
};

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
        None => run::run(args.run),
        Some(Command::Crds) => cli::crds(),
        Some(Command::Certs(certs)) => cli::certs(&certs),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lagscale: {error}");
            ExitCode::FAILURE
        }
    }
}
