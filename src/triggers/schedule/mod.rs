//! A cron schedule of five fields: the minutes of wall-clock time at which something happens. Syntax and day rule are
//! those of robfig/cron v3, which is what KEDA's users write for; no crate on jiff keeps to them.

mod field;

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use field::{FIELDS, Values};

/// Longer texts are refused: no schedule needs as much.
const LONGEST: usize = 1000;
/// How far ahead is searched. 29 February can be eight years away.
const YEARS: i16 = 9;
/// How many changes of the clock are looked at, ten years' of the zone with most: a bound for a time that is always skipped.
const CHANGES: usize = 40;

/// A schedule that comes again and again: a date that never exists does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    minutes: Values,
    hours: Values,
    days: Values,
    months: Values,
    weekdays: Values,
}

impl Schedule {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("empty spec string".into());
        }
        if text.len() > LONGEST {
            return Err(format!("longer than {LONGEST} bytes"));
        }
        if text.starts_with("TZ=") || text.starts_with("CRON_TZ=") {
            return Err(format!(
                "a time zone in the schedule is not supported, write it as timezone: {text}"
            ));
        }
        if text.starts_with('@') {
            return Err(format!("parser does not accept descriptors: {text}"));
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!(
                "expected exactly 5 fields, found {}: [{}]",
                fields.len(),
                fields.join(" ")
            ));
        };
        let [minute, hour, day, month, weekday] = &FIELDS;
        let schedule = Self {
            minutes: minute.values(minutes)?,
            hours: hour.values(hours)?,
            days: day.values(days)?,
            months: month.values(months)?,
            weekdays: weekday.values(weekdays)?,
        };
        // The years from 2000 to 2009 hold every date there is.
        match schedule.at_or_after(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)) {
            Some(_) => Ok(schedule),
            None => Err(format!("no such time ever comes: {text}")),
        }
    }

    /// The first time after `now` at which a clock in `zone` shows a minute of the schedule. What a clock skips does not
    /// happen that day, what it shows twice happens twice.
    pub(super) fn next(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = Timestamp::from_second(now.as_second().checked_add(1)?).ok()?;
        let mut searched: Option<(DateTime, DateTime)> = None;
        // Between two changes of the clock, local time is plain arithmetic.
        let mut changes = zone
            .following(now)
            .take(CHANGES)
            .map(|change| change.timestamp());
        loop {
            let offset = zone.to_offset(from);
            let local = offset.to_datetime(from);
            // Most changes lie inside what was searched already.
            let found = match searched {
                Some((since, found)) if (since..=found).contains(&local) => found,
                _ => self.at_or_after(local)?,
            };
            searched = Some((local, found));
            let timestamp = offset.to_timestamp(found).ok()?;
            match changes.next() {
                Some(change) if change <= timestamp => from = change,
                _ => return Some(timestamp),
            }
        }
    }

    /// The first minute of the schedule that is not before `from`, on a clock that never changes.
    fn at_or_after(&self, from: DateTime) -> Option<DateTime> {
        let last = from.year().saturating_add(YEARS);
        let (mut date, mut hour) = (from.date(), from.hour());
        let mut minute = from.minute() + i8::from(from.second() > 0);
        loop {
            if self.has(date)
                && let Some((hour, minute)) = self.time(hour, minute)
            {
                return Some(date.at(hour, minute, 0, 0));
            }
            let month = self.months.has(date.month());
            let before = if month { date } else { date.last_of_month() };
            date = before.tomorrow().ok().filter(|date| date.year() <= last)?;
            (hour, minute) = (0, 0);
        }
    }

    /// If neither day field holds a star, one of the two is enough.
    fn has(&self, date: Date) -> bool {
        let day = self.days.has(date.day());
        let weekday = self.weekdays.has(date.weekday().to_sunday_zero_offset());
        let fits = if self.days.star || self.weekdays.star {
            day && weekday
        } else {
            day || weekday
        };
        fits && self.months.has(date.month())
    }

    /// The first time of a day from `hour` and `minute` on; the minute may be 60.
    fn time(&self, hour: i8, minute: i8) -> Option<(i8, i8)> {
        let this_hour = self.minutes.from(minute).filter(|_| self.hours.has(hour));
        this_hour.map(|minute| (hour, minute)).or_else(|| {
            let hour = self.hours.from(hour + 1)?;
            Some((hour, self.minutes.from(0)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZoneDatabase;

    use super::*;

    /// Expected values are those of robfig/cron v3.0.1.
    #[test]
    fn a_schedule_comes_when_robfig_s_does() {
        for (text, now, next) in [
            (
                "0 8 * * 1-5",
                "2025-01-03T08:00:00+01:00",
                "2025-01-06T08:00:00+01:00",
            ),
            (
                "0 8 * * MON-fri",
                "2025-01-03T07:59:59.9+01:00",
                "2025-01-03T08:00:00+01:00",
            ),
            (
                "*/15 * * * *",
                "2025-01-03T08:50:01+01:00",
                "2025-01-03T09:00:00+01:00",
            ),
            (
                "5/20 * ? * ?",
                "2025-01-03T08:50:00+01:00",
                "2025-01-03T09:05:00+01:00",
            ),
            (
                "0,,30 9-17/4 * JAN,Mar *",
                "2025-01-31T17:30:00+01:00",
                "2025-03-01T09:00:00+01:00",
            ),
            // Both day fields: either is enough; a star in one: the other decides; a step is no star.
            (
                "0 0 13 * 5",
                "2025-01-04T00:00:00+01:00",
                "2025-01-10T00:00:00+01:00",
            ),
            (
                "0 0 * * 5,*",
                "2025-01-04T00:00:00+01:00",
                "2025-01-05T00:00:00+01:00",
            ),
            (
                "0 0 */2 * 1",
                "2025-01-04T00:00:00+01:00",
                "2025-01-05T00:00:00+01:00",
            ),
            (
                "0 0 29 2 *",
                "2025-01-04T00:00:00+01:00",
                "2028-02-29T00:00:00+01:00",
            ),
            // Berlin's clock skips 02:00 to 03:00 on 30 March and shows it twice on 26 October.
            (
                "30 2 * * *",
                "2025-03-29T02:30:00+01:00",
                "2025-03-31T02:30:00+02:00",
            ),
            (
                "30 2 * * *",
                "2025-10-26T02:29:00+02:00",
                "2025-10-26T02:30:00+02:00",
            ),
            (
                "30 2 * * *",
                "2025-10-26T02:30:00+02:00",
                "2025-10-26T02:30:00+01:00",
            ),
            (
                "0 3 * * *",
                "2025-03-30T01:59:59+01:00",
                "2025-03-30T03:00:00+02:00",
            ),
            (
                "59 1 30 3 *",
                "2025-03-30T01:58:00+01:00",
                "2025-03-30T01:59:00+01:00",
            ),
        ] {
            let zone = TimeZoneDatabase::bundled().get("Europe/Berlin").unwrap();
            let found = Schedule::parse(text)
                .unwrap()
                .next(now.parse().unwrap(), &zone);
            assert_eq!(found, Some(next.parse().unwrap()), "{text} after {now}");
        }
    }

    #[test]
    fn what_never_comes_or_is_not_five_fields_is_refused() {
        for (text, error) in [
            ("", "empty spec string"),
            ("0 8 * *", "expected exactly 5 fields, found 4: [0 8 * *]"),
            (
                "0 0 8 * * *",
                "expected exactly 5 fields, found 6: [0 0 8 * * *]",
            ),
            ("@daily", "parser does not accept descriptors: @daily"),
            ("TZ=UTC 0 8 * * *", "write it as timezone: TZ=UTC 0 8 * * *"),
            ("0 0 30 2 *", "no such time ever comes: 0 0 30 2 *"),
            (
                "0 0 31 4,6,9,11 *",
                "no such time ever comes: 0 0 31 4,6,9,11 *",
            ),
            (", 0 * * *", "no such time ever comes: , 0 * * *"),
            ("60 0 * * *", "end of range (60) above maximum (59): 60"),
            ("0 0 * * 7", "end of range (7) above maximum (6): 7"),
            ("0 0 0 * *", "beginning of range (0) below minimum (1): 0"),
            (
                "0 0 * * fri-mon",
                "beginning of range (5) beyond end of range (1): fri-mon",
            ),
            (
                "*/0 0 * * *",
                "step of range should be a positive number: */0",
            ),
            ("1/2/3 0 * * *", "too many slashes: 1/2/3"),
            ("1-2-3 0 * * *", "too many hyphens: 1-2-3"),
            (
                "0 0 L * *",
                "failed to parse int from L: expected a whole number",
            ),
            (
                "99999999999 0 * * *",
                "failed to parse int from 99999999999: ",
            ),
            (&"1,".repeat(501), "longer than 1000 bytes"),
        ] {
            let found = Schedule::parse(text).unwrap_err();
            assert!(
                found.ends_with(error) || found.starts_with(error),
                "{text}: {found}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_and_no_time_panics(text in ".*|[0-9*?,/ a-z-]{9,30}", now in proptest::num::i64::ANY) {
            let now = Timestamp::from_second(now % 253_402_207_200).unwrap();
            for text in [text.clone(), format!("{text} * * * *"), format!("0 0 1 2 {text}")] {
                let schedule = Schedule::parse(&text);
                let next = schedule.ok().and_then(|schedule| schedule.next(now, &TimeZone::UTC));
                proptest::prop_assert!(next.is_none_or(|next| next > now));
            }
        }

        #[test]
        fn the_next_time_is_the_first_minute_that_a_clock_shows(now in 1_700_000_000_i64..2_000_000_000, minute in 0_u8..60, hour in 0_u8..24) {
            let zone = TimeZoneDatabase::bundled().get("Australia/Lord_Howe").unwrap();
            let schedule = Schedule::parse(&format!("{minute} {hour} * * *")).unwrap();
            let shown = |second| zone.to_datetime(Timestamp::from_second(second).unwrap()).strftime("%H %M").to_string();
            let minutes = ((now / 60 + 1)..).map(|minute| minute * 60);
            let first = minutes.into_iter().find(|second| shown(*second) == format!("{hour:02} {minute:02}"));
            let found = schedule.next(Timestamp::from_second(now).unwrap(), &zone);
            proptest::prop_assert_eq!(found.map(Timestamp::as_second), first);
        }
    }
}
