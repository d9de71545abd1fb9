//! The verification of a broker's certificate: one that a trusted authority vouches for, or exactly the certificate that is
//! configured as `ca`; everybody where the user says so.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use x509_parser::{extensions::ExtendedKeyUsage, parse_x509_certificate, time::ASN1Time};

use super::error::TlsError;

/// The handshake is checked in any case; who answers as `trust` says.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Trust {
    /// `unsafeSsl: "true"`.
    Anyone,
    /// As rustls does. Only what it refuses is compared, byte for byte, with the configured certificates: a certificate that is
    /// its own authority is no end entity to rustls, while Java, Go and OpenSSL take it once it is trusted itself.
    Anchored {
        usual: Arc<WebPkiServerVerifier>,
        anchors: Vec<CertificateDer<'static>>,
    },
}

impl Verifier {
    /// Lets anybody answer.
    pub(super) fn anyone(provider: &CryptoProvider) -> Self {
        Self {
            trust: Trust::Anyone,
            algorithms: provider.signature_verification_algorithms,
        }
    }

    /// `roots` with the `anchors` among them, which are the user's own.
    pub(super) fn anchored(
        roots: Arc<RootCertStore>,
        anchors: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let algorithms = provider.signature_verification_algorithms;
        let usual = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|_| TlsError::NoRoots)?;
        Ok(Self {
            trust: Trust::Anchored { usual, anchors },
            algorithms,
        })
    }
}

/// The checks that are left of a certificate that is trusted itself: its name, its time, and whether it is for servers.
fn fits(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let bad = |e| Error::InvalidCertificate(e);
    verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
    let (_, parsed) =
        parse_x509_certificate(certificate).map_err(|_| bad(CertificateError::BadEncoding))?;
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let now = ASN1Time::from_timestamp(seconds).map_err(|_| Error::FailedToGetCurrentTime)?;
    let validity = parsed.validity();
    if now > validity.not_after {
        return Err(bad(CertificateError::Expired));
    }
    if now < validity.not_before {
        return Err(bad(CertificateError::NotValidYet));
    }
    let usage = parsed
        .extended_key_usage()
        .map_err(|_| bad(CertificateError::BadEncoding))?;
    let serves = |usage: &ExtendedKeyUsage<'_>| usage.any || usage.server_auth;
    if usage.is_some_and(|u| !serves(u.value)) {
        return Err(bad(CertificateError::InvalidPurpose));
    }
    Ok(())
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Trust::Anchored { usual, anchors } = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        match usual.verify_server_cert(end_entity, intermediates, name, ocsp, now) {
            Err(_) if anchors.iter().any(|a| a == end_entity) => {
                fits(end_entity, name, now).map(|()| ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
        IsCa, Issuer, KeyPair, date_time_ymd,
    };

    use super::*;

    /// 2026-01-01, within the years of [`params`].
    const NOW: u64 = 1_767_225_600;

    fn params(is_ca: IsCa) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["kafka".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "itself");
        params.is_ca = is_ca;
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        params
    }

    fn itself(params: &CertificateParams) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    fn check(
        presented: &CertificateDer<'_>,
        configured: &CertificateDer<'static>,
        name: &str,
        now: u64,
    ) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(configured.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            Verifier::anchored(Arc::new(roots), vec![configured.clone()], provider).unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let result = verifier.verify_server_cert(presented, &[], &name, &[], now);
        result.map(drop)
    }

    #[test]
    fn a_certificate_that_is_its_own_authority_is_taken_where_it_is_the_configured_one() {
        let authority = IsCa::Ca(BasicConstraints::Unconstrained);
        for kind in [authority, IsCa::ExplicitNoCa, IsCa::NoCa] {
            let certificate = itself(&params(kind));
            check(&certificate, &certificate, "kafka", NOW).unwrap();
        }
    }

    #[test]
    fn so_is_a_leaf_that_is_configured_itself() {
        let key = KeyPair::generate().unwrap();
        let mut of = params(IsCa::Ca(BasicConstraints::Unconstrained));
        of.distinguished_name.push(DnType::CommonName, "authority");
        let leaf = params(IsCa::NoCa)
            .signed_by(&KeyPair::generate().unwrap(), &Issuer::new(of, key))
            .unwrap();
        check(leaf.der(), leaf.der(), "kafka", NOW).unwrap();
    }

    #[test]
    fn its_name_its_time_its_purpose_and_every_byte_count() {
        let authority = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = itself(&params(authority));
        let refused = |error: Result<(), Error>| match error {
            Err(Error::InvalidCertificate(error)) => error.to_string(),
            other => panic!("{other:?}"),
        };
        let name = refused(check(&certificate, &certificate, "other", NOW));
        assert!(name.contains("not valid for name"), "{name}");
        let year = 366 * 86_400;
        let late = check(&certificate, &certificate, "kafka", NOW + 2 * year);
        assert_eq!(late, Err(CertificateError::Expired.into()));
        let early = check(&certificate, &certificate, "kafka", NOW - 2 * year);
        assert_eq!(early, Err(CertificateError::NotValidYet.into()));
        // Same names, same years, another key.
        let other = itself(&params(authority));
        refused(check(&other, &certificate, "kafka", NOW));
        let mut clients_only = params(authority);
        clients_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = itself(&clients_only);
        let purpose = check(&certificate, &certificate, "kafka", NOW);
        assert_eq!(purpose, Err(CertificateError::InvalidPurpose.into()));
    }
}
