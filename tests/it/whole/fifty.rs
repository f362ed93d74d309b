//! 50 targets of mixed health in one publish: 50 truthful results.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Bed, webhook};
use crate::support::{
    http::post,
    sink::{Answer, DeadPort, Fault, Sink},
};

#[tokio::test]
async fn fifty_targets_of_mixed_health_give_fifty_truthful_results() {
    let sink = Sink::start().await;
    sink.answer_at("/down", Answer::status(500));
    sink.answer_at("/auth", Answer::status(401));
    sink.answer_at("/refuse", Answer::status(422));
    sink.answer_at("/cut", Answer::fault(Fault::Close));
    let dead = DeadPort::reserve();
    let kinds: [(&str, String, &str); 6] = [
        ("ok", sink.url("/ok"), ""),
        ("down", sink.url("/down"), "server_error"),
        ("auth", sink.url("/auth"), "auth"),
        ("refuse", sink.url("/refuse"), "client_error"),
        ("cut", sink.url("/cut"), "connect"),
        ("dead", dead.url("/"), "connect"),
    ];
    let mut manifests = String::new();
    let mut wanted: Vec<(String, &str, bool)> = Vec::new();
    for at in 0..48 {
        let (kind, url, error) = &kinds[at % kinds.len()];
        let name = format!("{kind}-{at}");
        let none = "  healthCheck: {type: None}\n";
        let manifest = webhook(&name, url);
        let manifest = manifest.lines().filter(|line| !line.contains("healthCheck:"));
        manifests.push_str(&manifest.collect::<Vec<_>>().join("\n"));
        write!(manifests, "\n{none}").unwrap();
        wanted.push((name, error, false));
    }
    for name in ["off-1", "off-2"] {
        manifests.push_str(&webhook(name, &sink.url("/ok")));
        manifests.push_str("  suspend: true\n");
        wanted.push((name.to_owned(), "", true));
    }
    let bed = Bed::start(&manifests).await;
    let names: Vec<_> = wanted.iter().map(|(name, ..)| format!("default/{name}")).collect();
    let body = json!({"alert": {"labels": {"alertname": "Fifty"}}, "target_names": names,
                      "options": {"strategy": "PublishToAll"}});
    let reply = post(&bed.operator.api_url("/api/v1/publish/parallel"), &body).await;
    let answer = reply.json();
    assert_eq!(reply.status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), 50);
    for (result, (name, error, skipped)) in results.iter().zip(&wanted) {
        assert_eq!(result["target_name"], name.as_str(), "in request order");
        assert_eq!(result["error_type"].as_str().unwrap_or_default(), *error, "{result}");
        assert_eq!(result["skipped"], *skipped, "{result}");
        assert_eq!(result["success"], error.is_empty() && !skipped, "{result}");
        let reason = if *skipped { json!("disabled") } else { Value::Null };
        assert_eq!(result["skip_reason"], reason);
    }
    assert_eq!(
        [
            &answer["total_targets"],
            &answer["success_count"],
            &answer["failure_count"],
            &answer["skipped_count"]
        ],
        [&json!(50), &json!(8), &json!(40), &json!(2)]
    );
    assert_eq!(answer["success_rate"], 16.6);
    assert_eq!(answer["is_partial_success"], true);
    let got = sink.received().iter().filter(|one| one.path == "/ok").count();
    assert_eq!(got, 8, "each healthy target got it once");
}
