//! The `cron` trigger: a number of replicas between a start and an end.

use jiff::{
    Timestamp,
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{
    fields::{Fields, From, Sources},
    schedule::Schedule,
};

/// A valid `cron` trigger. Its metric is [`desired`](Self::desired) inside a window and 0 outside, the target always 1.
#[derive(Clone, Debug)]
pub struct Cron {
    zone: TimeZone,
    start: Schedule,
    end: Schedule,
    /// `desiredReplicas`, above 0.
    pub desired: i64,
    name: String,
}

impl Cron {
    /// Parses and validates; all field errors, then the first error between fields.
    pub fn parse(sources: Sources<'_>) -> Result<Self, Vec<String>> {
        let mut fields = Fields::new(sources);
        let start = required(&mut fields, "start");
        let end = required(&mut fields, "end");
        let timezone = required(&mut fields, "timezone");
        required(&mut fields, "desiredReplicas");
        let desired = fields.integer("desiredReplicas", 0);
        let mut errors = fields.errors;
        match validated(start, end, timezone, desired) {
            Ok(cron) if errors.is_empty() => Ok(cron),
            Ok(_) => Err(errors),
            Err(error) => {
                errors.push(error);
                Err(errors)
            }
        }
    }

    /// `s<index>-cron-<timezone>-<start>-<end>`, as KEDA names it.
    #[must_use]
    pub fn metric_name(&self, index: usize) -> String {
        super::metric_name(index, &self.name)
    }

    /// Whether `now` lies inside a window: the next end comes before the next start, or with it. As in KEDA a start or
    /// end that the clock skips when summer time begins does not come that day, and one that it shows twice comes twice.
    /// With that, when the next start or end comes, if one does.
    #[must_use]
    pub fn window(&self, now: Timestamp) -> (bool, Option<Timestamp>) {
        let start = self.start.next(now, &self.zone);
        let end = self.end.next(now, &self.zone);
        match (start, end) {
            (Some(start), Some(end)) => (end <= start, Some(start.min(end))),
            (None, end) => (end.is_some(), end),
            (Some(_), None) => (false, start),
        }
    }
}

/// KEDA reads this trigger from its metadata alone.
fn required<'a>(fields: &mut Fields<'a>, name: &str) -> &'a str {
    fields.text(name, From::Trigger).unwrap_or_else(|| {
        fields.errors.push(format!(
            "missing required parameter \"{name}\" in [triggerMetadata]"
        ));
        ""
    })
}

fn validated(start: &str, end: &str, timezone: &str, desired: i64) -> Result<Cron, String> {
    let start_schedule =
        Schedule::parse(start).map_err(|error| format!("error parsing start schedule: {error}"))?;
    let end_schedule =
        Schedule::parse(end).map_err(|error| format!("error parsing end schedule: {error}"))?;
    if start == end {
        return Err("start and end can not have exactly same time input".into());
    }
    if desired == 0 {
        return Err("no desiredReplicas specified".into());
    }
    if desired < 0 {
        return Err(format!(
            "\"desiredReplicas\" must be positive number, found {desired}"
        ));
    }
    // The bundle and not the host's files: an image has none, and an object must mean the same everywhere.
    let zone = TimeZoneDatabase::bundled()
        .get(timezone)
        .map_err(|_| format!("unable to load timezone: unknown time zone {timezone}"))?;
    Ok(Cron {
        zone,
        start: start_schedule,
        end: end_schedule,
        desired,
        name: format!("cron-{timezone}-{}-{}", named(start), named(end)),
    })
}

/// A schedule as a part of a metric's name.
fn named(schedule: &str) -> String {
    let schedule: String = schedule.split_whitespace().collect();
    schedule
        .replace('*', "x")
        .replace('/', "Sl")
        .replace('?', "Qm")
        .replace(',', "Cm")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::triggers::Parameters;

    fn sources<'a>(metadata: &'a BTreeMap<String, String>, none: &'a Parameters) -> Sources<'a> {
        Sources {
            metadata,
            environment: none,
            parameters: none,
        }
    }

    fn parse(fields: [&str; 4]) -> Result<Cron, String> {
        let names = ["timezone", "start", "end", "desiredReplicas"];
        let metadata = names
            .into_iter()
            .zip(fields)
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Cron::parse(sources(&metadata.collect(), &Parameters::new()))
            .map_err(|errors| errors.join("\n"))
    }

    #[test]
    fn a_window_is_open_from_its_start_to_its_end_on_the_clock_of_its_zone() {
        let day = ("0 8 * * 1-5", "0 18 * * 1-5");
        let night = ("0 22 * * *", "0 6 * * *");
        let weekend = ("0 18 * * 5", "0 8 * * 1");
        let late = ("0 22 * * *", "30 2 * * *");
        let early = ("30 2 * * *", "30 4 * * *");
        for (zone, (start, end), now, open) in [
            ("Europe/Berlin", day, "2025-01-03T06:59:59.999Z", false),
            ("Europe/Berlin", day, "2025-01-03T07:00:00Z", true),
            ("Europe/Berlin", day, "2025-01-03T16:59:59Z", true),
            ("Europe/Berlin", day, "2025-01-03T17:00:00Z", false),
            ("Europe/Berlin", day, "2025-01-04T10:00:00Z", false),
            ("Europe/Berlin", day, "2025-07-03T06:00:00Z", true),
            ("Europe/Berlin", day, "2025-07-03T16:00:00Z", false),
            ("America/New_York", day, "2025-01-03T12:59:59Z", false),
            ("America/New_York", day, "2025-01-03T13:00:00Z", true),
            ("Asia/Kolkata", day, "2025-01-03T02:29:59Z", false),
            ("Asia/Kolkata", day, "2025-01-03T02:30:00Z", true),
            ("Asia/Kathmandu", day, "2025-01-03T02:15:00Z", true),
            ("Etc/UTC", day, "2025-01-03T08:00:00Z", true),
            ("UTC", night, "2025-01-03T22:00:00Z", true),
            ("UTC", night, "2025-01-04T05:59:00Z", true),
            ("UTC", night, "2025-01-04T06:00:00Z", false),
            ("UTC", night, "2025-01-04T21:59:00Z", false),
            ("UTC", weekend, "2025-01-03T17:59:00Z", false),
            ("UTC", weekend, "2025-01-05T12:00:00Z", true),
            ("UTC", weekend, "2025-01-06T08:00:00Z", false),
            // The clock skips 02:30 on 30 March. Without that start the window stays open from the day before; without that
            // end the one of the evening before never opens.
            ("Europe/Berlin", early, "2025-03-29T04:00:00+01:00", true),
            ("Europe/Berlin", early, "2025-03-29T12:00:00+01:00", true),
            ("Europe/Berlin", early, "2025-03-30T04:30:00+02:00", false),
            ("Europe/Berlin", late, "2025-03-29T23:00:00+01:00", false),
            ("Europe/Berlin", late, "2025-03-30T23:00:00+02:00", true),
            // The start comes twice: the window opens with the second.
            ("Europe/Berlin", early, "2025-10-26T02:45:00+02:00", false),
            ("Europe/Berlin", early, "2025-10-26T02:45:00+01:00", true),
            // The end comes with the next start: still open.
            (
                "UTC",
                ("0 * * * *", "0 8 * * *"),
                "2025-01-03T07:30:00Z",
                true,
            ),
            (
                "UTC",
                ("0 * * * *", "0 8 * * *"),
                "2025-01-03T06:30:00Z",
                false,
            ),
        ] {
            let cron = parse([zone, start, end, " 3 "]).unwrap();
            let found = cron.window(now.parse().unwrap()).0;
            assert_eq!(
                (found, cron.desired),
                (open, 3),
                "{zone} {start} to {end}: {now}"
            );
        }
    }

    #[test]
    fn a_metric_is_named_as_keda_names_it() {
        for (zone, start, end, name) in [
            (
                "Etc/UTC",
                "0 0 * * Thu",
                "59 23 * * Thu",
                "s2-cron-Etc-UTC-00xxThu-5923xxThu",
            ),
            (
                "Europe/Berlin",
                "0 8 * * 1-5",
                "0 18 * * 1-5",
                "s2-cron-Europe-Berlin-08xx1-5-018xx1-5",
            ),
            (
                "UTC",
                "*/2  *\t* * ?",
                "1,2 * * * ?",
                "s2-cron-UTC-xSl2xxxQm-1Cm2xxxQm",
            ),
        ] {
            assert_eq!(parse([zone, start, end, "1"]).unwrap().metric_name(2), name);
        }
    }

    #[test]
    fn what_does_not_parse_is_refused_in_keda_s_words() {
        let (start, end) = ("0 8 * * *", "0 9 * * *");
        for (fields, error) in [
            (
                ["", start, end, "1"],
                "missing required parameter \"timezone\" in [triggerMetadata]\nunable to load timezone: unknown time zone ",
            ),
            (
                ["UTC", " ", end, "1"],
                "missing required parameter \"start\" in [triggerMetadata]\nerror parsing start schedule: empty spec string",
            ),
            (
                ["UTC", start, end, ""],
                "missing required parameter \"desiredReplicas\" in [triggerMetadata]\nno desiredReplicas specified",
            ),
            (["UTC", start, end, "0"], "no desiredReplicas specified"),
            (
                ["UTC", start, end, "-1"],
                "\"desiredReplicas\" must be positive number, found -1",
            ),
            (
                ["UTC", start, end, "1.5"],
                "unable to set param \"desiredReplicas\" value \"1.5\": unable to unmarshal to field type int64: expected a whole number\nno desiredReplicas specified",
            ),
            (
                ["UTC", start, start, "1"],
                "start and end can not have exactly same time input",
            ),
            (
                ["UTC", start, "0 0 30 2 *", "1"],
                "error parsing end schedule: no such time ever comes: 0 0 30 2 *",
            ),
            (
                ["Mars/Phobos", start, end, "1"],
                "unable to load timezone: unknown time zone Mars/Phobos",
            ),
            (
                ["../etc/passwd", start, end, "1"],
                "unable to load timezone: unknown time zone ../etc/passwd",
            ),
        ] {
            assert_eq!(parse(fields).unwrap_err(), error);
        }
    }
    #[test]
    fn a_cron_trigger_is_an_external_metric_and_its_errors_say_so() {
        let parse = |metric_type| {
            let parsed = crate::triggers::parse(
                "cron",
                sources(&BTreeMap::new(), &Parameters::new()),
                metric_type,
            );
            parsed.unwrap_err().to_string()
        };
        assert!(
            parse("Value")
                .starts_with("error parsing cron metadata: missing required parameter \"start\"")
        );
        assert!(parse("Utilization").starts_with("error getting scaler metric type: "));
    }
}
