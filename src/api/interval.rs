//! Times of the week, month and year, in Alertmanager's form.

#![expect(
    clippy::doc_markdown,
    reason = "field documentation is printed verbatim by kubectl explain"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// The days of the week as users write them.
pub const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// The months as users write them.
pub const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// A set of times, in the form of Alertmanager's time_intervals. It contains a moment when every field that is
/// set contains it; a field contains it when one of its entries does. Needs at least one of times, weekdays,
/// daysOfMonth, months and years.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::rule(
    "has(self.times) || has(self.weekdays) || has(self.daysOfMonth) || has(self.months) || has(self.years)",
    "the interval names no time: set at least one of times, weekdays, daysOfMonth, months and years (suspend mutes a route altogether)"
))]
pub struct TimeInterval {
    /// Times of the day, 1 to 32. Default: the whole day.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<TimeRange>,
    /// Days of the week, 1 to 32 entries: sunday, monday and so on, or a range such as "monday:friday". A range
    /// includes its last day, and sunday is the first day of a week. Default: every day.
    #[schemars(length(min = 1, max = 32), inner(length(max = 19)))]
    #[x_kube(validation = rules::interval::weekdays(), merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<String>,
    /// Days of the month, 1 to 32 entries, each quoted: "1" to "31", or "-1" (the last day of the month) to
    /// "-31", or a range such as "1:5" or "-3:-1". A range includes its last day; what lies beyond the end of a
    /// month is cut off. Default: every day.
    #[schemars(length(min = 1, max = 32), inner(length(max = 7)))]
    #[x_kube(validation = rules::interval::days_of_month(), merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days_of_month: Vec<String>,
    /// Months, 1 to 32 entries: january, february and so on, or "1" to "12" (quoted), or a range such as
    /// "january:march". A range includes its last month. Default: every month.
    #[schemars(length(min = 1, max = 32), inner(length(max = 19)))]
    #[x_kube(validation = rules::interval::months(), merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<String>,
    /// Years, 1 to 32 entries, each quoted: "2026", or a range such as "2026:2028". A range includes its last
    /// year. Default: every year.
    #[schemars(length(min = 1, max = 32), inner(length(max = 9)))]
    #[x_kube(validation = rules::interval::years(), merge_strategy = ListMerge::Atomic)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub years: Vec<String>,
    /// Time zone in which the interval is meant, by its IANA name, for example Europe/Berlin, at most 64
    /// characters. Summer time is taken into account. Default: UTC.
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::interval::location())]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// A part of the day. A night is two of them: from 22:00 to 24:00 and from 00:00 to 06:00.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::interval::rising_times())]
pub struct TimeRange {
    /// First minute, as HH:MM from 00:00 to 23:59, for example "09:00".
    #[schemars(length(max = 5))]
    #[x_kube(validation = rules::interval::start_time())]
    pub start_time: String,
    /// The minute after the last one, as HH:MM from 00:01 to 24:00, for example "17:00".
    #[schemars(length(max = 5))]
    #[x_kube(validation = rules::interval::end_time())]
    pub end_time: String,
}
