//! Slack's rules, checked by a strict receiver.

use std::collections::BTreeSet;

use fanfare::{
    alert::{Alert, Labels, Notification, Status},
    delivery::Client,
};
use serde_json::{Value, json};

use super::fixture::{
    Values, about, alert, alert_of, client, firing, resolved, sample, send, target_with,
};
use crate::support::sink::{Answer, Sink};

/// What a Slack target posts for `notification`, already checked.
pub(super) async fn posted(client: &Client, notification: Notification) -> Value {
    let sink = Sink::start().await;
    sink.answer(Answer::status(200).header("content-type", "text/html").body("ok"));
    let values = Values::default().with("s/k", &sink.url("/services/T0/B0/xyz"));
    let spec =
        json!({"type": "Slack", "slack": {"webhookURLSecretRef": {"name": "s", "key": "k"}}});
    let attempt = send(client, &target_with(spec, &values), notification).await;
    assert_eq!(attempt.result, Ok(()));
    let request = &sink.received()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/services/T0/B0/xyz"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body = request.json();
    check(&body);
    body
}

/// Panics where Slack would refuse the message or show something else than meant.
pub(super) fn check(message: &Value) {
    only(message, &["text", "blocks"]);
    mrkdwn(text(&message["text"], 4_000));
    let blocks = message["blocks"].as_array().expect("blocks is a list");
    assert!((1..=50).contains(&blocks.len()));
    let mut total = 0;
    for block in blocks {
        match block["type"].as_str() {
            Some("header") => {
                only(block, &["type", "text"]);
                assert_eq!(block["text"]["type"], "plain_text");
                mrkdwn(text(&block["text"]["text"], 150));
            }
            Some("section") => {
                only(block, &["type", "text", "fields"]);
                assert!(block.get("text").is_some() != block.get("fields").is_some());
                if let Some(object) = block.get("text") {
                    text_object(object, 3_000);
                }
                let fields = block.get("fields").map(|it| it.as_array().unwrap());
                assert!(fields.is_none_or(|it| (1..=10).contains(&it.len())));
                fields.into_iter().flatten().for_each(|field| text_object(field, 2_000));
            }
            Some("context") => {
                only(block, &["type", "elements"]);
                let elements = block["elements"].as_array().unwrap();
                assert!((1..=10).contains(&elements.len()));
                for element in elements {
                    text_object(element, 3_000);
                }
            }
            Some("actions") => {
                only(block, &["type", "elements"]);
                buttons(block["elements"].as_array().unwrap());
            }
            other => panic!("no block type: {other:?}"),
        }
        total += block.to_string().encode_utf16().count();
    }
    assert!(total <= 13_200, "{total} is over the limit of all blocks together");
}

fn buttons(elements: &[Value]) {
    assert!((1..=25).contains(&elements.len()));
    let mut ids = BTreeSet::new();
    for element in elements {
        only(element, &["type", "text", "url", "action_id"]);
        assert_eq!(
            (&element["type"], &element["text"]["type"]),
            (&json!("button"), &json!("plain_text"))
        );
        text(&element["text"]["text"], 75);
        let url = text(&element["url"], 3_000);
        assert!(url.starts_with("https://") || url.starts_with("http://"), "{url}");
        assert!(ids.insert(text(&element["action_id"], 255)));
    }
}

fn text_object(object: &Value, max: usize) {
    only(object, &["type", "text", "verbatim"]);
    assert_eq!((&object["type"], &object["verbatim"]), (&json!("mrkdwn"), &json!(true)));
    mrkdwn(text(&object["text"], max));
}

fn text(value: &Value, max: usize) -> &str {
    let text = value.as_str().unwrap_or_else(|| panic!("not a text: {value}"));
    let units = text.encode_utf16().count();
    assert!((1..=max).contains(&units), "{units} is not within 1 and {max}: {text}");
    text
}

/// No markup but our own date, no raw control character, no mention of everybody.
fn mrkdwn(text: &str) {
    let mut rest = text.to_owned();
    while let Some(at) = rest.find("<!date^") {
        let end = at + rest[at..].find('>').expect("a date ends");
        rest.replace_range(at..=end, "");
    }
    let plain = rest.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
    assert!(!plain.contains(['<', '>', '&']), "{text}");
    let lower = plain.to_lowercase();
    for word in ["@channel", "@here", "@everyone"] {
        assert!(!lower.contains(word), "{text}");
    }
    assert!(!plain.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
}

fn only(object: &Value, known: &[&str]) {
    for key in object.as_object().expect("an object").keys() {
        assert!(known.contains(&key.as_str()), "Slack knows no {key} here");
    }
}

/// Removes what ours adds to the samples.
fn without_verbatim(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.remove("verbatim");
            map.values_mut().for_each(without_verbatim);
        }
        Value::Array(list) => list.iter_mut().for_each(without_verbatim),
        _ => {}
    }
}

#[tokio::test]
async fn one_alert_looks_like_the_sample() {
    for (notification, name) in [(firing(), "firing"), (resolved(), "resolved")] {
        let mut posted = posted(&client(), notification).await;
        without_verbatim(&mut posted);
        let mut expected = sample(&format!("slack-webhook-{name}.json"));
        let buttons = &mut expected["blocks"][3]["elements"];
        for button in buttons.as_array_mut().unwrap() {
            button["text"]["emoji"] = json!(false);
        }
        assert_eq!(posted, expected, "{name}");
    }
}

#[tokio::test]
async fn several_alerts_are_listed_and_the_rest_counted() {
    let members = |count| {
        let nth = |nth| {
            let status = if nth % 3 == 0 { Status::Resolved } else { Status::Firing };
            (alert_of("x", nth), status)
        };
        about((0..count).map(nth).collect())
    };
    let list = |posted: &Value| posted["blocks"][3]["text"]["text"].as_str().unwrap().to_owned();
    let few = posted(&client(), members(4)).await;
    assert!(few["text"].as_str().unwrap().starts_with("[FIRING:2] x"), "{few}");
    assert_eq!(list(&few).lines().count(), 4);
    assert!(list(&few).starts_with("• firing: instance=1: x\n"), "{}", list(&few));
    let many = posted(&client(), members(5_000)).await;
    assert_eq!(list(&many).lines().count(), 11);
    assert!(list(&many).ends_with("… and 4990 more"), "{}", list(&many));
}

#[tokio::test]
async fn one_of_several_alerts_does_not_speak_for_the_others() {
    let member = |name: &'static str, instance: &'static str, severity: &'static str| {
        let mut member = alert();
        let labels = [("alertname", name), ("instance", instance), ("severity", severity)];
        member.labels = labels.into_iter().chain([("cluster", "x")]).collect();
        let summary = format!("{instance} is in trouble");
        member.annotations = [("summary", &*summary)].into_iter().collect();
        member
    };
    let mut first = member("Disk", "a", "warning");
    first.starts_at += jiff::SignedDuration::from_mins(1);
    let second = member("Disk", "b", "critical");
    let mut disks = about(vec![(first, Status::Firing), (second.clone(), Status::Resolved)]);
    disks.group_labels = [("alertname", "Disk")].into_iter().collect();
    let body = posted(&client(), disks).await;
    assert_eq!(body["text"], "[FIRING:1] Disk (x)");
    assert_eq!(body["blocks"][0]["text"]["text"], ":rotating_light: Disk firing");
    let fields = body["blocks"][1]["fields"].to_string();
    assert!(fields.contains("*Status*\\n1 firing, 1 resolved"), "{fields}");
    assert!(fields.contains("*Cluster*\\nx") && !fields.contains("Severity"), "{fields}");
    let list = "• firing: instance=a, severity=warning: a is in trouble\n\
                • resolved: instance=b, severity=critical: b is in trouble";
    assert_eq!(body["blocks"][2]["text"]["text"], list);
    let footer = body["blocks"].as_array().unwrap().last().unwrap()["elements"][0].to_string();
    assert!(footer.contains("2 alerts · started") && footer.contains("10:16:00"), "{footer}");

    let other = member("Memory", "c", "critical");
    let mut mixed = about(vec![(second, Status::Firing), (other, Status::Firing)]);
    mixed.group_labels = [("cluster", "x")].into_iter().collect();
    assert_eq!(posted(&client(), mixed.clone()).await["text"], "[FIRING:2] cluster=x (x)");
    mixed.group_labels = [("", ""); 0].into_iter().collect();
    assert_eq!(posted(&client(), mixed).await["text"], "[FIRING:2] 2 alerts (x)");
}

#[tokio::test]
async fn long_texts_are_cut_with_a_mark_and_never_lost() {
    for text in
        ["x".repeat(20_000), "<&>".repeat(9_000), "😀é".repeat(9_000), "a b\n".repeat(9_000)]
    {
        let members = (0..50).map(|nth| (alert_of(&text, nth), Status::Firing)).collect();
        let body = posted(&client(), about(members)).await;
        assert!(body["text"].as_str().unwrap().ends_with('…'));
        assert!(body["blocks"][0]["text"]["text"].as_str().unwrap().contains('…'));
    }
}

#[tokio::test]
async fn every_text_is_cut_at_its_own_limit() {
    let long = "x".repeat(20_000);
    let members = (0..50).map(|nth| (alert_of(&long, nth), Status::Firing)).collect();
    let body = posted(&client(), about(members)).await;
    let units = |value: &Value| value.as_str().unwrap().encode_utf16().count();
    assert_eq!(units(&body["text"]), 1_000);
    let blocks = &body["blocks"];
    assert_eq!(units(&blocks[0]["text"]["text"]), 150);
    assert_eq!(units(&blocks[1]["text"]["text"]), 3_000);
    let lines = |value: &Value| -> Vec<usize> {
        value.as_str().unwrap().lines().map(|line| line.encode_utf16().count()).collect()
    };
    for field in &blocks[2]["fields"].as_array().unwrap()[..3] {
        assert_eq!(lines(&field["text"])[1], 200, "{field}");
    }
    let list = &blocks[3]["text"]["text"];
    let each = "• firing: ".chars().count() + 240;
    assert_eq!(lines(list)[..9], [each; 9], "ten would be over the limit of the list");
    assert!(list.as_str().unwrap().ends_with("\n… and 41 more"));

    let mut two = alert_of(&long, 0);
    two.annotations = fanfare::alert::Labels::from_iter([
        ("summary".to_owned(), long.clone()),
        ("description".to_owned(), "y".repeat(20_000)),
    ]);
    let body = posted(&client(), about(vec![(two, Status::Firing)])).await;
    let head = "**".len() + 500;
    assert_eq!(lines(&body["blocks"][1]["text"]["text"]), [head, 3_000 - head - 1]);
}

#[tokio::test]
async fn an_alert_without_any_text_is_told_all_the_same() {
    let mut bare = alert();
    bare.labels = fanfare::alert::Labels::from_iter([("x", "1")]);
    bare.annotations = fanfare::alert::Labels::empty();
    bare.generator_url = "".into();
    let body = posted(&client(), about(vec![(bare, Status::Firing)])).await;
    assert_eq!(body["text"], "[FIRING] alert");
}

/// An alert of this name with this summary.
fn named(name: &str, summary: &str) -> Alert {
    Alert {
        labels: Labels::from_iter([("alertname", name)]),
        annotations: Labels::from_iter([("summary", summary)]),
        ..alert()
    }
}

#[tokio::test]
async fn a_digest_names_its_alerts_and_counts_the_rest() {
    let client = client();
    let alerts = (0..1_000).map(|number| {
        let status = if number % 4 == 0 { Status::Resolved } else { Status::Firing };
        let alert = named(&format!("Alert{}", number % 40), &"<&>".repeat(200));
        (alert, status)
    });
    let digest = Notification { digest: true, fallback: true, ..about(alerts.collect()) };
    let body = posted(&client, digest).await;
    let whole = body.to_string();
    assert!(whole.contains("1000 alerts: 750 firing, 250 resolved"), "{whole}");
    assert!(whole.contains("*Alert1* ×25") && whole.contains("and 15 other names"), "{whole}");
    assert!(whole.contains("fallback") && whole.contains("more"), "{whole}");
    let few = [("DiskFull", Status::Firing), ("HighLoad", Status::Resolved)];
    let few = few.map(|(name, status)| (named(name, "what is wrong"), status));
    let body = posted(&client, Notification { digest: true, ..about(few.into()) }).await;
    let whole = body.to_string();
    assert!(whole.contains("• firing: DiskFull: what is wrong"), "{whole}");
    assert!(whole.contains("• resolved: HighLoad: what is wrong"), "{whole}");
    assert!(!whole.contains(" more") && !whole.contains("×"), "{whole}");
}

#[tokio::test]
async fn what_goes_to_a_fallback_says_so() {
    let body = posted(&client(), Notification { fallback: true, ..firing() }).await;
    assert!(body["text"].as_str().unwrap().starts_with("[FALLBACK] [FIRING]"), "{body}");
    assert!(body["blocks"].to_string().contains("Sent to this fallback because"), "{body}");
    assert!(!posted(&client(), firing()).await.to_string().to_lowercase().contains("fallback"));
}
