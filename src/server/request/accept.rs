//! Content negotiation as Kubernetes' API servers do it: clauses of the Accept header, best first, against what the
//! path can be written as.

use http::{HeaderMap, HeaderValue, header};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
    /// A `Table` of `meta.k8s.io` in this version, as JSON: what `kubectl get` asks for.
    Table(&'static str),
}

/// The formats that a path can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Offer {
    /// JSON and YAML.
    Document,
    /// Protobuf too, which is what an error can be written as.
    Status,
    /// And a table.
    Metrics,
}

impl Offer {
    /// The media types, as a refused client is told.
    pub fn types(self) -> &'static str {
        match self {
            Self::Document => "application/json, application/yaml",
            Self::Status | Self::Metrics => {
                "application/json, application/yaml, application/vnd.kubernetes.protobuf"
            }
        }
    }
}

/// Why nothing fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unacceptable {
    /// No media type.
    Media,
    /// A media type, but for another object than the one at the path.
    Conversion,
}

/// One clause of an Accept header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct Clause<'a> {
    media: &'a str,
    parameters: &'a str,
}

impl<'a> Clause<'a> {
    /// A parameter's value, or the empty text.
    pub fn parameter(&self, name: &str) -> &'a str {
        let pairs = self.parameters.split(';').filter_map(|p| p.split_once('='));
        let mut named = pairs.filter(|(n, _)| n.trim().eq_ignore_ascii_case(name));
        named.next().map_or("", |(_, v)| v.trim().trim_matches('"'))
    }

    fn is(&self, media: &str) -> bool {
        self.media.eq_ignore_ascii_case(media)
    }

    /// Whether JSON satisfies it.
    pub fn takes_json(&self) -> bool {
        self.is("application/json") || self.is("application/*") || self.is("*/*")
    }

    /// Whether it asks for another object than the one at the path.
    pub fn converts(&self) -> bool {
        ["as", "g", "v"]
            .iter()
            .any(|n| !self.parameter(n).is_empty())
    }

    fn table(&self) -> Option<Format> {
        let is_table = self.parameter("as") == "Table" && self.parameter("g") == "meta.k8s.io";
        match self.parameter("v") {
            "v1" if is_table => Some(Format::Table("v1")),
            "v1beta1" if is_table => Some(Format::Table("v1beta1")),
            _ => None,
        }
    }

    /// From 0 to 1000.
    fn weight(&self) -> u16 {
        let q = self.parameter("q").parse::<f32>().unwrap_or(1.0);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 1000; no number becomes 0"
        )]
        let weight = (q.clamp(0.0, 1.0) * 1000.0) as u16;
        weight
    }
}

/// The clauses of a request, best first; none where it says nothing.
pub(in crate::server) fn clauses(headers: &HeaderMap) -> Vec<Clause<'_>> {
    let values = headers.get_all(header::ACCEPT);
    let texts = values.iter().filter_map(|v| v.to_str().ok());
    let clauses = texts.flat_map(|t| t.split(',')).filter_map(|text| {
        let (media, parameters) = text.split_once(';').unwrap_or((text, ""));
        let media = media.trim();
        (!media.is_empty()).then_some(Clause { media, parameters })
    });
    let mut clauses: Vec<Clause> = clauses.collect();
    clauses.sort_by_key(|clause| std::cmp::Reverse(clause.weight()));
    clauses
}

/// The best that is asked for and offered.
pub(in crate::server) fn negotiate(
    headers: &HeaderMap,
    offer: Offer,
) -> Result<Format, Unacceptable> {
    if !headers.contains_key(header::ACCEPT) {
        return Ok(Format::Json);
    }
    let clauses = clauses(headers);
    if clauses.is_empty() {
        return Ok(Format::Json);
    }
    let mut refused = Unacceptable::Media;
    for clause in clauses {
        let format = if clause.takes_json() {
            Format::Json
        } else if clause.is("application/yaml") {
            Format::Yaml
        } else if clause.is("application/vnd.kubernetes.protobuf") && offer != Offer::Document {
            Format::Protobuf
        } else {
            continue;
        };
        if !clause.converts() {
            return Ok(format);
        }
        if format == Format::Json
            && offer == Offer::Metrics
            && let Some(table) = clause.table()
        {
            return Ok(table);
        }
        refused = Unacceptable::Conversion;
    }
    Err(refused)
}

/// Whether a person reads it: `?pretty`, a browser or curl.
pub(in crate::server) fn pretty(asked: Option<&str>, headers: &HeaderMap) -> bool {
    if let Some(asked) = asked.filter(|a| !a.is_empty()) {
        return matches!(asked, "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let accepted = headers.get(header::ACCEPT).map(HeaderValue::as_bytes);
    if accepted.is_some_and(|v| v.windows(7).any(|w| w == b"pretty="))
        && clauses(headers)
            .iter()
            .any(|c| c.parameter("pretty") == "1")
    {
        return true;
    }
    let agent = headers.get(header::USER_AGENT);
    let agent = agent.and_then(|v| v.to_str().ok()).unwrap_or_default();
    ["curl", "Wget", "Mozilla/5.0"]
        .iter()
        .any(|a| agent.starts_with(a))
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};

    use super::{Format, Offer, Unacceptable, negotiate, pretty};

    fn accepting(text: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(text).unwrap());
        headers
    }

    const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

    #[test]
    fn the_best_clause_that_is_offered_wins() {
        let nothing = negotiate(&HeaderMap::new(), Offer::Metrics);
        assert_eq!(nothing, Ok(Format::Json));
        for (accept, format) in [
            ("application/vnd.kubernetes.protobuf, */*", Format::Protobuf),
            ("application/json", Format::Json),
            ("Application/YAML", Format::Yaml),
            ("*/*", Format::Json),
            ("application/json;charset=utf-8", Format::Json),
            ("text/html;q=0.9,application/json;q=0.1", Format::Json),
            ("application/json;q=0.1,application/yaml", Format::Yaml),
            ("application/json;q=nan,application/yaml;q=0", Format::Json),
            ("", Format::Json),
            (TABLE, Format::Table("v1")),
            (
                "application/json;g=meta.k8s.io;as=\"Table\";v=v1beta1,application/json",
                Format::Table("v1beta1"),
            ),
            (
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
                Format::Json,
            ),
        ] {
            let found = negotiate(&accepting(accept), Offer::Metrics);
            assert_eq!(found, Ok(format), "{accept}");
        }
        let document = negotiate(
            &accepting("application/vnd.kubernetes.protobuf, */*"),
            Offer::Document,
        );
        assert_eq!(document, Ok(Format::Json));
    }

    #[test]
    fn what_is_not_offered_is_refused_by_media_type_or_by_conversion() {
        for (accept, offer, refused) in [
            ("text/html", Offer::Metrics, Unacceptable::Media),
            ("application/cbor", Offer::Metrics, Unacceptable::Media),
            (
                "application/vnd.kubernetes.protobuf",
                Offer::Document,
                Unacceptable::Media,
            ),
            (TABLE, Offer::Status, Unacceptable::Conversion),
            (
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
                Offer::Metrics,
                Unacceptable::Conversion,
            ),
            (
                "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io",
                Offer::Metrics,
                Unacceptable::Conversion,
            ),
        ] {
            assert_eq!(
                negotiate(&accepting(accept), offer),
                Err(refused),
                "{accept}"
            );
        }
    }

    #[test]
    fn people_get_it_indented() {
        let agent = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::USER_AGENT, HeaderValue::from_str(text).unwrap());
            headers
        };
        assert!(pretty(None, &agent("curl/8.5.0")));
        assert!(!pretty(Some("false"), &agent("curl/8.5.0")));
        assert!(!pretty(None, &agent("kubectl/v1.36.2")));
        assert!(pretty(Some("1"), &agent("kubectl/v1.36.2")));
        assert!(pretty(Some(""), &agent("curl/8.5.0")));
        assert!(pretty(None, &accepting("application/json;pretty=1")));
    }

    proptest::proptest! {
        #[test]
        fn no_header_makes_negotiation_panic(text in "[a-z*/;=,\" 0-9.]{0,80}") {
            let headers = accepting(&text);
            let _ = (negotiate(&headers, Offer::Metrics), pretty(None, &headers));
        }
    }
}
