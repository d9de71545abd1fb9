//! The values of flags.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    time::Duration,
};

use crate::controller::Labels;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A tolerance in thousandths, 0 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance(pub i64);

pub(super) fn tolerance(text: &str) -> Result<Tolerance, String> {
    let milli = crate::quantity::parse_milli(text).map_err(|e| e.to_string())?;
    if !(0..1000).contains(&milli) {
        return Err("expected a number from 0 to 0.999".into());
    }
    Ok(Tolerance(milli))
}

/// The selector that `variable` names.
pub(super) fn labels(variable: &str, text: &str) -> Result<Labels, String> {
    Labels::parse(text).map_err(|error| {
        format!("failed to parse {variable}: invalid {variable} {text:?}: {error}")
    })
}

/// An address to listen at, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(pub Option<SocketAddr>);

pub(super) fn address(text: &str) -> Result<Place, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Place(None));
    }
    let found = text
        .parse()
        .map_err(|_| "expected an address such as 127.0.0.1:8080, or nothing")?;
    Ok(Place(Some(found)))
}

/// A loopback address, or none.
pub(super) fn loopback(text: &str) -> Result<Place, String> {
    let found = address(text)?;
    if found.0.is_some_and(|address| !address.ip().is_loopback()) {
        return Err("expected a loopback address such as 127.0.0.1:8088, or nothing: kubectl port-forward leads there for those who may".into());
    }
    Ok(found)
}

pub(super) fn enabled(text: &str) -> Result<bool, String> {
    match text.trim() {
        "enabled" | "true" => Ok(true),
        "disabled" | "false" | "" => Ok(false),
        _ => Err("expected enabled or disabled".into()),
    }
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 10..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err("expected whole seconds, 10 to 3600".into()),
    }
}

/// A duration of this range, if it is one.
fn span(text: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
    let span = text.parse::<jiff::SignedDuration>().ok()?;
    let span = Duration::try_from(span).ok()?;
    range.contains(&span).then_some(span)
}

pub(super) fn delay(text: &str) -> Result<Duration, String> {
    let found = span(text, Duration::ZERO..=10 * MINUTE);
    found.ok_or_else(|| "expected a duration such as 10s, 0s to 10m".into())
}

pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let found = span(text, Duration::from_secs(10)..=20 * YEAR);
    found.ok_or_else(|| "expected a duration such as 2160h, 10s to 175200h".into())
}

pub(super) fn hours(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Ok(HOUR);
    }
    let found = span(text, HOUR..=6 * HOUR);
    found.ok_or_else(|| "expected a duration such as 1h30m, 1h to 6h".into())
}

/// `name.namespace=address`.
pub(super) fn service_address(text: &str) -> Result<(String, IpAddr), String> {
    let found = text.split_once('=');
    let found = found.and_then(|(name, address)| Some((name, address.parse().ok()?)));
    let (name, address) = found.ok_or("expected name.namespace=IP address")?;
    if name.split('.').count() != 2 {
        return Err(format!("{name}: expected the Service's name and namespace"));
    }
    Ok((name.to_owned(), address))
}
