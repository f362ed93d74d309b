//! Times at which a route notifies.

use fanfare::{api::TimeInterval, routing::Hours};
use fastrand::Rng;
use jiff::{Timestamp, ToSpan as _, civil::date, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    generate::{self, CASES},
    oracle::{ask, none_of},
};

/// Moments that each interval is asked about.
const MOMENTS: usize = 20;
/// Zones with and without summer time, north and south, with odd offsets.
const ZONES: [&str; 9] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Sydney",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Kiritimati",
];
const WEEKDAYS: [&str; 9] = [
    "monday",
    "sunday",
    "saturday",
    "monday:friday",
    "sunday:tuesday",
    "Thursday:SATURDAY",
    "friday:monday",
    "mon",
    "1:3",
];
const DAYS: [&str; 13] =
    ["1", "31", "-1", "1:5", "-3:-1", "28:31", "30", "15:-1", "-31:10", "0", "32", "5:2", "-1:1"];
const MONTHS: [&str; 9] = [
    "january",
    "3",
    "march:april",
    "10:11",
    "January:DECEMBER",
    "6:july",
    "december:january",
    "13",
    "0",
];
const YEARS: [&str; 6] = ["2024", "2020:2026", "2000", "2031", "2026:2020", "x"];
const CLOCK: [&str; 10] =
    ["00:00", "01:30", "02:00", "02:30", "09:00", "17:15", "23:59", "24:00", "9:00", "12:60"];

#[test]
fn intervals_hold_as_in_alertmanager() {
    let mut rng = generate::rng();
    let cases: Vec<(Value, Vec<Timestamp>)> = (0..2 * CASES / MOMENTS)
        .map(|_| (interval(&mut rng), (0..MOMENTS).map(|_| moment(&mut rng)).collect()))
        .collect();
    let questions: Vec<Value> = cases
        .iter()
        .map(|(interval, moments)| {
            let moments: Vec<String> = moments.iter().map(Timestamp::to_string).collect();
            json!({"interval": interval, "times": moments})
        })
        .collect();
    let Some(answers) = ask(&questions) else { return };
    let mut differences = Vec::new();
    let (mut compared, mut within, mut refused, mut named) = (0, 0, 0, 0);
    for ((interval, moments), answer) in cases.iter().zip(&answers) {
        let text = interval.to_string();
        let text = text
            .replace("start_time", "startTime")
            .replace("end_time", "endTime")
            .replace("days_of_month", "daysOfMonth");
        let spec: TimeInterval = serde_json::from_str(&text).unwrap();
        let ours = Hours::compile(&[spec], &[]);
        let (Ok(hours), true) = (&ours, answer["error"].is_null()) else {
            // A named difference: Alertmanager takes any number for a month.
            let month =
                answer["error"].is_null() && interval["months"].to_string().contains("\"13\"");
            if ours.is_ok() || (answer["error"].is_null() && !month) {
                differences.push(format!("{interval}: {ours:?}, Alertmanager: {answer}"));
            }
            refused += 1;
            continue;
        };
        for (moment, theirs) in moments.iter().zip(answer["holds"].as_array().unwrap()) {
            if loses_an_hour(interval, *moment) {
                named += 1;
                continue;
            }
            compared += 1;
            within += usize::from(hours.is_active(*moment));
            if hours.is_active(*moment) != theirs.as_bool().unwrap() {
                differences.push(format!("{interval} at {moment}: Alertmanager: {theirs}"));
            }
        }
    }
    eprintln!(
        "{compared} moments compared, {within} of them within the interval; {refused} intervals refused; \
         {named} moments left out: days of a month that loses an hour"
    );
    none_of(&differences);
    assert!(compared >= CASES && 10 * within > compared, "{compared} compared, {within} within");
}

/// A named difference: Alertmanager counts a day less in such a month.
fn loses_an_hour(interval: &Value, moment: Timestamp) -> bool {
    let Some(zone) = interval["location"].as_str() else { return false };
    let zone = TimeZone::get(zone).unwrap();
    let first = zone.to_datetime(moment).date().first_of_month();
    let begin = first.to_zoned(zone.clone()).unwrap();
    let end = (first + 1.month()).to_zoned(zone).unwrap();
    let hours = end.timestamp().duration_since(begin.timestamp()).as_hours();
    !interval["days_of_month"].is_null() && hours < i64::from(first.days_in_month()) * 24
}

/// Mostly one that can be read.
fn interval(rng: &mut Rng) -> Value {
    let mut interval = json!({});
    // Those at the end of each list can't be read.
    let some = |rng: &mut Rng, of: &[&str], good: usize| -> Value {
        let known = if rng.u8(..40) == 0 { of.len() } else { good };
        (0..rng.usize(1..=2)).map(|_| of[rng.usize(..known)]).collect()
    };
    if rng.u8(..2) == 0 {
        let known = if rng.u8(..40) == 0 { CLOCK.len() } else { 8 };
        let pair = |rng: &mut Rng| {
            let mut at = [rng.usize(..known), rng.usize(..known)];
            at.sort_unstable();
            json!({"start_time": CLOCK[at[0]], "end_time": CLOCK[at[1]]})
        };
        let pairs: Vec<Value> = (0..rng.usize(1..=2)).map(|_| pair(rng)).collect();
        let good = |pair: &Value| pair["start_time"] != pair["end_time"];
        if known == CLOCK.len() || pairs.iter().all(good) {
            interval["times"] = pairs.into();
        }
    }
    for (name, of, good, often) in [
        ("weekdays", &WEEKDAYS[..], 6, 3),
        ("days_of_month", &DAYS, 8, 3),
        ("months", &MONTHS, 6, 4),
        ("years", &YEARS, 4, 6),
    ] {
        if rng.u8(..often) == 0 {
            interval[name] = some(rng, of, good);
        }
    }
    if rng.u8(..3) > 0 {
        interval["location"] = json!(ZONES[rng.usize(..ZONES.len())]);
    }
    interval
}

/// Any moment of some years, often one at which something begins or ends.
fn moment(rng: &mut Rng) -> Timestamp {
    let day = date(rng.i16(2019..=2031), rng.i8(1..=12), 1);
    let day = match rng.u8(..3) {
        0 => day,
        1 => day.last_of_month(),
        _ => day + rng.i64(0..31).days(),
    };
    let zone = TimeZone::get(ZONES[rng.usize(..ZONES.len())]).unwrap();
    let (hour, minute) = match rng.u8(..3) {
        0 => (rng.i8(0..24), rng.i8(0..60)),
        1 => rng.choice([(0, 0), (1, 30), (2, 0), (2, 30), (9, 0), (17, 15), (23, 59)]).unwrap(),
        _ => rng.choice([(0, 1), (1, 29), (1, 59), (2, 29), (8, 59), (17, 14), (23, 58)]).unwrap(),
    };
    let second = rng.choice([0, 0, 59]).unwrap();
    day.at(hour, minute, second, 0).to_zoned(zone).unwrap().timestamp()
}
