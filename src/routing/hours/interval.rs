//! One compiled interval.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    tz::TimeZone,
};

/// Days that [`Interval::steady_until`] looks ahead.
const DAYS: usize = 400;

/// Minutes of a day.
pub(super) const DAY: u16 = 24 * 60;

/// A set of times; it contains a moment when every field does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    /// Minutes of the day, `start..end`; `None`: all.
    pub(super) times: Option<Box<[(u16, u16)]>>,
    /// One bit per day of the week, from Sunday.
    pub(super) weekdays: u16,
    /// Days of the month, inclusive, negative ones counted from its end; `None`: all.
    pub(super) days: Option<Box<[(i8, i8)]>>,
    /// One bit per month, from bit 1 for January.
    pub(super) months: u16,
    /// Years, inclusive; `None`: all.
    pub(super) years: Option<Box<[(i16, i16)]>>,
    /// The time zone in which all of this is meant.
    pub(super) zone: TimeZone,
}

// === impl Interval ===

impl Interval {
    pub(super) fn contains(&self, at: Timestamp) -> bool {
        let local = self.zone.to_datetime(at);
        let minute = minute(local);
        let within = |(start, end): &(u16, u16)| (*start..*end).contains(&minute);
        self.times.as_ref().is_none_or(|times| times.iter().any(within)) && self.on(local.date())
    }

    /// Whether times of that day count.
    fn on(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_zero_offset();
        self.weekdays & (1 << weekday) != 0
            && self.months & (1 << date.month()) != 0
            && self.years.as_ref().is_none_or(|years| {
                years.iter().any(|(first, last)| (*first..=*last).contains(&date.year()))
            })
            && self.days.as_ref().is_none_or(|days| days.iter().any(|days| covers(*days, date)))
    }

    /// A moment after `at` before which the answer of [`Interval::contains`] stays what it is at `at`; `None`
    /// at the end of the calendar.
    pub(super) fn steady_until(&self, at: Timestamp) -> Option<Timestamp> {
        let local = self.zone.to_datetime(at);
        // As long as the offset to UTC stays, clocks and time run alike.
        let civil =
            self.boundary(local).and_then(|next| at.checked_add(local.duration_until(next)).ok());
        let shift = self.zone.following(at).next().map(|transition| transition.timestamp());
        match (civil, shift) {
            (Some(civil), Some(shift)) => Some(civil.min(shift)),
            (civil, shift) => civil.or(shift),
        }
    }

    /// The first time on the clock at which the answer may change.
    fn boundary(&self, local: DateTime) -> Option<DateTime> {
        let today = local.date();
        let is_on = self.on(today);
        match &self.times {
            Some(times) if is_on => {
                let minute = minute(local);
                let bounds = times.iter().flat_map(|(start, end)| [*start, *end]);
                let next = bounds.filter(|bound| *bound > minute && *bound < DAY).min();
                match next {
                    Some(bound) => Some(on_the_clock(today, bound)),
                    None => Some(start(today.tomorrow().ok()?)),
                }
            }
            _ => {
                let mut day = today.tomorrow().ok()?;
                for _ in 0..DAYS {
                    if self.on(day) != is_on {
                        break;
                    }
                    day = day.tomorrow().ok()?;
                }
                Some(start(day))
            }
        }
    }
}

fn start(day: Date) -> DateTime {
    on_the_clock(day, 0)
}

fn on_the_clock(day: Date, minute: u16) -> DateTime {
    let [hour, minute] = [minute / 60, minute % 60]
        .map(|part| i8::try_from(part).expect("a day has 24 hours of 60 minutes"));
    day.at(hour, minute, 0, 0)
}

fn minute(local: DateTime) -> u16 {
    u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs())
}

/// Whether a range of days of the month covers a day. What lies beyond the month's end is cut off.
fn covers((first, last): (i8, i8), date: Date) -> bool {
    let length = date.days_in_month();
    let day = |n: i8| if n < 0 { length + n + 1 } else { n };
    (day(first)..=day(last)).contains(&date.day())
}
