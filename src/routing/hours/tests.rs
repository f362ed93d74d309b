use serde_json::{Value, json};

mod brute;

use super::*;

fn intervals(value: Value) -> Vec<TimeInterval> {
    serde_json::from_value(value).unwrap()
}

fn active(value: Value) -> Hours {
    Hours::compile(&intervals(value), &[]).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Facts from the tests of Alertmanager's package `timeinterval`.
#[test]
fn moments_lie_where_alertmanager_says() {
    let working = json!({"times": [{"startTime": "09:00", "endTime": "17:00"}], "weekdays": ["monday:friday"]});
    let mut sydney = working.clone();
    sydney["location"] = json!("Australia/Sydney");
    let mut november = sydney.clone();
    november["months"] = json!(["11"]);
    let quarter = json!({
        "weekdays": ["monday:friday", "sunday"], "months": ["january:march"], "daysOfMonth": ["-7:-1"],
        "years": ["2020:2025", "2030:2035"], "times": [{"startTime": "09:00", "endTime": "17:00"}]
    });
    let cases: [(Value, &[&str], &[&str]); 7] = [
        (
            working,
            &[
                "2020-05-04T15:04Z",
                "2020-05-05T10:04Z",
                "2020-06-09T09:04Z",
                "2020-07-08T09:00Z",
                "2020-07-08T16:59Z",
            ],
            &["2020-05-03T15:04Z", "2020-05-04T08:59Z", "2020-05-05T05:00Z", "2020-07-08T17:00Z"],
        ),
        (
            json!({"daysOfMonth": ["4:6"], "months": ["april"], "years": ["2020"]}),
            &["2020-04-04T15:04Z", "2020-04-05T00:00Z", "2020-04-06T23:05Z"],
            &[
                "2018-05-03T15:04Z",
                "2020-04-03T23:59Z",
                "2020-06-04T23:59Z",
                "2019-04-06T23:59Z",
                "2020-04-07T00:00Z",
            ],
        ),
        (
            json!({"daysOfMonth": ["-3:-1"]}),
            &[
                "2020-01-31T15:04Z",
                "2020-01-30T15:04Z",
                "2020-01-29T15:04Z",
                "2020-06-30T00:00Z",
                "2020-02-29T23:05Z",
            ],
            &[
                "2018-05-03T15:04Z",
                "2020-01-27T15:04Z",
                "2020-04-03T23:59Z",
                "2020-04-07T00:00Z",
                "2020-03-01T00:00Z",
            ],
        ),
        (sydney, &["2021-04-06T13:00+10:00"], &["2021-04-06T13:00Z"]),
        (november, &["2021-11-01T09:00+11:00", "2021-10-31T22:00Z"], &["2021-10-31T21:00Z"]),
        (
            quarter,
            &[
                "2021-01-27T09:00Z",
                "2021-01-28T16:59Z",
                "2021-01-29T13:00Z",
                "2025-03-31T13:00Z",
                "2035-01-31T13:00Z",
            ],
            &["2021-01-30T13:00Z", "2021-04-01T13:00Z", "2026-01-30T13:00Z", "2035-01-31T17:01Z"],
        ),
        // A day beyond the month's end is cut off, and a range that begins there holds nothing.
        (
            json!({"daysOfMonth": ["28:31"], "months": ["2"]}),
            &["2026-02-28T23:59:59Z"],
            &["2026-02-27T23:59Z", "2026-03-01T00:00Z"],
        ),
    ];
    for (interval, inside, outside) in cases {
        let hours = active(json!([interval]));
        let mute = Hours::compile(&[], &intervals(json!([interval]))).unwrap();
        for moment in inside {
            assert!(
                hours.is_active(at(moment)) && !mute.is_active(at(moment)),
                "{interval}: {moment}"
            );
        }
        for moment in outside {
            assert!(
                !hours.is_active(at(moment)) && mute.is_active(at(moment)),
                "{interval}: {moment}"
            );
        }
    }
}

#[test]
fn a_mute_interval_beats_an_active_one() {
    let hours = Hours::compile(
        &intervals(json!([{"months": ["3"]}, {"weekdays": ["Monday:FRIDAY"]}])),
        &intervals(json!([{"times": [{"startTime": "22:00", "endTime": "24:00"}]}])),
    )
    .unwrap();
    assert!(hours.is_active(at("2026-03-07T21:59:59Z")), "a Saturday in March");
    assert!(!hours.is_active(at("2026-03-07T22:00:00Z")));
    assert!(!hours.is_active(at("2026-04-04T12:00:00Z")), "a Saturday in April");
    assert!(hours.is_active(at("2026-04-06T12:00:00Z")), "a Monday in April");
}

/// Alertmanager counts the days of a month as its hours divided by 24, rounded down: in a zone that loses an
/// hour in March it takes the 30th for the last day. We take the 31st.
#[test]
fn the_last_day_of_a_month_that_loses_an_hour_is_its_last_day() {
    let hours = active(json!([{"daysOfMonth": ["-1"], "location": "Europe/Berlin"}]));
    assert!(!hours.is_active(at("2026-03-30T12:00:00Z")));
    assert!(hours.is_active(at("2026-03-31T12:00:00Z")));
}

#[test]
fn what_alertmanager_refuses_is_refused_with_its_place() {
    for (interval, field) in [
        (json!({"times": [{"startTime": "01:99", "endTime": "23:59"}]}), "times"),
        (json!({"times": [{"startTime": "00:00", "endTime": "99:99"}]}), "times"),
        (json!({"times": [{"startTime": "17:31", "endTime": "17:31"}]}), "times"),
        (json!({"times": [{"startTime": "12:30", "endTime": "24:01"}]}), "times"),
        (json!({"times": [{"startTime": "9:00", "endTime": "17:00"}]}), "times"),
        (json!({"weekdays": ["friday:monday"]}), "weekdays"),
        (json!({"weekdays": ["blurgsday:flurgsday"]}), "weekdays"),
        (json!({"weekdays": ["1:3"]}), "weekdays"),
        (json!({"weekdays": ["monday:tuesday:friday"]}), "weekdays"),
        (json!({"daysOfMonth": ["0"]}), "daysOfMonth"),
        (json!({"daysOfMonth": ["-50:-20"]}), "daysOfMonth"),
        (json!({"daysOfMonth": ["1:50"]}), "daysOfMonth"),
        (json!({"daysOfMonth": ["-15:5"]}), "daysOfMonth"),
        (json!({"daysOfMonth": ["10:-25"]}), "daysOfMonth"),
        (json!({"months": ["martius:june"]}), "months"),
        (json!({"months": ["december:january"]}), "months"),
        (json!({"months": ["13"]}), "months"),
        (json!({"years": ["2022:2020"]}), "years"),
        (json!({"location": "Europe/Atlantis"}), "location"),
        (json!({"location": "Local"}), "location"),
        (json!({"location": ""}), "location"),
    ] {
        let error =
            Hours::compile(&[], &intervals(json!([{"months": ["1"]}, interval]))).unwrap_err();
        let place = format!("spec.muteTimeIntervals[1].{field}: ");
        assert!(error.to_string().starts_with(&place), "{error}");
    }
    for good in [
        json!({"daysOfMonth": ["1:-1", "31", "-31:-31", "01:05"]}),
        json!({"months": ["January:december", "03:4"]}),
        json!({"times": [{"startTime": "00:00", "endTime": "24:00"}]}),
        json!({"location": "America/Argentina/ComodRivadavia"}),
    ] {
        assert!(Hours::compile(&intervals(json!([good])), &[]).is_ok(), "{good}");
    }
}

#[test]
fn hours_without_intervals_never_change() {
    let hours = Hours::default();
    assert!(hours.is_active(at("2026-01-01T00:00:00Z")));
    assert_eq!(hours.next_change(at("2026-01-01T00:00:00Z")), None);
    assert_eq!(Hours::compile(&[], &[]), Ok(hours));
}

#[test]
fn the_next_change_of_working_hours_skips_the_weekend_and_knows_summer_time() {
    let hours = active(json!([{
        "times": [{"startTime": "09:00", "endTime": "17:00"}], "weekdays": ["monday:friday"],
        "location": "Europe/Berlin"
    }]));
    for (now, next) in [
        ("2026-03-27T08:00:30Z", "2026-03-27T16:00:00Z"),
        // Over the weekend clocks go forward.
        ("2026-03-27T16:00:00Z", "2026-03-30T07:00:00Z"),
        ("2026-03-30T06:59:59.999Z", "2026-03-30T07:00:00Z"),
        ("2026-03-30T07:00:00Z", "2026-03-30T15:00:00Z"),
    ] {
        assert_eq!(hours.next_change(at(now)), Some(at(next)), "{now}");
    }
}

#[test]
fn an_hour_that_clocks_skip_never_comes_and_one_that_they_repeat_comes_twice() {
    let hours = active(json!([{
        "times": [{"startTime": "02:15", "endTime": "02:45"}], "location": "Europe/Berlin"
    }]));
    let changes = |from: &str, count| {
        let mut moment = at(from);
        let mut found = Vec::new();
        for _ in 0..count {
            moment = hours.next_change(moment).unwrap();
            found.push(moment.to_string());
        }
        found
    };
    assert_eq!(changes("2026-03-28T12:00:00Z", 1), ["2026-03-30T00:15:00Z"]);
    assert_eq!(
        changes("2026-10-24T12:00:00Z", 4),
        [
            "2026-10-25T00:15:00Z",
            "2026-10-25T00:45:00Z",
            "2026-10-25T01:15:00Z",
            "2026-10-25T01:45:00Z"
        ]
    );
}

#[test]
fn a_search_without_an_end_ends() {
    let year = SignedDuration::from_hours(365 * 24);
    let now = at("2026-06-01T00:00:00Z");
    for far in [
        json!([{"years": ["2090"]}]),
        json!([{"years": ["2001"]}]),
        // Together they are always, however often one ends.
        json!([
            {"times": [{"startTime": "00:00", "endTime": "12:00"}]},
            {"times": [{"startTime": "12:00", "endTime": "24:00"}]}
        ]),
    ] {
        let hours = active(far.clone());
        let next = hours.next_change(now).unwrap();
        assert!(next > now + SignedDuration::from_hours(24 * 30), "{far}: {next}");
        assert_eq!(hours.is_active(next), hours.is_active(now), "{far}");
    }
    let end = "9999-12-30T22:00:00Z";
    assert!(
        active(json!([{"years": ["2090"]}])).next_change(at(end)).is_none_or(|next| next > at(end))
    );
    assert!(active(json!([{"years": ["2090"]}])).next_change(now).unwrap() > now + year);
}
