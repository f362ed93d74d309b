//! The API server is away: alerts go on.

use serde_json::json;

use super::rig::{Alone, SOON, fire, firing, route, wait_told, webhook};
use crate::support::{
    http::{get, post},
    program::stdout_of,
    sink::Sink,
    wait::{wait_for, wait_for_value},
};

#[tokio::test(flavor = "multi_thread")]
async fn last_registry_serves_on_while_the_api_server_is_away() {
    let Some(alone) = Alone::turn() else { return };
    let cluster = alone.cluster;
    let namespace = cluster.namespace("outage");
    let (first, second) = (Sink::start().await, Sink::start().await);
    cluster.apply(&namespace, &(webhook("hook", &first.url("/"), "") + &route("all")));
    let operator = cluster.launch().start_ready().await;
    cluster.shows(&namespace, "aroute/all", ("Healthy", "True", "AllTargetsHealthy"));
    let ready = async || get(&operator.admin_url("/readyz")).await;

    // Silent: connections stay, nothing is answered.
    cluster.plane.pause();
    fire(&operator, &[firing("Paused", &namespace)]).await;
    wait_told(&first, "Paused", "firing").await;
    assert_eq!(ready().await.status, 200);
    let patch = json!({"spec": {"webhook": {"url": second.url("/")}}}).to_string();
    let mut kubectl = cluster.plane.tool("kubectl");
    kubectl.args(["-n", &namespace, "patch", "ptgt/hook", "--type=merge", "-p", &patch]);
    let meanwhile = tokio::task::spawn_blocking(move || kubectl.output().unwrap());
    cluster.plane.resume();
    stdout_of(&meanwhile.await.unwrap());
    wait_for("the change has arrived", SOON, || async { !second.received().is_empty() }).await;
    fire(&operator, &[firing("Resumed", &namespace)]).await;
    wait_told(&second, "Resumed", "firing").await;

    // Gone: connections are refused.
    cluster.plane.kill();
    fire(&operator, &[firing("Killed", &namespace)]).await;
    wait_told(&second, "Killed", "firing").await;
    let text = wait_for_value("readyz names the API server", SOON, || async {
        let reply = ready().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        Some(reply.text()).filter(|text| text.contains("[-]api-server failed (does not gate): "))
    })
    .await;
    assert!(text.contains("[+]first-lists ok"), "{text}");
    cluster.plane.restart();
    cluster.patch(&namespace, "ptgt/hook", &json!({"spec": {"webhook": {"url": first.url("/")}}}));
    wait_for("all is well again", SOON, || async {
        ready().await.text().contains("[+]api-server ok")
    })
    .await;
    first.clear();
    wait_for("the change has arrived", SOON, || async { !first.received().is_empty() }).await;
    fire(&operator, &[firing("Restarted", &namespace)]).await;
    wait_told(&first, "Restarted", "firing").await;
    cluster.shows(&namespace, "ptgt/hook", ("Healthy", "True", "Reachable"));
    cluster.kubectl(&namespace, &["delete", "fanfare", "--all"]);
    alone.end(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alert_taken_before_the_first_lists_is_on_disk_and_told_once_the_routes_are_known() {
    let Some(alone) = Alone::turn() else { return };
    let cluster = alone.cluster;
    let namespace = cluster.namespace("outage");
    let sink = Sink::start().await;
    cluster.apply(&namespace, &(webhook("hook", &sink.url("/"), "") + &route("all")));
    cluster.plane.kill();
    let data = tempfile::tempdir().unwrap();
    let on_data = || cluster.launch().on_data_of(data.path());
    let mut operator = on_data().start().await;
    let alerts = json!([firing("Early", &namespace)]);
    let early = post(&operator.intake_url("/api/v2/alerts"), &alerts).await;
    assert_eq!(early.status, 200, "{}", early.text());
    operator.kill();
    operator = on_data().start().await;
    let ready = async || get(&operator.admin_url("/readyz")).await;
    let answer = ready().await;
    assert_eq!(answer.status, 200, "it takes alerts: {}", answer.text());
    let named = "[-]first-lists failed (does not gate): ";
    assert!(answer.text().contains(named), "{}", answer.text());
    assert_eq!(get(&operator.admin_url("/livez")).await.status, 200, "a restart would not help");
    cluster.plane.restart();
    wait_told(&sink, "Early", "firing").await;
    cluster.shows(&namespace, "ptgt/hook", ("Ready", "True", "Registered"));
    cluster.kubectl(&namespace, &["delete", "fanfare", "--all"]);

    cluster.plane.pause();
    let status = operator.terminate().await;
    cluster.plane.resume();
    assert_eq!(status.code(), Some(0), "{}", operator.log_text());
}
