//! Rules about times of the week, month and year.

use kube::core::Rule;

use super::{literal, matches, rule};
use crate::api::{MONTHS, WEEKDAYS};

const START: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$";
const END: &str = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$";
const DAYS: &str = "^-?(0?[1-9]|[12][0-9]|3[01])(:-?(0?[1-9]|[12][0-9]|3[01]))?$";

/// Each member alone, or with one that is not before it: `^(a(:(a|b))?|b(:(b))?)$`.
fn rising(members: &[String]) -> String {
    let from = |at: usize| format!("{}(:({}))?", members[at], members[at..].join("|"));
    let choices: Vec<String> = (0..members.len()).map(from).collect();
    format!("^({})$", choices.join("|"))
}

/// When a part of the day begins.
pub(in crate::api) fn start_time() -> Rule {
    matches(START, "must be a time of the day as HH:MM, from 00:00 to 23:59, for example \"09:00\"")
}

/// When a part of the day ends.
pub(in crate::api) fn end_time() -> Rule {
    matches(END, "must be a time of the day as HH:MM, from 00:01 to 24:00, for example \"17:00\"")
}

/// A part of the day is not empty. Silent about texts that are no times: they have their own message.
pub(in crate::api) fn rising_times() -> Rule {
    rule(
        format!(
            "!self.startTime.matches({}) || !self.endTime.matches({}) || self.startTime < self.endTime",
            literal(START),
            literal(END)
        ),
        "startTime must be before endTime: write a night as two entries, from 22:00 to 24:00 and from 00:00 to 06:00",
    )
}

/// Days of the week.
pub(in crate::api) fn weekdays() -> Rule {
    let pattern = rising(&WEEKDAYS.map(str::to_owned));
    rule(
        format!("self.all(d, d.lowerAscii().matches({}))", literal(&pattern)),
        "every entry must be a day of the week or a range of days that does not run backwards, for example sunday or \"monday:friday\"; sunday is the first day, so write the days from saturday to monday as two entries",
    )
}

/// Days of the month.
pub(in crate::api) fn days_of_month() -> Rule {
    let from_start = |n: &str| format!("(p[{n}] < 0 ? 28 + p[{n}] : p[{n}])");
    rule(
        format!(
            "self.all(d, d.matches({}) && (!d.contains(':') || [d.split(':').map(n, int(n))].all(p, !(p[0] < 0 && p[1] > 0) && {} <= {})))",
            literal(DAYS),
            from_start("0"),
            from_start("1")
        ),
        "every entry must be a day of the month (\"1\" to \"31\", or \"-1\", the last one, to \"-31\") or a range of days that does not run backwards, for example \"1:5\" or \"-3:-1\"; a range that begins with a negative day must end with one",
    )
}

/// Months.
pub(in crate::api) fn months() -> Rule {
    let members: Vec<String> = MONTHS
        .iter()
        .zip(1..)
        .map(|(name, number)| {
            let zero = if number < 10 { "0?" } else { "" };
            format!("({name}|{zero}{number})")
        })
        .collect();
    rule(
        format!("self.all(m, m.lowerAscii().matches({}))", literal(&rising(&members))),
        "every entry must be a month (january to december, or \"1\" to \"12\") or a range of months that does not run backwards, for example \"january:march\"; write november to february as two entries",
    )
}

/// Years.
pub(in crate::api) fn years() -> Rule {
    rule(
        "self.all(y, y.matches('^[0-9]{4}(:[0-9]{4})?$') && (y.size() == 4 || y.substring(0, 4) <= y.substring(5, 9)))",
        "every entry must be a year of four digits or a range of years that does not run backwards, for example \"2026\" or \"2026:2028\"",
    )
}

/// The name of a time zone, whether or not there is one of that name.
pub(in crate::api) fn location() -> Rule {
    matches(
        "^[A-Za-z][-+A-Za-z0-9_]*(/[-+A-Za-z0-9_]+)*$",
        "must be the IANA name of a time zone, for example Europe/Berlin or UTC",
    )
}
