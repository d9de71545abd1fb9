//! A CA and a serving certificate for the API server's Service: what an APIService needs where no certificate manager is.

use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use clap::Args;

use crate::certificates;

const CA_YEARS: u32 = 10;
const LEAF_YEARS: u32 = 1;
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// Flags of `certs`.
#[derive(Debug, Args)]
pub struct CertsArgs {
    /// Folder to write to.
    #[arg(long, default_value = "certs")]
    pub directory: PathBuf,
    /// Namespace of the Service.
    #[arg(long, default_value = "lagscale")]
    pub namespace: String,
    /// Name of the Service.
    #[arg(long, default_value = "lagscale")]
    pub service: String,
    /// Write anew over what is there.
    #[arg(long)]
    pub force: bool,
}

/// Writes `ca.crt`, `ca.key`, `tls.crt` and `tls.key`; never over what is there, unless forced.
pub fn certs(args: &CertsArgs) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(&args.directory)?;
    let file = |name: &str| args.directory.join(name);
    if !args.force && file("tls.crt").exists() {
        println!(
            "{} is there already; --force writes it anew",
            file("tls.crt").display()
        );
        return Ok(());
    }
    let (service, namespace) = (&args.service, &args.namespace);
    let now = SystemTime::now();
    let ca = certificates::authority(now, CA_YEARS * YEAR)?;
    let names = certificates::names(service, namespace);
    let until = now + LEAF_YEARS * YEAR;
    let leaf = certificates::leaf(&ca.certificate, &ca.key, &names, now, until)?;

    write(&file("ca.crt"), &ca.certificate, 0o644)?;
    write(&file("ca.key"), &ca.key, 0o600)?;
    write(&file("tls.crt"), &leaf.certificate, 0o644)?;
    write(&file("tls.key"), &leaf.key, 0o600)?;
    println!(
        "wrote ca.crt, ca.key, tls.crt and tls.key to {} for {service}.{namespace}.svc",
        args.directory.display()
    );
    Ok(())
}

fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    options.open(path)?.write_all(text.as_bytes())
}
