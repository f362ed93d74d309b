//! Against a look at every minute.

use jiff::{Span, tz::TimeZone};
use proptest::prelude::*;

use super::*;

/// Alertmanager's algorithm on the texts, written without the code above.
fn naive(one: &TimeInterval, moment: Timestamp) -> bool {
    let zone = TimeZone::get(one.location.as_deref().unwrap_or("UTC")).unwrap();
    let zoned = moment.to_zoned(zone);
    let clock = zoned.strftime("%H:%M").to_string();
    let names = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let months =
        "january february march april may june july august september october november december";
    let months: Vec<_> = months.split(' ').collect();
    let days = i64::from(zoned.last_of_month().unwrap().day());
    let place = |list: &[&str], name: &str| list.iter().position(|known| *known == name);
    let within = |entries: &[String], value: i64, read: &dyn Fn(&str) -> i64| {
        entries.is_empty()
            || entries.iter().any(|entry| {
                let (first, last) = entry.split_once(':').unwrap_or((entry, entry));
                read(first) <= value && value <= read(last)
            })
    };
    let plain = |text: &str| text.parse::<i64>().unwrap();
    let weekday = |text: &str| i64::try_from(place(&names, text).unwrap()).unwrap();
    let month = |text: &str| {
        place(&months, text).map_or_else(|| plain(text), |at| i64::try_from(at).unwrap() + 1)
    };
    let day = |text: &str| if plain(text) < 0 { days + plain(text) + 1 } else { plain(text) };
    (one.times.is_empty()
        || one.times.iter().any(|range| *range.start_time <= *clock && *clock < *range.end_time))
        && within(
            &one.weekdays,
            weekday(&zoned.strftime("%A").to_string().to_lowercase()),
            &weekday,
        )
        && within(&one.days_of_month, i64::from(zoned.day()), &day)
        && within(&one.months, i64::from(zoned.month()), &month)
        && within(&one.years, i64::from(zoned.year()), &plain)
}

fn naive_hours(active: &[TimeInterval], mute: &[TimeInterval], moment: Timestamp) -> bool {
    (active.is_empty() || active.iter().any(|one| naive(one, moment)))
        && !mute.iter().any(|one| naive(one, moment))
}

fn rising(low: i32, high: i32) -> impl Strategy<Value = (i32, i32)> {
    (low..=high, low..=high).prop_map(|(a, b)| (a.min(b), a.max(b)))
}

fn named_range(names: &'static [&'static str]) -> impl Strategy<Value = String> {
    let last = i32::try_from(names.len()).unwrap() - 1;
    rising(0, last).prop_map(|(a, b)| {
        let name = |at: i32| names[usize::try_from(at).unwrap()];
        if a == b { name(a).to_owned() } else { format!("{}:{}", name(a), name(b)) }
    })
}

fn an_interval() -> impl Strategy<Value = TimeInterval> {
    let clock = |minute: i32| format!("{:02}:{:02}", minute / 60, minute % 60);
    // Around the hours in which clocks change.
    let minute = prop_oneof![0_i32..=1440, 0_i32..=200];
    let times = (minute.clone(), minute).prop_filter_map("empty", move |(a, b)| {
        let (start, end) = (a.min(b), a.max(b));
        (start < end).then(|| json!({"startTime": clock(start), "endTime": clock(end)}))
    });
    let days = prop_oneof![
        rising(1, 31).prop_map(|(a, b)| format!("{a}:{b}")),
        rising(-31, -1).prop_map(|(a, b)| format!("{a}:{b}")),
        (1..=20_i32, -8..=-1_i32).prop_map(|(a, b)| format!("{a}:{b}")),
    ];
    let months = prop_oneof![
        named_range(&crate::api::MONTHS),
        rising(1, 12).prop_map(|(a, b)| format!("{a}:{b}")),
    ];
    let few = || 0_usize..3;
    (
        prop::collection::vec(times, few()),
        prop::collection::vec(named_range(&crate::api::WEEKDAYS), 0..2),
        prop::collection::vec(days, 0..2),
        prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(months, 1..3)],
        prop_oneof![4 => Just(Vec::new()), 1 => Just(vec!["2026".to_owned()])],
        prop::sample::select(vec![
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "America/Santiago",
            "Africa/Cairo",
            "Asia/Beirut",
            "Australia/Lord_Howe",
            "Asia/Kathmandu",
        ]),
    )
        .prop_map(|(times, weekdays, days, months, years, location)| {
            serde_json::from_value(json!({
                "times": times, "weekdays": weekdays, "daysOfMonth": days, "months": months, "years": years,
                "location": location
            }))
            .unwrap()
        })
}

/// Moments near the changes of clocks and of years in these zones, and any others.
fn a_moment() -> impl Strategy<Value = Timestamp> {
    let base = prop::sample::select(vec![
        "2026-03-28T20:00:00Z",
        "2026-03-08T00:00:00Z",
        "2026-10-24T20:00:00Z",
        "2026-10-31T22:00:00Z",
        "2026-04-23T12:00:00Z",
        "2026-10-29T12:00:00Z",
        "2026-09-05T20:00:00Z",
        "2026-04-04T10:00:00Z",
        "2026-12-31T00:00:00Z",
        "2026-02-27T00:00:00Z",
        "2025-06-11T00:00:00Z",
    ]);
    (base, 0_i64..86_400).prop_map(|(base, more)| at(base) + Span::new().seconds(more))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn hours_are_those_of_a_look_at_every_minute(
        active in prop::collection::vec(an_interval(), 0..3),
        mute in prop::collection::vec(an_interval(), 0..3),
        now in a_moment(),
    ) {
        let hours = Hours::compile(&active, &mute).unwrap();
        let is_active = hours.is_active(now);
        prop_assert_eq!(is_active, naive_hours(&active, &mute, now));
        // Two days of minutes: what a change in time zones can move.
        let first = now.as_second().div_euclid(60) + 1;
        let minutes = (first..first + 2 * 1440).map(|n| Timestamp::from_second(n * 60).unwrap());
        let expected = minutes.clone().find(|moment| naive_hours(&active, &mute, *moment) != is_active);
        let found = hours.next_change(now);
        if let Some(expected) = expected {
            prop_assert_eq!(found, Some(expected));
        } else {
            let end = minutes.clone().next_back().unwrap();
            prop_assert!(found.is_none_or(|found| found > end), "{:?} but nothing changes", found);
            for moment in minutes.step_by(97) {
                prop_assert_eq!(hours.is_active(moment), is_active);
            }
        }
    }

    #[test]
    fn no_text_makes_the_compiler_panic(
        text in "(-?[0-9]{1,3}|[a-z]{0,9}|:|monday|may){0,5}",
        field in prop::sample::select(vec!["weekdays", "daysOfMonth", "months", "years"]),
    ) {
        let _ = Hours::compile(&intervals(json!([{field: [&text]}])), &[]);
        let time = json!([{"times": [{"startTime": text, "endTime": text}], "location": text}]);
        let _ = Hours::compile(&[], &intervals(time));
    }
}
