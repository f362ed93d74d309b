//! Wire forms of alerts against recorded samples and against Alertmanager's own answers.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{sync::Arc, time::Duration};

use fanfare::alert::{
    Alert, Labels, Limits, Member, Notification, NotificationReason, ParseError, Status, group_key,
    incident_key, v2, webhook,
};
use jiff::Timestamp;
use serde_json::Value;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/samples/");

fn sample(name: &str) -> Vec<u8> {
    std::fs::read(format!("{SAMPLES}{name}")).unwrap()
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&sample(name)).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-03-01T10:16:00Z")
}

fn settings() -> v2::Settings {
    v2::Settings { resolve_timeout: Duration::from_mins(5), limits: Limits::default() }
}

fn parse(body: impl AsRef<[u8]>) -> Result<v2::Batch, ParseError> {
    v2::parse(body.as_ref(), now(), &settings())
}

fn one(body: &str) -> Alert {
    let mut batch = parse(body).unwrap();
    assert_eq!((batch.alerts.len(), batch.invalid.len()), (1, 0), "{body}");
    batch.alerts.remove(0)
}

fn refused(body: &str) -> String {
    let batch = parse(body).unwrap();
    assert!(batch.alerts.is_empty(), "{body}");
    batch.invalid.into_iter().map(|one| one.message).collect::<Vec<_>>().join("\n")
}

fn labels_of(value: &Value) -> Labels {
    value.as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())).collect()
}

#[test]
fn fingerprints_match_the_published_vectors() {
    let file = json("vectors-fingerprint.json");
    let all =
        file["vectors"].as_array().unwrap().iter().chain(file["must_differ"].as_array().unwrap());
    for vector in all {
        let fingerprint = labels_of(&vector["labels"]).fingerprint().to_string();
        assert_eq!(fingerprint, vector["fingerprint"].as_str().unwrap(), "{vector}");
    }
    let empty = &file["empty_value_removal"];
    assert_eq!(labels_of(&empty["input"]).fingerprint().to_string(), empty["fingerprint"]);
}

#[test]
fn group_keys_match_the_published_vector() {
    let file = json("vectors-alertmanager-group-key.json");
    let labels = Labels::from_iter([("namespace", "shop"), ("alertname", "HighErrorRate")]);
    let key = group_key("{}/{severity=\"critical\"}", &labels);
    assert_eq!(key, file["groupKey"]);
    assert_eq!(incident_key(&key), file["sha256_hex"]);
}

#[test]
fn posts_of_prometheus_are_read() {
    let batch = parse(sample("input-prometheus-v2-alerts-batch.json")).unwrap();
    assert!(batch.invalid.is_empty());
    let starts: Vec<_> = batch.alerts.iter().map(|alert| alert.starts_at.to_string()).collect();
    assert_eq!(starts, ["2026-03-01T10:15:00Z", "2026-03-01T10:15:00Z", "2026-02-01T00:00:00Z"]);
    let first = &batch.alerts[0];
    assert_eq!(first.ends_at, at("2026-03-01T10:20:00Z"));
    assert!(!first.timeout);
    assert_eq!(first.labels.fingerprint().to_string(), "9a246e1fba1b0348");
    assert_eq!(first.annotations.get("summary"), "Checkout error rate above 5%");
    assert!(first.generator_url.ends_with("&g0.tab=1"));
}

#[test]
fn posts_to_an_alertmanager_are_those_of_prometheus() {
    let body = sample("alertmanager-v2-post-firing.json");
    let alert = Arc::new(parse(&body).unwrap().alerts.remove(0));
    let member = Member { alert: alert.clone(), status: Status::Firing };
    let rendered = v2::render(&[member], at("2026-03-01T10:20:00Z"));
    let expected: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&rendered).unwrap(), expected);
    let text = String::from_utf8(rendered).unwrap();
    assert!(text.contains(r#""endsAt":"2026-03-01T10:20:00.000Z","startsAt":"2026-03-01T10:15:00.000Z","generatorURL":"#));
    let keys = ["\"annotations\"", "\"endsAt\"", "\"startsAt\"", "\"generatorURL\"", "\"labels\""];
    let places: Vec<_> = keys.iter().map(|key| text.find(key).unwrap()).collect();
    assert!(places.is_sorted());
}

#[test]
fn bodies_are_answered_as_alertmanager_answers_them() {
    // Each answer was printed by Alertmanager 0.34.2's own handler.
    for (body, status, answer) in [
        ("", 422, r#"{"code":602,"message":"alerts in body is required"}"#),
        ("[{}]", 422, r#"{"code":602,"message":"0.labels in body is required"}"#),
        (
            r#"[{"labels":{"a":"b"}},{"labels":null},{}]"#,
            422,
            r#"{"code":602,"message":"1.labels in body is required"}"#,
        ),
        (
            r#"[{"generatorURL":"x y"}]"#,
            422,
            r#"{"code":601,"message":"0.generatorURL in body must be of type uri: \"x y\""}"#,
        ),
    ] {
        let error = parse(body).unwrap_err();
        assert_eq!((error.status(), error.body().as_str()), (status, answer), "{body}");
    }
    for body in [
        "{}",
        "[",
        r#""x""#,
        "[1]",
        "[null]",
        "[[]]",
        r#"[{"labels":[]}]"#,
        r#"[{"labels":{"a":1}}]"#,
        r#"[{"labels":{"a":"b"},}]"#,
        "[{\"labels\":{\"a\":\"b\nc\"}}]",
        r#"[{"labels":{"a":"b"},"startsAt":"yesterday"}]"#,
        r#"[{"labels":{"a":"b"},"startsAt":5}]"#,
    ] {
        let error = parse(body).unwrap_err();
        assert_eq!((error.status(), error.code()), (400, 400), "{body}");
        let message = error.to_string();
        assert!(message.starts_with("parsing alerts body from \"\" failed, because "), "{message}");
    }
}

#[test]
fn odd_bodies_are_taken_as_alertmanager_takes_them() {
    for body in ["null", "[]", "[]]", "[] []"] {
        assert!(parse(body).unwrap().alerts.is_empty(), "{body}");
    }
    for (body, labels) in [
        (r#"[{"LABELS":{"a":"b"},"unknown":[{"x":[1.5,-2,true,null]}]}]"#, vec![("a", "b")]),
        (r#"[{"labels":{"a":"b"},"labels":{"c":"d"}}]"#, vec![("a", "b"), ("c", "d")]),
        (r#"[{"labels":{"a":"b","a":"c","x":null,"y":""}}]"#, vec![("a", "c")]),
        (
            r#"[{"labels":{"a":"\ud800","b":"\ud83d\ude00\\ud800\udc00"}}]"#,
            vec![("a", "\u{fffd}"), ("b", "😀\\ud800\u{fffd}")],
        ),
        (r#"[{"labels":{"Ünï":"☃","":""}}]"#, vec![("Ünï", "☃")]),
    ] {
        assert_eq!(one(body).labels.iter().collect::<Vec<_>>(), labels, "{body}");
    }
    let broken = parse(b"[{\"labels\":{\"a\":\"\xff\"}}]").unwrap();
    assert_eq!(broken.alerts[0].label("a"), "\u{fffd}");
}

#[test]
fn missing_times_are_filled_in() {
    for body in [
        r#"[{"labels":{"a":"b"}}]"#,
        r#"[{"labels":{"a":"b"},"startsAt":null,"endsAt":"0001-01-01T00:00:00.000Z","generatorURL":null}]"#,
    ] {
        let alert = one(body);
        assert_eq!(alert.starts_at, now());
        assert_eq!(alert.ends_at, at("2026-03-01T10:21:00Z"));
        assert!(alert.timeout);
        assert_eq!(alert.updated_at, now());
    }
    let ended = one(r#"[{"labels":{"a":"b"},"endsAt":"2027-01-01"}]"#);
    assert_eq!((ended.starts_at, ended.timeout), (at("2027-01-01T00:00:00Z"), false));
}

#[test]
fn far_years_do_no_harm() {
    let alert = one(
        r#"[{"labels":{"a":"b"},"startsAt":"0001-01-02T00:00:00Z","endsAt":"9999-12-31T23:59:59Z"}]"#,
    );
    assert_eq!(alert.ends_at, Timestamp::MAX);
    let rendered = v2::render(&[Member { alert: alert.into(), status: Status::Resolved }], now());
    assert!(
        String::from_utf8(rendered).unwrap().contains(r#""startsAt":"0001-01-02T00:00:00.000Z""#)
    );
}

#[test]
fn good_alerts_are_taken_and_the_others_named() {
    let batch = parse(
        r#"[{"labels":{"a":"1"}},{"labels":{}},{"labels":{"a":"2"},"startsAt":"2026-03-01T12:00:00Z"},
            {"labels":{"":"x"}},{"labels":{"a":"3"},"annotations":{"":"x"}},{"labels":{"a":"4"}}]"#,
    )
    .unwrap();
    let taken: Vec<_> = batch.alerts.iter().map(|alert| alert.label("a")).collect();
    assert_eq!(taken, ["1", "4"]);
    assert_eq!(batch.invalid.iter().map(|one| one.index).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(
        batch.error_body().unwrap(),
        r#""at least one label pair required\nstart time must be before end time\ninvalid label set: invalid name \"\"\ninvalid annotations: invalid name \"\"""#
    );
}

#[test]
fn limits_hold() {
    let pairs =
        |count: usize| (0..count).map(|n| format!("\"l{n}\":\"v\"")).collect::<Vec<_>>().join(",");
    one(&format!("[{{\"labels\":{{{}}}}}]", pairs(64)));
    assert!(refused(&format!("[{{\"labels\":{{{}}}}}]", pairs(65))).contains("at most 64"));
    let long = |length: usize| "x".repeat(length);
    one(&format!(r#"[{{"labels":{{"{}":"{}"}}}}]"#, long(256), long(4096)));
    assert!(refused(&format!(r#"[{{"labels":{{"{}":"v"}}}}]"#, long(257))).contains("256 bytes"));
    assert!(refused(&format!(r#"[{{"labels":{{"a":"{}"}}}}]"#, long(4097))).contains("4096 bytes"));
    let note =
        |length| format!(r#"[{{"labels":{{"a":"b"}},"annotations":{{"n":"{}"}}}}]"#, long(length));
    one(&note(16 * 1024));
    assert!(refused(&note(16 * 1024 + 1)).contains("16384 bytes"));
    let many = |count| format!("[{}]", vec![r#"{"labels":{"a":"b"}}"#; count].join(","));
    assert_eq!(parse(many(10_000)).unwrap().alerts.len(), 10_000);
    assert_eq!(parse(many(10_001)).unwrap_err().status(), 413);
    let nested = |levels: usize| {
        format!(r#"[{{"labels":{{"a":"b"}},"x":{}{}}}]"#, "[".repeat(levels), "]".repeat(levels))
    };
    one(&nested(30));
    assert_eq!(parse(nested(31)).unwrap_err().status(), 400);
    assert_eq!(parse(nested(100_000)).unwrap_err().status(), 400);
}

#[test]
fn webhook_bodies_give_one_alert_per_member() {
    let read = |name| {
        let batch =
            webhook::parse(&sample(name), at("2026-03-01T11:00:00Z"), &Limits::default()).unwrap();
        assert!(batch.invalid.is_empty(), "{name}");
        batch.alerts
    };
    for (name, resolved) in [
        ("input-alertmanager-webhook-v4-firing.json", vec![false]),
        ("input-alertmanager-webhook-v4-mixed-group.json", vec![false, true]),
        ("input-alertmanager-webhook-v4-older-version.json", vec![false]),
        ("input-alertmanager-webhook-v4-resolved.json", vec![true]),
        ("input-grafana-webhook-firing.json", vec![false]),
        ("input-grafana-webhook-resolved.json", vec![true]),
    ] {
        let alerts = read(name);
        assert_eq!(alerts.len(), resolved.len(), "{name}");
        for (alert, resolved) in alerts.iter().zip(resolved) {
            assert_eq!(alert.label("alertname"), "HighErrorRate");
            assert_eq!(alert.timeout, !resolved, "{name}");
            let end = if resolved { at("2026-03-01T10:42:30Z") } else { Timestamp::MAX };
            assert_eq!(alert.ends_at, end, "{name}");
        }
    }
}

#[test]
fn webhook_members_are_judged_by_their_status() {
    let read = |members: &str| {
        webhook::parse(format!("{{\"alerts\":[{members}]}}").as_bytes(), now(), &Limits::default())
    };
    let resolved = |members: &str| {
        let alert = read(members).unwrap().alerts.remove(0);
        assert!(alert.starts_at <= alert.ends_at);
        (alert.status(now()), alert.ends_at.min(now()))
    };
    let early = r#"{"labels":{"a":"b"},"status":"resolved","endsAt":"2026-03-01T23:00:00Z"}"#;
    assert_eq!(resolved(early), (Status::Resolved, now()));
    let no_end = r#"{"labels":{"a":"b"},"status":"resolved","startsAt":"2026-03-01T23:00:00Z"}"#;
    assert_eq!(resolved(no_end), (Status::Resolved, now()));
    let stale_end = r#"{"labels":{"a":"b"},"status":"firing","endsAt":"2026-01-01T00:00:00Z"}"#;
    assert_eq!(resolved(stale_end), (Status::Firing, now()));
    assert_eq!(read(r#"{"labels":{"a":"b"},"status":"odd"}"#).unwrap().invalid.len(), 1);
    assert_eq!(read(r#"{"status":"firing"}"#).unwrap().invalid.len(), 1);
    assert_eq!(read("null").unwrap_err().status(), 400);
    for body in ["{}", "[]", "null", "{\"alerts\":7}"] {
        let error = webhook::parse(body.as_bytes(), now(), &Limits::default()).unwrap_err();
        assert_eq!(error.status(), 400, "{body}");
    }
}

#[test]
fn rendered_webhooks_are_those_of_alertmanager() {
    for name in [
        "input-alertmanager-webhook-v4-firing.json",
        "input-alertmanager-webhook-v4-mixed-group.json",
        "input-alertmanager-webhook-v4-resolved.json",
    ] {
        let expected = json(name);
        let alerts = webhook::parse(&sample(name), at("2026-03-01T11:00:00Z"), &Limits::default())
            .unwrap()
            .alerts;
        let members: Vec<_> = alerts
            .into_iter()
            .rev()
            .map(|alert| Member {
                status: alert.status(at("2026-03-01T11:00:00Z")),
                alert: alert.into(),
            })
            .collect();
        let notification = Notification {
            id: "id".into(),
            group_key: expected["groupKey"].as_str().unwrap().into(),
            incident_key: "key".into(),
            receiver: "tocsin".into(),
            status: members.iter().map(|member| member.status).min().unwrap(),
            members,
            group_labels: labels_of(&expected["groupLabels"]),
            reason: match expected["notification_reason"].as_str().unwrap() {
                "first notification" => NotificationReason::First,
                "all alerts resolved" => NotificationReason::AllResolved,
                _ => NotificationReason::SomeResolved,
            },
            external_url: "http://alertmanager.example.com".into(),
            at: now(),
            fallback: false,
            digest: false,
        };
        let rendered = String::from_utf8(webhook::render(&notification)).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&rendered).unwrap(), expected, "{name}");
        let keys = |text: &str| -> Vec<String> {
            text.split('"').filter(|word| expected.get(word).is_some()).map(Into::into).collect()
        };
        let source = String::from_utf8(sample(name)).unwrap();
        assert_eq!(keys(&rendered), keys(&source), "{name}");
        assert!(rendered.contains("tab=1\",\"fingerprint\":\"9a246e1fba1b0348\"}"));
        assert!(rendered.contains(r"\u0026g0.tab=1") && rendered.ends_with("}\n"));
    }
}
