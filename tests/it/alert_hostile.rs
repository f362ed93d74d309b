//! Whatever a sender posts is answered, and nothing panics.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::time::Duration;

use fanfare::{
    alert::{Limits, Member, Status, v2, webhook},
    routing::Matchers,
};
use jiff::Timestamp;
use proptest::prelude::*;

/// Pieces of bodies, put together at random.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = vec![
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"null",
        b"1e999",
        b"-0",
        b"true",
        b"\"\"",
        b" ",
        b"\"labels\"",
        b"\"labels\":{\"a\":\"b\"}",
        b"\"alerts\":[",
        b"\"annotations\":",
        b"\"startsAt\":",
        b"\"endsAt\":\"9999-12-31T23:59:59-23:59\"",
        b"\"0000-00-00\"",
        b"\"0001-01-01T00:00:00Z\"",
        b"\"generatorURL\":\"",
        b"\"status\":\"resolved\"",
        b"\"\\ud800\"",
        b"\"\\ud800\\udc00\"",
        b"\"\\",
        b"\xff",
        b"\xc3",
        b"\"a\":\"\xed\xa0\x80\"",
        b"%zz",
        b"http://[",
        b"\xf0\x9f\x98\x80",
        b"\0",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..24).prop_map(|pieces| pieces.concat())
}

fn check(body: &[u8]) {
    let now: Timestamp = "2026-03-01T10:16:00Z".parse().unwrap();
    let settings =
        v2::Settings { resolve_timeout: Duration::from_mins(5), limits: Limits::default() };
    for result in [v2::parse(body, now, &settings), webhook::parse(body, now, &settings.limits)] {
        match result {
            Err(error) => assert!(error.body().starts_with("{\"code\":")),
            Ok(batch) => {
                for alert in batch.alerts {
                    assert!(alert.starts_at <= alert.ends_at && !alert.labels.is_empty());
                    let member = Member { status: Status::Resolved, alert: alert.into() };
                    let rendered = v2::render(&[member], now);
                    serde_json::from_slice::<serde_json::Value>(&rendered).unwrap();
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn pieces_of_bodies_are_answered(body in any_body()) {
        check(&body);
    }

    #[test]
    fn damaged_bodies_are_answered(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        for name in ["input-prometheus-v2-alerts-batch.json", "input-grafana-webhook-firing.json"] {
            let path = format!("{}/tests/it/samples/{name}", env!("CARGO_MANIFEST_DIR"));
            let mut body = std::fs::read(path).unwrap();
            let length = body.len();
            body[at.index(length)] = byte;
            check(&body);
            check(&body[..cut.index(length)]);
        }
    }

    #[test]
    fn any_text_of_matchers_is_read_or_refused(text in "[ab=!~\"\\\\{},()\\[\\]*+?^$|.0-9é \\n-]{0,24}") {
        if let Ok(matchers) = Matchers::parse(&text) {
            let _ = matchers.to_string();
        }
        let _ = Matchers::parse(&format!("a=~{text}"));
    }
}
