//! The user behind a request: the front proxy's word where its certificate is verified, else the certificate's own name, else nobody.
//! Headers of anybody but the front proxy are never looked at.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderValue, header};
use rustls::{
    pki_types::{CertificateDer, UnixTime},
    server::danger::ClientCertVerifier,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::server::{
    guest::{Guest, Standing},
    request::reviews::Unanswered,
    request::tokens::Tokens,
    request::trust::Trust,
    request::user::User,
};

/// Certificates expire while connections last.
const STANDS: Duration = Duration::from_secs(30);

/// The client of one connection: its certificate chain, leaf first, judged once per published trust.
#[derive(Debug)]
pub(in crate::server) struct Peer {
    chain: Vec<CertificateDer<'static>>,
    subject: OnceLock<Subject>,
    judged: ArcSwapOption<(Arc<Trust>, Judgement)>,
    pub guest: Arc<Guest>,
}

#[derive(Clone, Debug, Default)]
struct Subject {
    common_name: String,
    organizations: Vec<String>,
    /// SHA-256 of the certificate, by which an audit log names it.
    fingerprint: String,
}

#[derive(Clone, Copy, Debug)]
struct Judgement {
    at: Instant,
    front_proxy: bool,
    client: bool,
}

/// Why nobody is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::server) enum Refused {
    /// Some credential was shown and none was good.
    Unknown,
    /// Whose token it is can't be asked now: too many ask.
    Busy(Unanswered),
}

impl Peer {
    /// A connection whose client showed `chain`.
    pub fn new(chain: Vec<CertificateDer<'static>>, guest: Arc<Guest>) -> Self {
        Self {
            chain,
            subject: OnceLock::new(),
            judged: ArcSwapOption::empty(),
            guest,
        }
    }

    /// The worth of its certificate.
    pub fn standing(&self, trust: Option<&Arc<Trust>>) -> Standing {
        let Some(trust) = trust.filter(|_| !self.chain.is_empty()) else {
            return Standing::Stranger;
        };
        let judgement = self.judge(trust);
        if judgement.front_proxy {
            Standing::FrontProxy
        } else if judgement.client {
            Standing::Certificate
        } else {
            Standing::Stranger
        }
    }

    fn subject(&self) -> &Subject {
        self.subject.get_or_init(|| {
            let certificate = self.chain.first();
            let parsed = certificate.and_then(|c| X509Certificate::from_der(c).ok());
            let Some((_, parsed)) = parsed else {
                return Subject::default();
            };
            let subject = parsed.subject();
            let text = |a: &x509_parser::x509::AttributeTypeAndValue<'_>| {
                a.as_str().unwrap_or_default().to_owned()
            };
            Subject {
                // The last of several counts, as in Go and so for whoever signed it.
                common_name: subject
                    .iter_common_name()
                    .last()
                    .map(text)
                    .unwrap_or_default(),
                organizations: subject.iter_organization().map(text).collect(),
                fingerprint: self.chain.first().map(fingerprint).unwrap_or_default(),
            }
        })
    }

    fn judge(&self, trust: &Arc<Trust>) -> Judgement {
        if let Some(judged) = &*self.judged.load()
            && Arc::ptr_eq(&judged.0, trust)
            && judged.1.at.elapsed() < STANDS
        {
            return judged.1;
        }
        let judgement = Judgement {
            at: Instant::now(),
            front_proxy: self.verified_by(trust.front_proxy.as_deref())
                && (trust.allowed_names.is_empty()
                    || trust.allowed_names.contains(&self.subject().common_name)),
            client: self.verified_by(trust.clients.as_deref()),
        };
        self.judged
            .store(Some(Arc::new((trust.clone(), judgement))));
        judgement
    }

    fn verified_by(&self, authority: Option<&dyn ClientCertVerifier>) -> bool {
        let (Some(authority), Some((leaf, intermediates))) = (authority, self.chain.split_first())
        else {
            return false;
        };
        authority
            .verify_client_cert(leaf, intermediates, UnixTime::now())
            .is_ok()
    }
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let mut text = String::with_capacity(64);
    for byte in digest.as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Finds out who asks.
pub(in crate::server) struct Authenticator {
    pub trust: Arc<ArcSwapOption<Trust>>,
    pub tokens: Tokens,
}

impl Authenticator {
    /// The sender of a request with these headers over this connection: by the front proxy's word, by their own certificate, by
    /// their token, in this order. Without any credential it is `system:anonymous`. With it comes
    /// what was shown for it.
    pub async fn authenticate(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
    ) -> Result<(User, Standing), Refused> {
        let trust = self.trust.load();
        if let Some(trust) = trust.as_ref().filter(|_| !peer.chain.is_empty()) {
            let judgement = peer.judge(trust);
            let proxied = || forwarded(trust, headers);
            let user = judgement.front_proxy.then(proxied).flatten();
            let user = user.or_else(|| judgement.client.then(|| own(peer)).flatten());
            if let Some(user) = user {
                return Ok((authenticated(user), peer.standing(Some(trust))));
            }
        }
        if let Some(token) = bearer(headers) {
            let user = self.tokens.user(token).await.map_err(|error| match error {
                Unanswered::Failed(_) => Refused::Unknown,
                busy @ Unanswered::Busy(_) => Refused::Busy(busy),
            })?;
            let user = user.ok_or(Refused::Unknown)?;
            return Ok((authenticated(User::clone(&user)), Standing::Token));
        }
        if peer.chain.is_empty() {
            Ok((anonymous(), Standing::Stranger))
        } else {
            Err(Refused::Unknown)
        }
    }
}

/// A bearer token; any other credential of this header is ignored, as the reference does.
pub(in crate::server) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim_start().split(' ').next().unwrap_or_default();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn anonymous() -> User {
    User {
        name: "system:anonymous".into(),
        groups: vec!["system:unauthenticated".into()],
        ..User::default()
    }
}

/// kube-apiserver's own helpers arrive without groups and are let in by this one.
fn authenticated(mut user: User) -> User {
    const GROUPS: [&str; 2] = ["system:authenticated", "system:unauthenticated"];
    if user.name != "system:anonymous" && !user.groups.iter().any(|g| GROUPS.contains(&g.as_str()))
    {
        user.groups.push(GROUPS[0].into());
    }
    user
}

fn own(peer: &Peer) -> Option<User> {
    let subject = peer.subject();
    (!subject.common_name.is_empty()).then(|| User {
        name: subject.common_name.clone(),
        groups: subject.organizations.clone(),
        extra: BTreeMap::from([(
            "authentication.kubernetes.io/credential-id".to_owned(),
            vec![format!("X509SHA256={}", subject.fingerprint)],
        )]),
        ..User::default()
    })
}

pub(in crate::server) fn forwarded(trust: &Trust, headers: &HeaderMap) -> Option<User> {
    let all = |names: &[String]| -> Vec<String> {
        let values = names.iter().flat_map(|n| headers.get_all(n.as_str()));
        let texts = values.filter_map(text);
        texts.filter(|v| !v.is_empty()).map(str::to_owned).collect()
    };
    let name = all(&trust.username).into_iter().next()?;
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (header, value) in headers {
        let mut prefixes = trust.extra.iter().map(|p| p.to_ascii_lowercase());
        let key = prefixes.find_map(|p| header.as_str().strip_prefix(p.as_str()));
        if let (Some(key), Some(value)) = (key, text(value)) {
            extra
                .entry(unescaped(key))
                .or_default()
                .push(value.to_owned());
        }
    }
    Some(User {
        name,
        uid: all(&trust.uid).into_iter().next().unwrap_or_default(),
        groups: all(&trust.group),
        extra,
    })
}

/// A value as kube-apiserver writes it: names of users and groups are UTF-8.
fn text(value: &HeaderValue) -> Option<&str> {
    std::str::from_utf8(value.as_bytes()).ok()
}

/// As Go's `url.PathUnescape`: a key with a broken escape stays as it is.
fn unescaped(key: &str) -> String {
    let hex = |at: usize| key.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    let broken = key
        .match_indices('%')
        .any(|(at, _)| !(hex(at + 1) && hex(at + 2)));
    if broken {
        return key.to_owned();
    }
    let decoded = percent_encoding::percent_decode_str(key);
    decoded.decode_utf8_lossy().into_owned()
}
