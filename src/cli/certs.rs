//! A CA and a serving certificate for the API server's Service: what an APIService needs where no certificate manager is.

use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::args::CertsArgs;

/// Clocks differ; a certificate that begins now would be refused by some.
const BACKDATED: Duration = Duration::from_secs(3600);
const CA_YEARS: u64 = 10;
const LEAF_YEARS: u64 = 1;
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

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
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::default();
    ca.distinguished_name
        .push(DnType::CommonName, "lagscale serving CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    lasting(&mut ca, CA_YEARS);
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::from_params(&ca, &ca_key);

    let (service, namespace) = (&args.service, &args.namespace);
    let names = vec![
        service.clone(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
    ];
    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name
        .push(DnType::CommonName, format!("{service}.{namespace}.svc"));
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    lasting(&mut leaf, LEAF_YEARS);
    let certificate = leaf.signed_by(&key, &issuer)?;

    write(&file("ca.crt"), &ca_certificate.pem(), 0o644)?;
    write(&file("ca.key"), &ca_key.serialize_pem(), 0o600)?;
    write(&file("tls.crt"), &certificate.pem(), 0o644)?;
    write(&file("tls.key"), &key.serialize_pem(), 0o600)?;
    println!(
        "wrote ca.crt, ca.key, tls.crt and tls.key to {} for {service}.{namespace}.svc",
        args.directory.display()
    );
    Ok(())
}

fn lasting(params: &mut CertificateParams, years: u64) {
    let now = std::time::SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + YEAR * u32::try_from(years).unwrap_or(1)).into();
}

fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    options.open(path)?.write_all(text.as_bytes())
}
