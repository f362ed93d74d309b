//! Alerts that no well-behaved sender posts: what becomes of them, and that nothing else in the post is harmed.
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test that can't go on fails")]

use std::time::Duration;

use fanfare::alert::{Limits, ParseError, Status, v2};
use jiff::Timestamp;

fn now() -> Timestamp {
    "2026-03-01T10:16:00Z".parse().unwrap()
}

fn parse(body: impl AsRef<[u8]>) -> Result<v2::Batch, ParseError> {
    let settings =
        v2::Settings { resolve_timeout: Duration::from_mins(5), limits: Limits::default() };
    v2::parse(body.as_ref(), now(), &settings)
}

/// Posts `odd` between two good alerts; the good ones are always taken. Answers what became of `odd`: its
/// labels, or why it was refused.
fn between(odd: &str) -> Result<Vec<(String, String)>, String> {
    let batch =
        parse(format!(r#"[{{"labels":{{"good":"1"}}}},{odd},{{"labels":{{"good":"2"}}}}]"#))
            .unwrap();
    let good = batch.alerts.iter().filter(|alert| !alert.label("good").is_empty());
    assert_eq!(good.count(), 2, "{odd}");
    let mut bad = batch.invalid.into_iter();
    let own = batch.alerts.into_iter().find(|alert| alert.label("good").is_empty());
    match (own, bad.next()) {
        (Some(alert), None) => {
            Ok(alert.labels.iter().map(|(name, value)| (name.into(), value.into())).collect())
        }
        (None, Some(invalid)) => {
            assert_eq!(invalid.index, 1);
            Err(invalid.message)
        }
        (own, bad) => panic!("{odd}: {own:?} {bad:?}"),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn any_text_but_none_is_a_label_name() {
    for name in ["a b", "0", "ünï", "☃", "{}=!~,", "__name__", " ", "\\\\"] {
        let taken = between(&format!(r#"{{"labels":{{"{name}":"v"}}}}"#)).unwrap();
        assert_eq!(taken, [(name.replace("\\\\", "\\"), "v".to_owned())]);
    }
    let quoted = between(r#"{"labels":{"a\"\n\u0000":"v\u0000"}}"#);
    assert_eq!(quoted.unwrap(), pairs(&[("a\"\n\0", "v\0")]));
    let nameless = between(r#"{"labels":{"":"v"}}"#).unwrap_err();
    assert_eq!(nameless, "invalid label set: invalid name \"\"");
}

#[test]
fn large_texts_are_refused_and_named_in_short() {
    let long = "x".repeat(1024 * 1024);
    for odd in [
        format!(r#"{{"labels":{{"a":"{long}"}}}}"#),
        format!(r#"{{"labels":{{"{long}":"a"}}}}"#),
        format!(r#"{{"labels":{{"a":"b"}},"annotations":{{"{long}":"a"}}}}"#),
        format!(r#"{{"labels":{{"a":"b"}},"annotations":{{"a":"{long}"}}}}"#),
        format!(r#"{{"labels":{{"a":"b"}},"generatorURL":"http://h/{long}"}}"#),
    ] {
        let refused = between(&odd).unwrap_err();
        assert!(refused.contains("longer than") && refused.len() < 200, "{refused}");
    }
}

#[test]
fn times_the_wrong_way_round_are_refused() {
    for (starts, ends) in [
        ("2026-03-01T10:15:00Z", "2026-03-01T10:14:59.999Z"),
        ("9999-12-31T23:59:59Z", "0001-01-02T00:00:00Z"),
        ("2026-03-01T12:00:00Z", ""),
    ] {
        let odd = format!(r#"{{"labels":{{"a":"b"}},"startsAt":"{starts}","endsAt":"{ends}"}}"#);
        assert_eq!(between(&odd).unwrap_err(), "start time must be before end time", "{odd}");
    }
    let moment =
        r#"{"labels":{"a":"b"},"startsAt":"2026-03-01T10:15:00Z","endsAt":"2026-03-01T10:15:00Z"}"#;
    assert!(between(moment).is_ok(), "over at once, but not the wrong way round");
}

#[test]
fn first_and_last_years_are_times_like_others() {
    for (starts, ends, status) in [
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", Status::Firing),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.001Z", Status::Resolved),
        ("0001-01-02T00:00:00Z", "9999-12-31T23:59:59Z", Status::Firing),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", Status::Firing),
        ("0000-01-01T00:00:00+24:00", "9999-12-31T23:59:59-24:00", Status::Firing),
    ] {
        let body = format!(r#"[{{"labels":{{"a":"b"}},"startsAt":"{starts}","endsAt":"{ends}"}}]"#);
        let alert = &parse(&body).unwrap().alerts[0];
        assert_eq!(alert.status(now()), status, "{body}");
        assert!(alert.starts_at <= alert.ends_at, "{body}");
    }
}

#[test]
fn duplicate_and_empty_labels_are_sorted_out() {
    let twice = between(r#"{"labels":{"a":"1","b":"x","a":"2"}}"#);
    assert_eq!(twice.unwrap(), pairs(&[("a", "2"), ("b", "x")]), "the last of a name counts");
    let gone = between(r#"{"labels":{"a":"1","a":"","b":"x","c":null}}"#);
    assert_eq!(gone.unwrap(), pairs(&[("b", "x")]), "an empty value is no label");
    for odd in [r#"{"labels":{"a":""}}"#, r#"{"labels":{}}"#, r#"{"labels":{"a":null}}"#] {
        assert_eq!(between(odd).unwrap_err(), "at least one label pair required", "{odd}");
    }
    let cases = between(r#"{"LABELS":{"Team":"A"},"StartsAt":"2026-03-01","annoTATIONS":{}}"#);
    assert_eq!(cases.unwrap(), pairs(&[("Team", "A")]), "keys match without case, labels do not");
}

#[test]
fn text_that_is_not_utf8_is_mended_not_lost() {
    let body = b"[{\"labels\":{\"good\":\"1\"}},{\"labels\":{\"a\xc3\":\"\xff\xfeb\"}}]";
    let batch = parse(body).unwrap();
    assert_eq!(batch.alerts.len(), 2);
    assert_eq!(batch.alerts[1].label("a\u{fffd}"), "\u{fffd}\u{fffd}b");
}

#[test]
fn conflicting_updates_are_applied_in_their_order() {
    let body = r#"[{"labels":{"a":"b"},"annotations":{"n":"1"}},{"labels":{"a":"b"},"endsAt":"2026-03-01T10:00:00Z"},
                   {"labels":{"a":"b"},"annotations":{"n":"2"}}]"#;
    let batch = parse(body).unwrap();
    let all: Vec<_> =
        batch.alerts.iter().map(|one| (one.status(now()), one.annotations.get("n"))).collect();
    let wanted = [(Status::Firing, "1"), (Status::Resolved, ""), (Status::Firing, "2")];
    assert_eq!(all, wanted, "the state sees them one after the other");
}

#[test]
fn what_is_no_array_of_alerts_is_refused_whole() {
    for (body, status) in [
        ("[null]", 400),
        ("[[]]", 400),
        (r#"[{"labels":{"good":"1"}},null]"#, 400),
        (r#"[{"labels":{"good":"1"}},{"labels":{"a":"b"}"#, 400),
        (r#"{"labels":{"a":"b"}}"#, 400),
        (r#"[{"labels":{"good":"1"}},{}]"#, 422),
    ] {
        assert_eq!(parse(body).unwrap_err().status(), status, "{body}");
    }
    for body in ["[]]", "[] []", "null", "[] trailing"] {
        assert!(parse(body).unwrap().alerts.is_empty(), "{body}: the first value counts");
    }
}
