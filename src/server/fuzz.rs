//! Input from anybody, through the readers that see it before anybody is let in: for the fuzz targets and their corpora.

use std::collections::BTreeMap;

use http::HeaderMap;

use crate::server::{
    answer::item::Item,
    answer::protobuf,
    request::accept::{self, Offer},
    request::identity,
    request::query::Query,
    request::route::Group,
    request::route::{Path, decode},
    request::trust::Trust,
};

/// Reads a path and what it stands for.
pub fn path(raw: &str) {
    let text = decode(raw);
    let _ = Path::of(&text);
}

/// Reads a query as that of a metric GET.
pub fn query(text: &str) {
    let _ = Query::parse(text);
}

/// Negotiates whatever can be offered.
pub fn accept(headers: &HeaderMap) {
    for offer in [Offer::Document, Offer::Status, Offer::Metrics] {
        let _ = accept::negotiate(headers, offer);
    }
    let _ = accept::pretty(None, headers);
}

/// Reads whom a front proxy names, and a bearer token.
pub fn headers(headers: &HeaderMap) {
    let names = |name: &str| vec![name.to_owned()];
    let trust = Trust {
        username: names("X-Remote-User"),
        group: names("X-Remote-Group"),
        uid: names("X-Remote-Uid"),
        extra: names("X-Remote-Extra-"),
        ..Trust::default()
    };
    let _ = (
        identity::forwarded(&trust, headers),
        identity::bearer(headers),
    );
}

/// Reads what kube-apiserver publishes of front proxies and client certificates; how many keys can't be read.
#[must_use]
pub fn trust(data: &BTreeMap<String, String>) -> usize {
    Trust::parse(data, None).1.len()
}

/// Writes a list of one item as protobuf.
#[must_use]
pub fn protobuf(metric: &str, topic: Option<&str>, seconds: i64, value: &str) -> Vec<u8> {
    let item = Item {
        metric_name: metric,
        topic,
        timestamp: jiff::Timestamp::from_second(seconds).unwrap_or_default(),
        value: value.to_owned(),
    };
    protobuf::list(Group::External.version(), &[item])
}
