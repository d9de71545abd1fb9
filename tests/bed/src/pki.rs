//! Certificate authorities and what they sign; each purpose has one of its own.

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};

/// A private certificate authority.
pub struct Ca {
    params: CertificateParams,
    key: KeyPair,
    /// Its certificate.
    pub pem: String,
}

/// A certificate with its key, as PEM.
pub struct Identity {
    /// The certificate.
    pub cert: String,
    /// PKCS#8.
    pub key: String,
}

impl Ca {
    /// A new authority of this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a CA").pem();
        Self { params, key, pem }
    }

    /// A server's certificate that is its own authority, as some clusters of one broker have it.
    pub fn itself(name: &str, sans: &[&str]) -> Identity {
        let sans: Vec<String> = sans.iter().map(|s| (*s).to_owned()).collect();
        let mut params = CertificateParams::new(sans).expect("valid names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate");
        Identity {
            cert: cert.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Signs a certificate as it is asked for, as PEM.
    pub fn issue(&self, params: &CertificateParams, key: &KeyPair) -> String {
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(key, &issuer).expect("a certificate").pem()
    }

    /// Signs a certificate for client and server use; `sans` are DNS names or IP addresses.
    pub fn sign(&self, name: &str, organisation: Option<&str>, sans: &[&str]) -> Identity {
        let sans: Vec<String> = sans.iter().map(|s| (*s).to_owned()).collect();
        let mut params = CertificateParams::new(sans).expect("valid names");
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(organisation) = organisation {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organisation);
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        Identity {
            cert: self.issue(&params, &key),
            key: key.serialize_pem(),
        }
    }
}

impl Identity {
    /// Writes `<name>.crt` and `<name>.key` into `dir`.
    pub fn write(&self, dir: &Path, name: &str) {
        std::fs::write(dir.join(format!("{name}.crt")), &self.cert).expect("a certificate file");
        std::fs::write(dir.join(format!("{name}.key")), &self.key).expect("a key file");
    }
}
