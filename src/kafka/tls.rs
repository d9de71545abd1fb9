//! TLS towards brokers: system roots and the user's CA, an own certificate, or no verification where the user says so.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use secrecy::{ExposeSecret, SecretString};

/// What a trigger and its authentication say about TLS. PEM texts.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Trusted beside the system's roots.
    pub ca: Option<String>,
    /// Our certificate chain, with `key`.
    pub cert: Option<String>,
    /// The private key of `cert`.
    pub key: Option<SecretString>,
    /// Accept any certificate.
    pub unsafe_ssl: bool,
}

/// A TLS setting that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// Nothing in the text is a certificate.
    #[error("{parameter}: no PEM certificate found in it")]
    NoCertificate {
        /// The authentication parameter.
        parameter: &'static str,
    },
    /// A certificate block that does not parse.
    #[error("{parameter}: not a valid PEM certificate")]
    BadCertificate {
        /// The authentication parameter.
        parameter: &'static str,
    },
    /// No usable private key.
    #[error("key: not a PEM private key (PKCS#8, PKCS#1 or SEC1, not encrypted)")]
    BadKey,
    /// The two do not belong together, or the key's kind is unknown.
    #[error("cert and key can't be used together: {0}")]
    Pair(String),
}

impl Tls {
    /// The client's side of a handshake. The roots are read from the system at each call, so a rotated bundle counts.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::Pair(e.to_string()))?;
        let builder = if self.unsafe_ssl {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let config = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let chain = certificates("cert", cert)?;
                let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
                    .map_err(|_| TlsError::BadKey)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|e| TlsError::Pair(e.to_string()))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(ca) = &self.ca {
            for certificate in certificates("ca", ca)? {
                roots
                    .add(certificate)
                    .map_err(|_| TlsError::BadCertificate { parameter: "ca" })?;
            }
        }
        Ok(roots)
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

/// `unsafeSsl: "true"`: the handshake is still checked, who answers is not.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
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
    fn a_private_key_is_never_printed() {
        let tls = Tls {
            key: Some("very secret".into()),
            ..Tls::default()
        };
        assert!(!format!("{tls:?}").contains("very secret"));
    }
}
