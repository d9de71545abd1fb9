//! Signatures that ring does not verify and brokers' certificates have: P-521 at all, and P-256 and P-384 over SHA-512, as company
//! authorities issue them. Go and Java take them. The curves are RustCrypto's.

use std::sync::LazyLock;

use rustls::{
    SignatureScheme,
    crypto::{WebPkiSupportedAlgorithms, ring},
    pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id},
};
use sha2::{Digest, Sha384, Sha512};

/// A curve with a hash.
#[derive(Debug)]
struct Ecdsa {
    curve: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
    verify: Verify,
}

/// Verifies a signature, given the key, the message and it; `None` where they do not belong together.
type Verify = fn(&[u8], &[u8], &[u8]) -> Option<()>;

macro_rules! verify {
    ($curve:ident, $hash:ident) => {
        |key, message, signature| {
            use $curve::ecdsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier};
            let key = VerifyingKey::from_sec1_bytes(key).ok()?;
            let signature = Signature::from_der(signature).ok()?;
            key.verify_prehash(&$hash::digest(message), &signature).ok()
        }
    };
}

static P256_SHA512: Ecdsa = Ecdsa {
    curve: alg_id::ECDSA_P256,
    signature: alg_id::ECDSA_SHA512,
    verify: verify!(p256, Sha512),
};
static P384_SHA512: Ecdsa = Ecdsa {
    curve: alg_id::ECDSA_P384,
    signature: alg_id::ECDSA_SHA512,
    verify: verify!(p384, Sha512),
};
static P521_SHA384: Ecdsa = Ecdsa {
    curve: alg_id::ECDSA_P521,
    signature: alg_id::ECDSA_SHA384,
    verify: verify!(p521, Sha384),
};
static P521_SHA512: Ecdsa = Ecdsa {
    curve: alg_id::ECDSA_P521,
    signature: alg_id::ECDSA_SHA512,
    verify: verify!(p521, Sha512),
};

impl SignatureVerificationAlgorithm for Ecdsa {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        (self.verify)(public_key, message, signature).ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.curve
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

static ALL: LazyLock<Vec<Algorithm>> = LazyLock::new(|| {
    let ours: [Algorithm; 4] = [&P256_SHA512, &P384_SHA512, &P521_SHA384, &P521_SHA512];
    let rings = ring::default_provider().signature_verification_algorithms;
    rings.all.iter().copied().chain(ours).collect()
});

static HANDSHAKE: [Algorithm; 1] = [&P521_SHA512];
static MAPPING: LazyLock<Vec<(SignatureScheme, &'static [Algorithm])>> = LazyLock::new(|| {
    let ours = (SignatureScheme::ECDSA_NISTP521_SHA512, &HANDSHAKE[..]);
    let rings = ring::default_provider().signature_verification_algorithms;
    rings.mapping.iter().copied().chain([ours]).collect()
});

/// Signatures that are taken of a broker: all that ring verifies, and these.
pub(super) fn algorithms() -> WebPkiSupportedAlgorithms {
    WebPkiSupportedAlgorithms {
        all: &ALL,
        mapping: &MAPPING,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        RootCertStore,
        client::danger::ServerCertVerifier,
        crypto::CryptoProvider,
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    };

    use super::*;
    use crate::kafka::tls::verify::Verifier;

    fn certificate(pem: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
    }

    fn verifies(
        ca: &str,
        cert: &[u8],
        algorithms: WebPkiSupportedAlgorithms,
    ) -> Result<(), String> {
        let provider = CryptoProvider {
            signature_verification_algorithms: algorithms,
            ..ring::default_provider()
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate(ca)).unwrap();
        let verifier = Verifier::anchored(Arc::new(roots), Vec::new(), Arc::new(provider)).unwrap();
        let (cert, name) = (
            CertificateDer::from(cert),
            ServerName::try_from("localhost").unwrap(),
        );
        let judgement = verifier.verify_server_cert(&cert, &[], &name, &[], UnixTime::now());
        judgement.map(drop).map_err(|e| e.to_string())
    }

    macro_rules! chain {
        ($name:literal) => {
            (
                $name,
                include_str!(concat!("../../../tests/cases/tls/", $name, "-ca.pem")),
                include_str!(concat!("../../../tests/cases/tls/", $name, "-cert.pem")),
            )
        };
    }

    /// A report from outside (R09).
    #[test]
    fn chains_of_other_curves_and_hashes_verify_and_a_changed_one_does_not() {
        let rings = ring::default_provider().signature_verification_algorithms;
        for (name, ca, cert) in [
            chain!("p521"),
            chain!("p521-sha384"),
            chain!("p384-sha512"),
            chain!("p256-sha512"),
        ] {
            let cert = certificate(cert);
            assert_eq!(verifies(ca, &cert, algorithms()), Ok(()), "{name}");
            assert!(
                verifies(ca, &cert, rings).is_err(),
                "{name}: ring alone takes it"
            );
            let mut changed = cert.to_vec();
            // A byte of the signature, which stands last.
            *changed.last_mut().unwrap() ^= 1;
            let error = verifies(ca, &changed, algorithms()).unwrap_err();
            assert!(error.contains("BadSignature"), "{name}: {error}");
        }
    }
}
