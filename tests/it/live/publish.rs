//! The publish API over the cluster's objects.

use serde_json::{Value, json};

use super::rig::{Rig, webhook};
use crate::support::{
    http::{Reply, get},
    sink::{Answer, Sink},
};

fn names(reply: &Reply) -> Vec<String> {
    let answer = reply.json();
    let results = answer["results"].as_array().unwrap_or_else(|| panic!("{answer}"));
    results.iter().map(|one| one["target_name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn publish_reaches_the_clusters_targets_by_name_by_label_and_by_health() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let namespace = cluster.namespace("publish");
    let (good, bad) = (Sink::start().await, Sink::start().await);
    bad.answer(Answer::status(503));
    let targets = ["one", "two", "sick", "asleep"].map(|name| {
        let sink = if name == "sick" { &bad } else { &good };
        let more = if name == "asleep" { "  suspend: true\n" } else { "" };
        webhook(name, &sink.url(&format!("/{name}")), more)
    });
    cluster.apply(&namespace, &targets.concat());
    cluster.kubectl(&namespace, &["label", "ptgt", "one", "sick", "tier=chat"]);
    cluster.shows(&namespace, "ptgt/one", ("Healthy", "True", "Reachable"));
    cluster.shows(&namespace, "ptgt/two", ("Healthy", "True", "Reachable"));
    cluster.shows(&namespace, "ptgt/sick", ("Healthy", "False", "ServerError"));
    cluster.shows(&namespace, "ptgt/asleep", ("Delivering", "False", "Suspended"));
    let alert = json!({"labels": {"alertname": "Published"}});
    let publish = async |path: &str, more: Value| {
        let mut body = json!({"alert": alert});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rig.call(&format!("/api/v1/publish/parallel{path}"), &body).await
    };

    let full = format!("{namespace}/two");
    let named =
        json!({"target_names": [full, "sick", "asleep", "one", "two"], "namespace": namespace});
    let reply = publish("", named).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(names(&reply), ["two", "sick", "asleep", "one"], "in order, each once");
    let answer = reply.json();
    let skipped: Vec<_> =
        answer["results"].as_array().unwrap().iter().map(|one| &one["skip_reason"]).collect();
    assert_eq!(skipped, [&Value::Null, &json!("unhealthy"), &json!("disabled"), &Value::Null]);
    assert_eq!(
        [&answer["success_count"], &answer["failure_count"], &answer["skipped_count"]],
        [&json!(2), &json!(0), &json!(2)]
    );

    let chat = json!({"filter": {"namespace": namespace, "labelSelector": "tier=chat"}});
    let reply = publish("/all", chat.clone()).await;
    let mut found = names(&reply);
    found.sort_unstable();
    assert_eq!((reply.status.as_u16(), found.join(" ").as_str()), (200, "one sick"));
    assert_eq!(reply.json()["is_partial_success"], true, "all: whatever its health");
    let reply = publish("/healthy", chat).await;
    assert_eq!(names(&reply), ["one"]);
    let reply = publish("/healthy", json!({"filter": {"namespace": namespace}})).await;
    let mut found = names(&reply);
    found.sort_unstable();
    assert_eq!(found, ["one", "two"]);

    let ghost = json!({"target_names": [format!("{namespace}/ghost")]});
    let reply = publish("", ghost).await;
    assert_eq!(reply.status, 404, "{}", reply.text());
    let sent = good.received().into_iter().filter(|one| one.method == "POST").count();
    assert_eq!(sent, 2 + 1 + 1 + 2, "each publish once, nothing for an unknown name");

    let url = rig.operator.api_url(&format!("/api/v1/targets/{namespace}/sick"));
    let shown = get(&url).await.json();
    assert_eq!(shown["effective"]["delivery"]["timeout"], "10s", "{shown}");
    assert_eq!(shown["status"]["health"]["state"], "Unhealthy");
}
