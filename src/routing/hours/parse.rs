//! From the text of an interval to its compiled form.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::interval::{DAY, Interval};
use crate::api::{MONTHS, TimeInterval, WEEKDAYS};

/// The time zones inside the program; those of the machine are not asked.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// First and last members.
type Ranges<T> = Box<[(T, T)]>;

/// Why intervals can't be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("spec.{list}[{at}].{field}: {problem}")]
pub struct HoursError {
    list: &'static str,
    at: usize,
    field: &'static str,
    problem: String,
}

/// Which field of an interval is wrong.
pub(super) struct Fault {
    field: &'static str,
    problem: String,
}

/// Compiles one interval.
pub(super) fn interval(spec: &TimeInterval) -> Result<Interval, Fault> {
    let times = spec.times.iter().map(|one| {
        let range = Some((clock(&one.start_time)?, clock(&one.end_time)?));
        range.filter(|(start, end)| start < end)
    });
    let weekdays = ranges(&spec.weekdays, "weekdays", |name| named(&WEEKDAYS, name))?;
    let months = ranges(&spec.months, "months", |name| {
        let number = || number(name, 1, 12);
        named(&MONTHS, name).map(|at| at + 1).or_else(number)
    })?;
    Ok(Interval {
        times: all(times, "times", |at| {
            let one = &spec.times[at];
            format!("from {:?} to {:?}", one.start_time, one.end_time)
        })?,
        weekdays: bits(weekdays.as_deref()),
        days: ranges(&spec.days_of_month, "daysOfMonth", |text| {
            number(text, -31, 31).filter(|day| *day != 0)
        })?,
        months: bits(months.as_deref()),
        years: ranges(&spec.years, "years", |text| number(text, 0, 9999))?,
        zone: zone(spec.location())?,
    })
}

/// Entries that are members or ranges of members; `None` if there is none.
fn ranges<T: Copy + Into<i64>>(
    entries: &[String],
    field: &'static str,
    member: impl Fn(&str) -> Option<T>,
) -> Result<Option<Ranges<T>>, Fault> {
    let range = |text: &String| {
        let text = text.to_ascii_lowercase();
        let (first, last) = text.split_once(':').unwrap_or((&text, &text));
        let range = (member(first)?, member(last)?);
        let [first, last] = [range.0, range.1].map(Into::<i64>::into);
        // Months differ in length: what can't hold even in the shortest one is wrong.
        let day = |n: i64| if n < 0 { 28 + n } else { n };
        let falls = first < 0 && last > 0 || day(first) > day(last);
        (!falls).then_some(range)
    };
    all(entries.iter().map(range), field, |at| format!("{:?}", entries[at]))
}

/// All that was read, if there is anything and nothing is wrong.
fn all<T>(
    read: impl Iterator<Item = Option<T>>,
    field: &'static str,
    written: impl Fn(usize) -> String,
) -> Result<Option<Box<[T]>>, Fault> {
    let mut all = Vec::new();
    for (at, one) in read.enumerate() {
        let Some(one) = one else {
            let problem = format!(
                "{} can't be read; kubectl explain alertroute.spec.muteTimeIntervals.{field} shows the form",
                written(at)
            );
            return Err(Fault { field, problem });
        };
        all.push(one);
    }
    Ok((!all.is_empty()).then(|| all.into()))
}

/// `HH:MM` as minutes of the day; `24:00` is its end.
fn clock(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok())?
    };
    let minute = two(minute).filter(|minute| *minute < 60)?;
    Some(two(hour)? * 60 + minute).filter(|minutes| *minutes <= DAY)
}

fn named(names: &[&str], name: &str) -> Option<u8> {
    names.iter().zip(0..).find_map(|(known, at)| (*known == name).then_some(at))
}

fn number<T: std::str::FromStr + PartialOrd>(text: &str, min: T, max: T) -> Option<T> {
    text.parse().ok().filter(|number| (min..=max).contains(number))
}

/// One bit per member; all of them without a range.
fn bits(ranges: Option<&[(u8, u8)]>) -> u16 {
    let Some(ranges) = ranges else { return u16::MAX };
    let members = ranges.iter().flat_map(|(first, last)| *first..=*last);
    members.fold(0, |bits, member| bits | 1 << member)
}

fn zone(name: &str) -> Result<TimeZone, Fault> {
    ZONES.get(name).map_err(|_| Fault {
        field: "location",
        problem: format!(
            "there is no time zone {name:?}; write the IANA name of one, for example Europe/Berlin or UTC"
        ),
    })
}

// === impl Fault ===

impl Fault {
    /// With the place of the interval.
    pub(super) fn at(self, list: &'static str, at: usize) -> HoursError {
        let Self { field, problem } = self;
        HoursError { list, at, field, problem }
    }
}
