//! What the binary does besides running: print the CRDs, write certificates.

mod certs;

use std::{error::Error, io::Write};

pub use certs::certs;

/// Prints the custom resource definitions as YAML.
pub fn crds() -> Result<(), Box<dyn Error>> {
    let yaml = crate::resources::crds()?;
    std::io::stdout().write_all(yaml.as_bytes())?;
    Ok(())
}
