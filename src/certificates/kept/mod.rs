//! Pure: what the Secret holds, and what it is to hold next. A change of the CA takes three steps, each of which every client
//! and every replica can follow before the next: the new CA is trusted beside the old one, then the certificate is its, then
//! the old one goes. How far a change has come is told by the certificates' own times, so whoever leads goes on with it.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    time::{Duration, SystemTime},
};

use k8s_openapi::ByteString;
use rcgen::{KeyPair, PublicKeyData};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::issue::{self, BACKDATED, Issued};

/// How long things last.
#[derive(Clone, Copy, Debug)]
pub struct Spans {
    /// A CA.
    pub authority: Duration,
    /// A serving certificate; not longer than its CA.
    pub leaf: Duration,
    /// From one step of a change to the next: for kube-apiservers to trust a new CA, and for replicas to load a certificate.
    pub overlap: Duration,
}

/// The content of the Secret. Its first CA is the one that signs.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// PEM, one after the other.
    pub bundle: String,
    /// PEM of the key of the first CA in the bundle.
    pub ca_key: String,
    /// The certificate that is served.
    pub certificate: String,
    /// Its key.
    pub key: String,
    /// The end of a webhook's path, told only to kube-apiserver: 128 random bits in hexadecimal.
    pub secret_path: String,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

const KEYS: [&str; 5] = ["ca.crt", "ca.key", "tls.crt", "tls.key", "webhook.path"];
/// Letters of a secret path.
const PATH: usize = 32;
/// Clocks differ by less; a certificate that begins later was made by one that was wrong.
const SKEW: Duration = Duration::from_secs(300);

impl Kept {
    /// As a Secret holds it; what is missing is empty.
    #[must_use]
    pub fn read(data: &BTreeMap<String, ByteString>) -> Self {
        let text = |key: &str| {
            let bytes = data.get(key).map(|b| b.0.clone()).unwrap_or_default();
            String::from_utf8(bytes).unwrap_or_default()
        };
        let [bundle, ca_key, certificate, key, secret_path] = KEYS.map(text);
        Self {
            bundle,
            ca_key,
            certificate,
            key,
            secret_path,
        }
    }

    /// As a Secret is to hold it.
    #[must_use]
    pub fn write(&self) -> BTreeMap<String, ByteString> {
        let texts = [
            &self.bundle,
            &self.ca_key,
            &self.certificate,
            &self.key,
            &self.secret_path,
        ];
        let pairs = KEYS.iter().zip(texts);
        let pairs = pairs.map(|(k, t)| ((*k).to_owned(), ByteString(t.clone().into_bytes())));
        pairs.collect()
    }

    /// The next state, and why; `None` where it is as it should be. `trusted`: whether everybody who is told whom to
    /// trust was told of the first CA.
    pub fn next(
        &self,
        names: &[String],
        trusted: bool,
        spans: Spans,
        now: SystemTime,
    ) -> Result<Option<(Self, Step)>, rcgen::Error> {
        let authorities = pems(&self.bundle);
        let newest = authorities.first().map(|pem| (pem, Facts::of(pem)));
        let Some((newest_pem, Some(newest))) = newest else {
            return Self::begin(names, spans, now).map(Some);
        };
        let leaf = Facts::of(&self.certificate).filter(|leaf| {
            leaf.is_valid(now) && leaf.is_for(names) && holds(&self.key, &self.certificate)
        });
        let signer = leaf.as_ref().and_then(|leaf| {
            let signed = |pem: &String| is_signed_by(&self.certificate, pem);
            authorities.iter().position(signed).map(|of| (leaf, of))
        });
        let signs = holds(&self.ca_key, newest_pem) && newest.is_valid(now);
        match signer {
            // Nobody can be served with what is there.
            None if signs => self
                .issue(newest_pem, newest.ends, names, spans, now)
                .map(Some),
            None => Self::begin(names, spans, now).map(Some),
            Some((leaf, 0)) => {
                if !signs || is_late(newest.ends, spans.authority, now) {
                    return self.add(newest_pem, spans, now).map(Some);
                }
                if is_late(leaf.ends, spans.leaf, now) && leaf.ends < newest.ends {
                    return self
                        .issue(newest_pem, newest.ends, names, spans, now)
                        .map(Some);
                }
                if authorities.len() > 1 && leaf.age(now) >= spans.overlap {
                    let kept = Self {
                        bundle: newest_pem.clone(),
                        ..self.clone()
                    };
                    return Ok(Some((kept, Step::Drop)));
                }
                self.hide()
            }
            Some(_) if !signs => Self::begin(names, spans, now).map(Some),
            Some(_) if trusted && newest.age(now) >= spans.overlap => self
                .issue(newest_pem, newest.ends, names, spans, now)
                .map(Some),
            Some(_) => self.hide(),
        }
    }

    /// A secret path, where there is none.
    fn hide(&self) -> Result<Option<(Self, Step)>, rcgen::Error> {
        let hexadecimal = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if self.secret_path.len() == PATH && self.secret_path.bytes().all(hexadecimal) {
            return Ok(None);
        }
        let kept = Self {
            secret_path: secret_path()?,
            ..self.clone()
        };
        Ok(Some((kept, Step::Hide)))
    }

    /// All anew.
    fn begin(
        names: &[String],
        spans: Spans,
        now: SystemTime,
    ) -> Result<(Self, Step), rcgen::Error> {
        let ca = issue::authority(now, spans.authority)?;
        let made = Self {
            bundle: ca.certificate.clone(),
            ca_key: ca.key,
            secret_path: secret_path()?,
            ..Self::default()
        };
        let (made, _) = made.issue(&ca.certificate, now + spans.authority, names, spans, now)?;
        Ok((made, Step::Begin))
    }

    fn add(
        &self,
        before: &str,
        spans: Spans,
        now: SystemTime,
    ) -> Result<(Self, Step), rcgen::Error> {
        let ca = issue::authority(now, spans.authority)?;
        let kept = Self {
            bundle: format!("{}{before}", ca.certificate),
            ca_key: ca.key,
            ..self.clone()
        };
        Ok((kept, Step::Trust))
    }

    fn issue(
        &self,
        ca: &str,
        ca_ends: SystemTime,
        names: &[String],
        spans: Spans,
        now: SystemTime,
    ) -> Result<(Self, Step), rcgen::Error> {
        let until = ca_ends.min(now + spans.leaf);
        let Issued { certificate, key } = issue::leaf(ca, &self.ca_key, names, now, until)?;
        let kept = Self {
            certificate,
            key,
            ..self.clone()
        };
        Ok((kept, Step::Issue))
    }
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There was nothing, or nothing of use.
    Begin,
    /// A new CA, beside the one before.
    Trust,
    /// A new certificate of the first CA.
    Issue,
    /// The CA before is not trusted any more.
    Drop,
    /// The webhooks have a secret path.
    Hide,
}

/// Nobody can guess it.
fn secret_path() -> Result<String, rcgen::Error> {
    let mut random = [0; PATH / 2];
    let filled = SystemRandom::new().fill(&mut random);
    filled.map_err(|_| rcgen::Error::RingUnspecified)?;
    let mut text = String::with_capacity(PATH);
    for byte in random {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Two thirds of its life are over.
fn is_late(ends: SystemTime, life: Duration, now: SystemTime) -> bool {
    ends < now + life / 3
}

struct Facts {
    begins: SystemTime,
    ends: SystemTime,
    names: Vec<String>,
}

impl Facts {
    fn of(pem: &str) -> Option<Self> {
        look(pem, Self::read)?
    }

    fn read(found: &X509Certificate<'_>) -> Option<Self> {
        let at = |seconds: i64| {
            let since = Duration::from_secs(u64::try_from(seconds).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(since)
        };
        let names = found.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names);
        Some(Self {
            begins: at(found.validity().not_before.timestamp())?,
            ends: at(found.validity().not_after.timestamp())?,
            names: names
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some((*name).to_owned()),
                    _ => None,
                })
                .collect(),
        })
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.begins <= now + SKEW && self.ends > now
    }

    fn age(&self, now: SystemTime) -> Duration {
        now.duration_since(self.begins + BACKDATED)
            .unwrap_or_default()
    }

    fn is_for(&self, names: &[String]) -> bool {
        names.iter().all(|name| self.names.contains(name))
    }
}

/// Each certificate of a bundle as PEM of its own, in one spelling.
fn pems(bundle: &str) -> Vec<String> {
    let all = CertificateDer::pem_slice_iter(bundle.as_bytes()).filter_map(Result::ok);
    let all = all.map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der.to_vec())));
    all.map(|text| text.replace("\r\n", "\n")).collect()
}

/// Looks at a certificate, if it is one.
fn look<T>(pem: &str, at: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, found) = X509Certificate::from_der(&der).ok()?;
    Some(at(&found))
}

/// Whether this is the key of that certificate.
fn holds(key: &str, certificate: &str) -> bool {
    let Ok(key) = KeyPair::from_pem(key) else {
        return false;
    };
    let key = key.subject_public_key_info();
    look(certificate, |found| {
        found.tbs_certificate.subject_pki.raw == key
    })
    .unwrap_or(false)
}

fn is_signed_by(certificate: &str, authority: &str) -> bool {
    let signed = look(certificate, |found| {
        look(authority, |authority| {
            found.verify_signature(Some(authority.public_key())).is_ok()
        })
    });
    signed.flatten().unwrap_or(false)
}
