//! From spec to target: what is refused, in which words, and what survives an edit.

use std::{sync::Arc, time::Duration};

use fanfare::{
    api::Reason,
    delivery::{Object, compile},
    registry::{Allowed, HttpMethod, ProbePlan, Registry},
};
use serde_json::{Value, json};

use super::fixture::{Values, now, object, target, try_target};
use crate::support::sink::Authority;

const CANARY: &str = "c4nary";

fn by_secret() -> Value {
    json!({"type": "Webhook", "webhook": {"urlSecretRef": {"name": "s", "key": "url"}}})
}

fn with_connection(connection: &Value) -> Value {
    json!({"type": "Webhook", "webhook": {"url": "https://a.example/"}, "connection": connection})
}

#[test]
fn an_address_from_a_secret_must_be_usable() {
    let good = [
        "https://a.example/x?y=1",
        "http://a.example:8080",
        "https://a.example/\n",
        " https://a.example \r\n",
    ];
    for url in good {
        let target = try_target(by_secret(), &Values::default().with("s/url", url)).unwrap();
        assert!(target.host().unwrap().starts_with("a.example"), "{url:?}");
    }
    let long = format!("https://a.example/{CANARY}{}", "x".repeat(2_048));
    let bad = [
        "",
        "\n",
        CANARY,
        "ftp://c4nary.example/",
        "https://",
        "https:///c4nary",
        "https://user:c4nary@a.example/",
        "https://c4nary@a.example/",
        "https://a.example/c4nary x",
        "https://a.example/\nc4nary",
        "https://a.example/c4nary\tx",
        "https://a.example:99999/c4nary",
        "https://a example/c4nary",
        "https://[::g]/c4nary",
        &long,
    ];
    for url in bad {
        let refused = try_target(by_secret(), &Values::default().with("s/url", url)).unwrap_err();
        assert_eq!(refused.reason, Reason::InvalidCredentials, "{url:?}");
        assert!(refused.permanent);
        assert!(refused.message.contains("key url of Secret shop/s"), "{}", refused.message);
        assert!(!refused.message.contains(CANARY), "{}", refused.message);
    }
}

#[test]
fn what_is_missing_is_named_with_the_command_that_mends_it() {
    let refused = try_target(by_secret(), &Values::default()).unwrap_err();
    assert_eq!((refused.reason, refused.permanent), (Reason::SecretNotFound, false));
    assert!(
        refused.message.contains("kubectl -n shop create secret generic s --from-literal=url=")
    );
    let refused = try_target(by_secret(), &Values::default().with("s/other", "x")).unwrap_err();
    assert_eq!((refused.reason, refused.permanent), (Reason::SecretKeyMissing, false));
    assert!(refused.message.contains("kubectl -n shop patch secret s"), "{}", refused.message);
    let ca = json!({"tls": {"caConfigMapRef": {"name": "ca", "key": "ca.crt"}}});
    let refused = try_target(with_connection(&ca), &Values::default()).unwrap_err();
    assert_eq!(refused.reason, Reason::ConfigMapNotFound);
}

#[test]
fn d07_credentials_must_fit_where_they_go() {
    let from = |key: &str| json!({"name": "s", "key": key});
    let bearer = json!({"auth": {"type": "Bearer", "bearer": {"tokenSecretRef": from("k")}}});
    let header = json!({"headers": [{"name": "X-A", "valueFrom": {"secretKeyRef": from("k")}}]});
    let basic = json!({
        "auth": {"type": "Basic", "basic": {"usernameSecretRef": from("k"), "passwordSecretRef": from("k")}},
    });
    let ca = json!({"tls": {"caSecretRef": from("k")}});
    let broken = Authority::new().pem().replace("MII", "c4nary");
    let cases = [
        (&bearer, "c4nary with space"),
        (&bearer, "c4nary\nX-Injected: 1"),
        (&bearer, ""),
        (&header, "c4nary\r\nX-Injected: 1"),
        (&header, "c4nary\u{0}"),
        (&basic, "c4nary:x"),
        (&ca, "c4nary"),
        (&ca, "-----BEGIN CERTIFICATE-----\nc4nary\n-----END CERTIFICATE-----\n"),
        (&ca, &broken),
    ];
    for (connection, value) in cases {
        let values = Values::default().with("s/k", value);
        let refused = try_target(with_connection(connection), &values).unwrap_err();
        assert_eq!(refused.reason, Reason::InvalidCredentials, "{value:?}");
        assert!(refused.message.contains("key k of Secret shop/s"), "{}", refused.message);
        assert!(!refused.message.contains(CANARY), "{}", refused.message);
    }
    let pager = json!({"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": from("k")}});
    for key in ["c4nary", "0123456789abcdef0123456789abcde!", "0123456789abcdef0123456789abcdef0"] {
        let refused = try_target(pager.clone(), &Values::default().with("s/k", key)).unwrap_err();
        assert_eq!(refused.reason, Reason::InvalidCredentials);
        assert!(!refused.message.contains(key), "{}", refused.message);
    }
}

#[test]
fn what_the_api_server_would_refuse_is_refused_here_too() {
    let headers = [
        "Host",
        "content-length",
        "Transfer-Encoding",
        "Connection",
        "Expect",
        "webhook-id",
        "bad name",
    ];
    let mut specs: Vec<_> = headers
        .iter()
        .map(|name| with_connection(&json!({"headers": [{"name": name, "value": "x"}]})))
        .collect();
    specs.push(with_connection(&json!({"headers": [{"name": "X-A", "value": "a\r\nb: c"}]})));
    specs.push(json!({"type": "Webhook"}));
    specs.push(json!({"type": "Slack", "webhook": {"url": "https://a.example"}}));
    specs.push(json!({"type": "Webhook", "webhook": {}}));
    specs.push(json!({"type": "Webhook", "webhook": {"url": "https://u:p@a.example"}}));
    specs.push(json!({"type": "Alertmanager", "alertmanager": {"urls": []}}));
    specs.push(json!({"type": "Alertmanager", "alertmanager": {"urls": ["ftp://a"]}}));
    let check = |http: Value| {
        json!({
            "type": "Webhook",
            "webhook": {"url": "https://a.example"},
            "healthCheck": {"type": "HTTP", "http": http},
        })
    };
    specs.push(check(json!({"path": "healthz"})));
    specs.push(check(json!({"path": "http://other.example/"})));
    specs.push(check(json!({"expectedStatuses": ["many"]})));
    for spec in specs {
        let refused = try_target(spec.clone(), &Values::default()).unwrap_err();
        assert_eq!(refused.reason, Reason::InvalidSpec, "{spec}");
        assert!(refused.permanent, "{spec}");
    }
}

#[test]
fn absent_fields_have_the_documented_defaults() {
    let target = target(json!({"type": "Webhook", "webhook": {"url": "https://a.example/x"}}));
    assert_eq!((target.timeout, target.max_in_flight), (Duration::from_secs(10), 8));
    assert_eq!((target.method, &target.allowed), (HttpMethod::Post, &Allowed::Same));
    assert_eq!(target.health.interval, Duration::from_mins(1));
    assert_eq!(target.health.degraded_latency, Duration::from_secs(5));
    assert!(matches!(target.probe, Some(ProbePlan::Http { path: None, .. })));
    assert_eq!(target.host(), Some("a.example"));
    assert!(target.headers.is_empty());
}

#[test]
fn live_state_survives_an_edit_that_keeps_endpoint_and_credentials() {
    let spec = |path: &str, timeout: &str, token: &str| {
        let spec = json!({
            "type": "Webhook",
            "webhook": {"url": format!("https://a.example/{path}")},
            "delivery": {"timeout": timeout},
            "connection": {
                "auth": {"type": "Bearer", "bearer": {"tokenSecretRef": {"name": "s", "key": "k"}}},
            },
        });
        (object(spec), Values::default().with("s/k", token))
    };
    let mut registry = Registry::default();
    let mut build = |(object, values): (Object, Values)| {
        let key = object.key.clone();
        registry.apply_target(compile(object, &values, now()));
        Arc::clone(&registry.snapshot().target(&key).unwrap().live)
    };
    let first = build(spec("x", "10s", "one"));
    let kept = build(spec("x", "20s", "one"));
    assert!(Arc::ptr_eq(&first, &kept));
    let moved = build(spec("y", "20s", "one"));
    assert!(!Arc::ptr_eq(&kept, &moved));
    let rotated = build(spec("y", "20s", "two"));
    assert!(!Arc::ptr_eq(&moved, &rotated));
    let (mut again, values) = spec("y", "20s", "two");
    again.uid = "uid-2".into();
    let recreated = build((again, values));
    assert!(!Arc::ptr_eq(&rotated, &recreated));
}
