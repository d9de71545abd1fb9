//! Content negotiation: what a client accepts, best first. JSON is all we write; asking for it in any way is answered.

use http::{HeaderMap, header};

/// One clause of an Accept header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clause {
    media: String,
    parameters: Vec<(String, String)>,
}

impl Clause {
    /// A parameter's value, or the empty text.
    pub fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }

    /// Whether JSON satisfies it.
    pub fn takes_json(&self) -> bool {
        matches!(
            self.media.as_str(),
            "application/json" | "application/*" | "*/*"
        )
    }

    /// Whether it asks for another object than the one at the path.
    pub fn converts(&self) -> bool {
        ["as", "g", "v"]
            .iter()
            .any(|n| !self.parameter(n).is_empty())
    }
}

/// The clauses of a request, best first; none where it says nothing.
pub(super) fn clauses(headers: &HeaderMap) -> Vec<Clause> {
    let mut found: Vec<(u16, Clause)> = Vec::new();
    let values = headers.get_all(header::ACCEPT);
    let texts = values.iter().filter_map(|v| v.to_str().ok());
    for text in texts.flat_map(|t| t.split(',')) {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        if media.is_empty() {
            continue;
        }
        let parameters: Vec<(String, String)> = parts
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| {
                (
                    n.trim().to_ascii_lowercase(),
                    v.trim().trim_matches('"').to_owned(),
                )
            })
            .collect();
        let q = parameters.iter().find(|(n, _)| n == "q");
        let q = q.and_then(|(_, v)| v.parse::<f32>().ok()).unwrap_or(1.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1000"
        )]
        let weight = (q.clamp(0.0, 1.0) * 1000.0) as u16;
        found.push((weight, Clause { media, parameters }));
    }
    found.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    found.into_iter().map(|(_, clause)| clause).collect()
}

/// Whether plain JSON may be sent.
pub(super) fn json(headers: &HeaderMap) -> bool {
    let clauses = clauses(headers);
    clauses.is_empty() || clauses.iter().any(|c| c.takes_json() && !c.converts())
}

/// Whether a person reads it: `?pretty`, a browser or curl.
pub(super) fn pretty(query: &str, headers: &HeaderMap) -> bool {
    let asked = form_value(query, "pretty");
    if let Some(asked) = asked {
        return matches!(asked.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|v| v.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"]
        .iter()
        .any(|a| agent.starts_with(a))
}

/// The first value of a query parameter.
pub(super) fn form_value(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter(|p| !p.contains(';'));
    for pair in pairs {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_encoding::percent_decode_str(&spaced)
                .decode_utf8_lossy()
                .into_owned()
        };
        if decoded(key) == name {
            return Some(decoded(value));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::{form_value, json};

    fn accepting(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(text).unwrap());
        headers
    }

    #[test]
    fn whoever_takes_json_somehow_gets_it() {
        assert!(json(&HeaderMap::new()));
        for yes in [
            "application/vnd.kubernetes.protobuf, */*",
            "application/json",
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            "application/json;charset=utf-8",
            "text/html;q=0.9,application/json;q=0.1",
        ] {
            assert!(json(&accepting(yes)), "{yes}");
        }
        for no in ["text/html", "application/json;as=Table;v=v1;g=meta.k8s.io"] {
            assert!(!json(&accepting(no)), "{no}");
        }
    }

    #[test]
    fn a_query_is_decoded_and_a_pair_with_a_semicolon_is_dropped() {
        let query = "a=1&labelSelector=k+in+%28v%29&x=1;y=2";
        assert_eq!(form_value(query, "labelSelector").unwrap(), "k in (v)");
        assert_eq!(form_value(query, "x"), None);
    }
}
