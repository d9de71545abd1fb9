//! A backend: another server of external metrics, how it is trusted, and which questions are its. Pure.

use std::{collections::BTreeSet, fmt};

use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde::Deserialize;

use super::matching::{Example, Matching, Question};
use crate::text::is_dns_label;

/// The variable that names the backends.
const VARIABLE: &str = "LAGSCALE_BACKENDS";
/// More backends than a cluster has servers of external metrics.
const MOST: usize = 16;

/// The Service of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its port.
    #[serde(default = "https")]
    pub port: u16,
}

/// The way a backend's serving certificate is verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// By these CAs, as PEM, for the Service's name.
    Bundle(String),
    /// By the system's roots.
    Roots,
    /// Any certificate.
    Anyone,
}

/// Another server of `external.metrics.k8s.io`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// The name in errors and metrics.
    pub name: String,
    /// Where it is.
    pub service: ServiceRef,
    /// How it is trusted.
    pub trust: Trust,
    matching: Matching,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    name: String,
    service: ServiceRef,
    ca_bundle: Option<String>,
    #[serde(default, rename = "insecureSkipTLSVerify")]
    insecure: bool,
    #[serde(default, rename = "match")]
    matching: Matching,
}

const fn https() -> u16 {
    443
}

impl ServiceRef {
    /// The name in its certificate, which cluster DNS resolves.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }
}

impl fmt::Display for ServiceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service {}/{}", self.namespace, self.name)
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backend {} ({})", self.name, self.service)
    }
}

impl Backend {
    /// A backend that takes every question which nobody before it takes.
    #[must_use]
    pub fn of_the_rest(name: &str, service: ServiceRef, trust: Trust) -> Self {
        Self {
            name: name.to_owned(),
            service,
            trust,
            matching: Matching::default(),
        }
    }

    /// A question that is its, unless one before it takes it.
    #[must_use]
    pub fn example(&self) -> Example {
        self.matching.example()
    }

    /// Whether `question` is its.
    #[must_use]
    pub fn takes(&self, question: &Question<'_>) -> bool {
        self.matching.takes(question)
    }
}

/// Reads the list of backends, a YAML or JSON document or nothing.
///
/// # Errors
/// The entry and its field, what was found and what is expected.
pub fn backends(text: &str) -> Result<Vec<Backend>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<Entry> =
        serde_saphyr::from_str(text).map_err(|error| format!("invalid {VARIABLE}: {error}"))?;
    if entries.len() > MOST {
        let found = entries.len();
        return Err(format!(
            "invalid {VARIABLE}: {found} backends, expected at most {MOST}"
        ));
    }
    let mut names = BTreeSet::from([super::PREDECESSOR.to_owned()]);
    let mut backends = Vec::new();
    for (place, entry) in entries.into_iter().enumerate() {
        let name = entry.name.clone();
        let wrong = |what: String| format!("invalid {VARIABLE}: backend {place} ({name}): {what}");
        if !names.insert(name.clone()) {
            return Err(wrong(format!(
                "name: each has one of its own, and {} is kept for whom the APIService led to before",
                super::PREDECESSOR
            )));
        }
        backends.push(backend(entry).map_err(wrong)?);
    }
    Ok(backends)
}

fn backend(entry: Entry) -> Result<Backend, String> {
    let Entry {
        name,
        service,
        ca_bundle,
        insecure,
        matching,
    } = entry;
    for (field, text) in [
        ("name", &name),
        ("service.namespace", &service.namespace),
        ("service.name", &service.name),
    ] {
        if !is_dns_label(text) {
            return Err(format!(
                "{field}: {text:?} is not a DNS label: lower-case letters, digits and dashes"
            ));
        }
    }
    if service.port == 0 {
        return Err("service.port: 0, expected 1 to 65535".into());
    }
    for (field, text) in [
        ("match.selectorKey", &matching.selector_key),
        ("match.namePrefix", &matching.name_prefix),
    ] {
        if text.as_deref() == Some("") {
            return Err(format!(
                "{field} is empty: leave it out to match everything"
            ));
        }
    }
    let trust = match (ca_bundle, insecure) {
        (Some(_), true) => {
            return Err("caBundle and insecureSkipTLSVerify exclude one another".into());
        }
        (Some(pem), false) if certificates(&pem).is_empty() => {
            return Err("caBundle: no PEM certificate found".into());
        }
        (Some(pem), false) => Trust::Bundle(pem),
        (None, true) => Trust::Anyone,
        (None, false) => Trust::Roots,
    };
    Ok(Backend {
        name,
        service,
        trust,
        matching,
    })
}

/// The certificates of a PEM text, in DER; what is none is left out.
#[must_use]
pub fn certificates(pem: &str) -> Vec<Vec<u8>> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).flatten();
    found.map(|certificate| certificate.to_vec()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selector::Selector;

    const DATADOG: &str = r#"
- name: datadog
  service: {namespace: datadog, name: datadog-cluster-agent-metrics-server, port: 8443}
  insecureSkipTLSVerify: true
  match: {namePrefix: "datadogmetric@"}
- name: lags
  service: {namespace: other, name: lagscale}
  match: {selectorKey: scaledobject.keda.sh/name, namespaces: [shop, till]}
- name: adapter
  service: {namespace: monitoring, name: prometheus-adapter}
"#;

    fn first(namespace: &str, metric: &str, selector: &str) -> String {
        let selector = Selector::parse(selector).unwrap();
        let question = Question {
            namespace,
            metric,
            selector: &selector,
        };
        let backends = backends(DATADOG).unwrap();
        let mut taking = backends.iter().filter(|b| b.takes(&question));
        taking.next().unwrap().name.clone()
    }

    #[test]
    fn the_first_backend_whose_conditions_all_hold_takes_a_question() {
        let keda = "scaledobject.keda.sh/name=orders";
        assert_eq!(first("shop", "datadogmetric@shop:x", ""), "datadog");
        assert_eq!(first("shop", "DatadogMetric@shop:x", keda), "datadog");
        assert_eq!(first("shop", "s0-cron", keda), "lags");
        assert_eq!(first("shop", "s0-cron", ""), "adapter");
        assert_eq!(first("else", "s0-cron", keda), "adapter");
        assert_eq!(first("shop", "däta", ""), "adapter");
    }

    #[test]
    fn each_backend_has_a_question_that_is_its_own() {
        for backend in backends(DATADOG).unwrap() {
            let Example {
                namespace,
                metric,
                selector_key,
            } = backend.example();
            let selector = selector_key.unwrap_or_default();
            let namespace = namespace.unwrap_or_else(|| "lagscale".into());
            assert_eq!(first(&namespace, &metric, &selector), backend.name);
        }
    }

    #[test]
    fn a_list_that_can_not_be_meant_is_refused_by_entry_and_field() {
        let service = "service: {namespace: a, name: b}";
        for (text, said) in [
            ("- name: A", "missing field"),
            ("nothing", "invalid LAGSCALE_BACKENDS"),
            (
                "- {name: A, service: {namespace: a, name: b}}",
                "backend 0 (A): name: \"A\" is not a DNS label",
            ),
            (
                "- {name: a, service: {namespace: a, name: b/../c}}",
                "service.name: \"b/../c\" is not a DNS label",
            ),
            (
                "- {name: a, service: {namespace: a, name: b, port: 0}}",
                "service.port: 0, expected 1 to 65535",
            ),
            (
                &format!("- {{name: a, {service}, caBundle: x}}"),
                "caBundle: no PEM certificate found",
            ),
            (
                &format!("- {{name: a, {service}, caBundle: x, insecureSkipTLSVerify: true}}"),
                "exclude one another",
            ),
            (
                &format!("- {{name: a, {service}, match: {{namePrefix: \"\"}}}}"),
                "match.namePrefix is empty",
            ),
            (
                &format!("- {{name: a, {service}}}\n- {{name: a, {service}}}"),
                "backend 1 (a): name: each has one of its own",
            ),
            (
                &format!("- {{name: predecessor, {service}}}"),
                "predecessor is kept for whom the APIService led to before",
            ),
            (
                &format!("- {{name: a, {service}, cabundle: x}}"),
                "unknown field",
            ),
            (
                &format!("- {{name: a, {service}}}\n").repeat(17),
                "17 backends, expected at most 16",
            ),
        ] {
            let error = backends(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert_eq!(backends(" \n").unwrap(), Vec::new());
    }
}
