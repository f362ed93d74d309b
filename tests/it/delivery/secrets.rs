//! No credential, and nothing of an answer's body, appears anywhere that people look.

use std::{
    fmt::Write as _,
    io::Write,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fanfare::delivery::{Client, LogInbox};
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::{Value, json};

use super::fixture::{Values, firing, loopback, send, target_with};
use crate::support::sink::{Answer, DeadPort, Fault, Sink};

/// Looks like a routing key, so that it can stand in every place.
const CANARY: &str = "CANARY0123456789abcdefCANARY6789";

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut log = self.0.lock().map_err(|_| std::io::Error::other("poisoned"))?;
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Forms in which a credential could slip through.
fn forms() -> [String; 4] {
    let hex = CANARY.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
    [CANARY.to_owned(), STANDARD.encode(CANARY), STANDARD.encode(format!("u:{CANARY}")), hex]
}

fn leaks(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    forms().into_iter().filter(|form| lower.contains(&form.to_lowercase())).collect()
}

fn specs(base: &str) -> (Vec<Value>, Values) {
    let from = |key: &str| json!({"name": "s", "key": key});
    let values = Values::default()
        .with("s/url", &format!("{base}/services/{CANARY}?token={CANARY}"))
        .with("s/key", CANARY)
        .with("s/user", "u");
    let connection = json!({
        "headers": [{"name": "X-Key", "valueFrom": {"secretKeyRef": from("key")}}],
        "auth": {
            "type": "Basic",
            "basic": {"usernameSecretRef": from("user"), "passwordSecretRef": from("key")},
        },
    });
    let delivery = json!({"timeout": "300ms"});
    let check = json!({"timeout": "300ms"});
    let specs = [
        json!({"type": "Webhook", "webhook": {"urlSecretRef": from("url")}}),
        json!({"type": "Slack", "slack": {"webhookURLSecretRef": from("url")}}),
        json!({"type": "PagerDuty", "pagerDuty": {"routingKeySecretRef": from("key"), "endpoint": base}}),
        json!({"type": "Rootly", "rootly": {"webhookURLSecretRef": from("url")}}),
        json!({"type": "Alertmanager", "alertmanager": {"urls": [base]}}),
    ];
    let specs = specs.into_iter().map(|mut spec| {
        spec["connection"] = connection.clone();
        spec["delivery"] = delivery.clone();
        spec["healthCheck"] = check.clone();
        spec
    });
    (specs.collect(), values)
}

#[tokio::test]
async fn a_credential_appears_in_no_error_debug_text_metric_or_log() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    let mut registry = Registry::default();
    let client = Client::new(loopback(), Arc::new(LogInbox::default()), &mut registry);
    let echo = forms().join(" ");
    let echoed = json!({"ok": false, "error": echo, "errors": [format!("routing_key {echo}")]});
    let mut answers: Vec<Answer> = [200, 202, 302, 400, 401, 403, 404, 410, 429, 500, 503]
        .into_iter()
        .flat_map(|status| {
            let header = Answer::status(status)
                .header("location", &format!("https://a.example/{CANARY}"))
                .header("retry-after", CANARY);
            [header.clone().body(echo.clone()), header.json(&echoed)]
        })
        .collect();
    answers.push(Answer::fault(Fault::Raw(format!("HTTP/1.1 {echo}\r\n\r\n").into_bytes())));
    answers.push(Answer::fault(Fault::Close));
    answers.push(Answer::fault(Fault::Hang));
    let mut text = String::new();
    let mut see = |what: &dyn std::fmt::Debug| {
        write!(text, "{what:?}\n{what:#?}\n").expect("texts take everything");
    };
    let sink = Sink::start().await;
    let plain_port = sink.url("").replace("http:", "https:");
    let bases =
        [sink.url(""), plain_port, DeadPort::reserve().url(""), "http://[::1]:1".to_owned()];
    for base in bases {
        let answers = if base == sink.url("") { &answers[..] } else { &answers[..1] };
        for answer in answers {
            sink.answer(answer.clone());
            let (specs, values) = specs(&base);
            for spec in specs {
                let target = target_with(spec, &values);
                let attempt = send(&client, &target, firing()).await;
                see(&target);
                see(&attempt);
                see(&client.probe(&target).await);
            }
        }
    }
    encode(&mut text, &registry).unwrap();
    text.push_str(&String::from_utf8(log.0.lock().unwrap().clone()).unwrap());
    assert_eq!(leaks(&text), Vec::<String>::new());
    assert!(
        text.contains("AuthenticationFailed") && text.contains("127.0.0.1"),
        "the text is there"
    );

    // The control: what receivers got holds it, and a planted one is found.
    let received = format!("{:?}", sink.received());
    assert!(leaks(&received).contains(&CANARY.to_owned()));
    for form in forms() {
        assert_eq!(leaks(&format!("{text} {form}")), [form]);
    }
}
