//! The body of webhooks, byte by byte.

use std::{collections::BTreeMap, sync::Arc};

use fanfare::alert::{
    Alert, Labels, Member, Notification, NotificationReason as Reason, Status, webhook,
};
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    generate::{self, CASES},
    oracle::{ask, none_of},
};

/// What Alertmanager's own packages said to these questions, for tests that run without them.
/// `FANFARE_UPDATE_VECTORS=1` writes it anew.
const VECTORS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/samples/vectors-webhook-v4.json");
/// How many cases are written down.
const WRITTEN: usize = 40;
const REASONS: [Reason; 5] =
    [Reason::First, Reason::NewAlerts, Reason::SomeResolved, Reason::AllResolved, Reason::Repeat];

#[test]
fn webhook_bodies_are_alertmanagers_byte_by_byte() {
    let mut rng = generate::rng();
    let cases: Vec<Value> = (0..CASES).map(|_| case(&mut rng)).collect();
    let questions: Vec<Value> =
        cases.iter().map(|case| json!({"payload": without_empty_annotations(case)})).collect();
    let Some(answers) = ask(&questions) else { return };
    let mut differences = Vec::new();
    for (case, answer) in cases.iter().zip(&answers) {
        let ours = rendered(case);
        if answer["text"] != ours {
            differences.push(format!("{case}:\n  {ours}  Alertmanager: {answer}"));
        }
    }
    let members: usize = cases.iter().map(|case| case["alerts"].as_array().unwrap().len()).sum();
    let named = cases.iter().zip(&questions).filter(|(case, asked)| **case != asked["payload"]);
    let named = named.count();
    eprintln!(
        "{CASES} bodies with {members} alerts; {named} with empty annotations, which are left out"
    );
    none_of(&differences);
    if std::env::var_os("FANFARE_UPDATE_VECTORS").is_some() {
        let pair =
            |(case, answer): (&Value, &Value)| json!({"asked": case, "body": answer["text"]});
        let pairs: Vec<Value> = cases.iter().zip(&answers).take(WRITTEN).map(pair).collect();
        std::fs::write(VECTORS, serde_json::to_string_pretty(&pairs).unwrap() + "\n").unwrap();
    }
}

#[test]
fn webhook_bodies_are_those_that_were_written_down() {
    let file = std::fs::read_to_string(VECTORS).unwrap();
    let pairs: Vec<Value> = serde_json::from_str(&file).unwrap();
    assert_eq!(pairs.len(), WRITTEN);
    for pair in pairs {
        assert_eq!(rendered(&pair["asked"]), pair["body"].as_str().unwrap());
    }
}

/// A named difference: an annotation without a text is as good as none.
fn without_empty_annotations(case: &Value) -> Value {
    let mut case = case.clone();
    for alert in case["alerts"].as_array_mut().unwrap() {
        alert["annotations"].as_object_mut().unwrap().retain(|_, text| text != "");
    }
    case
}

fn rendered(case: &Value) -> String {
    String::from_utf8(webhook::render(&notification(case))).unwrap()
}

fn notification(case: &Value) -> Notification {
    let labels = |of: &Value| -> Labels {
        let pairs = of.as_object().unwrap().iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
    };
    let text = |name: &str| Arc::<str>::from(case[name].as_str().unwrap());
    let member = |of: &Value| {
        let ends: Option<Timestamp> = of["ends"].as_str().map(|at| at.parse().unwrap());
        let starts_at = of["starts"].as_str().unwrap().parse().unwrap();
        let alert = Alert {
            labels: labels(&of["labels"]),
            annotations: labels(&of["annotations"]),
            starts_at,
            ends_at: ends.unwrap_or(Timestamp::MAX),
            timeout: false,
            generator_url: of["generator"].as_str().unwrap().into(),
            updated_at: starts_at,
        };
        let status = if ends.is_some() { Status::Resolved } else { Status::Firing };
        Member { alert: Arc::new(alert), status }
    };
    let members: Vec<Member> = case["alerts"].as_array().unwrap().iter().map(member).collect();
    let firing = members.iter().any(|member| member.status == Status::Firing);
    Notification {
        id: "1".into(),
        group_key: text("key"),
        incident_key: "".into(),
        receiver: text("receiver"),
        status: if firing { Status::Firing } else { Status::Resolved },
        members,
        group_labels: labels(&case["group"]),
        reason: REASONS.into_iter().find(|one| case["reason"] == one.as_str()).unwrap(),
        external_url: text("external"),
        digest: false,
        fallback: false,
        at: Timestamp::UNIX_EPOCH,
    }
}

fn case(rng: &mut Rng) -> Value {
    let mut alerts: Vec<Value> = (0..rng.usize(1..=5)).map(|_| alert(rng)).collect();
    // Two members of a group have different labels.
    alerts.sort_by_key(|alert| alert["labels"].to_string());
    alerts.dedup_by_key(|alert| alert["labels"].to_string());
    rng.shuffle(&mut alerts);
    if rng.u8(..3) == 0 {
        let shared = generate::text(rng);
        for alert in &mut alerts {
            alert["annotations"]["summary"] = json!(shared);
        }
    }
    let first = alerts[0]["labels"].as_object().unwrap();
    let group: BTreeMap<&String, &Value> = first.iter().filter(|_| rng.bool()).collect();
    let receiver =
        format!("{}{}", rng.choice(["prod/slack", "a.b+c", ""]).unwrap(), generate::text(rng));
    json!({
        "receiver": receiver,
        "key": format!("{{}}:{}", generate::text(rng)),
        "external": rng.choice(["http://alertmanager.example.com:9093", "https://x/y?z=%20&q=1", ""]).unwrap(),
        "reason": rng.choice(REASONS).unwrap().as_str(),
        "group": group,
        "alerts": alerts,
    })
}

fn alert(rng: &mut Rng) -> Value {
    let mut labels = generate::labels(rng);
    for name in ["job", "instance"] {
        if rng.bool() {
            labels.insert(name.to_owned(), rng.choice(["a", "b", "a.b:1"]).unwrap().to_owned());
        }
    }
    if rng.u8(..3) == 0 {
        labels.insert(format!("n{}", generate::text(rng)), generate::text(rng));
    }
    labels.retain(|_, value| !value.is_empty());
    let mut annotations = generate::labels(rng);
    annotations
        .insert("html".to_owned(), format!("<a href=\"?x&y\">'{}'</a>", generate::text(rng)));
    if rng.u8(..8) == 0 {
        let odd = ["\u{2028}\u{2029}", "\u{0}\u{8}\u{c}\u{7f}", "\t\r\n", "😀\u{fffd}\u{feff}"];
        annotations.insert("odd".to_owned(), rng.choice(odd).unwrap().to_owned());
    }
    annotations.retain(|_, value| !value.is_empty());
    let starts = time(rng, -62_135_596_799..1_700_000_000);
    let ends = rng.bool().then(|| time(rng, 1_700_000_000..1_760_000_000));
    let mut alert = json!({
        "labels": labels, "annotations": annotations, "starts": starts,
        "generator": format!("http://prometheus/graph?g0.expr={}&g0.tab=1", generate::text(rng)),
    });
    if let Some(ends) = ends {
        alert["ends"] = json!(ends);
    }
    alert
}

/// With more or fewer digits of a second.
fn time(rng: &mut Rng, seconds: std::ops::Range<i64>) -> String {
    let digits = rng.choice([1, 1_000, 1_000_000, 100_000_000, 1_000_000_000]).unwrap();
    let fraction = rng.i32(..1_000_000_000) / digits * digits;
    let fraction = if fraction < 0 { 0 } else { fraction };
    Timestamp::new(rng.i64(seconds).max(-62_135_596_700), fraction).unwrap().to_string()
}
