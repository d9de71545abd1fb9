//! TLS towards brokers: system roots and the user's CA, an own certificate, or no verification where the user says so.

mod curves;
mod error;
mod key;
mod roots;
mod verify;

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, pem::PemObject},
};

use super::Cause;
use curves::algorithms;
pub use error::TlsError;
pub use key::Key;
use verify::Verifier;

/// TLS settings of a trigger and its authentication. PEM texts.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Trusted beside the system's roots.
    pub ca: Option<String>,
    /// Our certificate chain, with `key`.
    pub cert: Option<String>,
    /// The private key of `cert`.
    pub key: Option<Key>,
    /// Accept any certificate.
    pub unsafe_ssl: bool,
}

impl Tls {
    /// The client's side of a handshake. A rotated bundle of the system counts within a minute.
    /// May read files, and may take a second for an encrypted key the first time.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(CryptoProvider {
            signature_verification_algorithms: algorithms(),
            ..ring::default_provider()
        });
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::Pair(e.to_string()))?;
        let verifier = if self.unsafe_ssl {
            Verifier::anyone(&provider)
        } else {
            let (roots, own) = self.roots()?;
            Verifier::anchored(roots, own, provider)?
        };
        let builder = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => builder
                .with_client_auth_cert(certificates("cert", cert)?, key.open()?)
                .map_err(|e| TlsError::Pair(e.to_string()))?,
            _ => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    /// Makes the configuration away from the threads that serve others.
    pub(in crate::kafka) async fn prepared(&self) -> Result<Arc<ClientConfig>, Cause> {
        let tls = self.clone();
        let made = tokio::task::spawn_blocking(move || tls.client_config()).await;
        let made = made.map_err(|e| Cause::Setting(e.to_string()))?;
        made.map_err(|e| Cause::Setting(e.to_string()))
    }

    /// The system's roots, with the user's, and the user's alone.
    fn roots(&self) -> Result<(Arc<RootCertStore>, Vec<CertificateDer<'static>>), TlsError> {
        let system = roots::system();
        let Some(ca) = &self.ca else {
            return Ok((system, Vec::new()));
        };
        let own = certificates("ca", ca)?;
        let mut roots = RootCertStore::clone(&system);
        for certificate in &own {
            roots
                .add(certificate.clone())
                .map_err(|_| TlsError::BadCertificate { parameter: "ca" })?;
        }
        Ok((Arc::new(roots), own))
    }
}

fn certificates(
    parameter: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TlsError::BadCertificate { parameter })?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { parameter });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_without_a_certificate_is_refused_by_its_parameter() {
        let tls = Tls {
            ca: Some("nothing".into()),
            ..Tls::default()
        };
        assert_eq!(
            tls.client_config().unwrap_err(),
            TlsError::NoCertificate { parameter: "ca" }
        );
    }

    #[test]
    fn wrong_bytes_are_refused_by_their_parameter() {
        let key = rcgen::KeyPair::generate().unwrap();
        let other = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["us".to_owned()]).unwrap();
        let cert = params.self_signed(&key).unwrap().pem();
        let broken = cert.replace("MII", "!II");
        let tls = |ca: Option<&str>, cert: &str, key: &str| Tls {
            ca: ca.map(Into::into),
            cert: Some(cert.into()),
            key: Some(Key::new(key.into(), None)),
            unsafe_ssl: false,
        };
        let good = key.serialize_pem();
        for (tls, text) in [
            (
                tls(Some(&broken), &cert, &good),
                "ca: not a valid PEM certificate",
            ),
            (
                tls(Some(&good), &cert, &good),
                "ca: no PEM certificate found",
            ),
            (tls(None, "cert", &good), "cert: no PEM certificate found"),
            (
                tls(None, &broken, &good),
                "cert: not a valid PEM certificate",
            ),
            (tls(None, &cert, &cert), "key: not a PEM private key"),
            (
                tls(None, &cert, &other.serialize_pem()),
                "cert and key can't be used together",
            ),
        ] {
            let error = tls.client_config().unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
        tls(Some(&cert), &cert, &good).client_config().unwrap();
    }

    #[test]
    fn a_private_key_is_never_printed() {
        let tls = Tls {
            key: Some(Key::new("very secret".into(), Some("also secret".into()))),
            ..Tls::default()
        };
        let text = format!("{tls:?}");
        assert!(!text.contains("secret"), "{text}");
    }
}
