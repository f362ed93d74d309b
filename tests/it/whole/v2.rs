//! What Grafana, karma and amtool read, from the whole program.

use serde_json::{Value, json};

use super::{Bed, SOON, firing};
use crate::support::{
    http::{get, post},
    wait::wait_for_value,
};

const MANIFESTS: &str = r#"
apiVersion: fanfare.dev/v1alpha1
kind: PublishTarget
metadata: {name: log, labels: {owner: sre, name: other}}
spec: {type: Log}
---
apiVersion: fanfare.dev/v1alpha1
kind: PublishTarget
metadata: {name: audit}
spec: {type: Log}
---
apiVersion: fanfare.dev/v1alpha1
kind: PublishTarget
metadata: {name: broken}
spec: {type: Slack, slack: {webhookURLSecretRef: {name: none, key: url}}}
---
apiVersion: fanfare.dev/v1alpha1
kind: AlertRoute
metadata: {name: all}
spec: {scope: Cluster, matcherExpr: 'alertname!="Nowhere"', targets: [{name: log}, {name: broken}]}
---
apiVersion: fanfare.dev/v1alpha1
kind: AlertRoute
metadata: {name: db}
spec: {scope: Cluster, matcherExpr: 'team="db"', targets: [{name: audit}]}
"#;

async fn bed() -> Bed {
    let bed = Bed::start(MANIFESTS).await;
    wait_for_value("the targets", SOON, || async {
        let receivers = list(&bed, "/api/v2/receivers").await;
        (receivers.len() == 3).then_some(())
    })
    .await;
    bed
}

async fn list(bed: &Bed, path: &str) -> Vec<Value> {
    let reply = get(&bed.operator.api_url(path)).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json().as_array().unwrap().clone()
}

fn names(list: &[Value]) -> Vec<&str> {
    list.iter().map(|one| one["labels"]["alertname"].as_str().unwrap()).collect()
}

fn labelled(labels: &Value) -> Value {
    json!({ "labels": labels })
}

#[tokio::test]
async fn alert_is_written_as_alertmanager_writes_it() {
    let bed = bed().await;
    let alert = json!({"labels": {"alertname": "A<b>&", "team": "db"}, "annotations": {"s": "<x>"},
                       "startsAt": "2026-03-01T10:15:00.123456789+02:00", "endsAt": "2036-03-01T10:15:00.129Z",
                       "generatorURL": "http://x/?a=1&b=2"});
    assert_eq!(post(&bed.operator.api_url("/api/v2/alerts"), &json!([alert])).await.status, 200);
    let text = get(&bed.operator.api_url("/api/v2/alerts")).await.text();
    let updated = serde_json::from_str::<Value>(&text).unwrap()[0]["updatedAt"].clone();
    // As Alertmanager 0.34.2 prints it, but for the receivers' names and the zone of the time.
    let one = format!(
        r#"{{"annotations":{{"s":"\u003cx\u003e"}},"endsAt":"2036-03-01T10:15:00.129Z","fingerprint":"cf061e6469a35394","receivers":[{{"name":"default/audit"}},{{"name":"default/broken"}},{{"name":"default/log"}}],"startsAt":"2026-03-01T08:15:00.123Z","status":{{"inhibitedBy":[],"mutedBy":[],"silencedBy":[],"state":"active"}},"updatedAt":{updated},"generatorURL":"http://x/?a=1\u0026b=2","labels":{{"alertname":"A\u003cb\u003e\u0026","team":"db"}}}}"#
    );
    assert_eq!(text, format!("[{one}]\n"));
    let groups = get(&bed.operator.api_url("/api/v2/alerts/groups?receiver=default/audit")).await;
    let one = one.replace(r#",{"name":"default/broken"},{"name":"default/log"}"#, "");
    let labels = r#"{"alertname":"A\u003cb\u003e\u0026","team":"db"}"#;
    let group = format!(
        "[{{\"alerts\":[{one}],\"labels\":{labels},\"receiver\":{{\"name\":\"default/audit\"}},\"routeLabels\":{{}}}}]\n"
    );
    assert_eq!(groups.text(), group);
}

#[tokio::test]
async fn alerts_are_filtered_and_sorted() {
    let bed = bed().await;
    let all = json!([
        firing("Up"),
        labelled(&json!({"alertname": "Db", "team": "db"})),
        firing("Nowhere")
    ]);
    assert_eq!(bed.post(&all).await, 200);
    for (query, wanted) in [
        ("", &["Db", "Nowhere", "Up"][..]),
        ("filter=team%3D%22db%22", &["Db"]),
        ("filter=team!%3Ddb", &["Nowhere", "Up"]),
        ("filter=team%3D", &["Nowhere", "Up"]),
        ("filter=alertname%3D~.p&filter=severity%3Dcritical", &["Up"]),
        ("receiver=default/log", &["Db", "Up"]),
        ("receiver=default/a.*", &["Db"]),
        ("receiver=default", &[]),
        ("receiver_matchers=owner%3Dsre", &["Db", "Up"]),
        ("receiver_matchers=name%3Ddefault/audit", &["Db"]),
        ("receiver_matchers=owner%3Dnobody", &[]),
        ("active=false", &[]),
        ("silenced=false&inhibited=false&unprocessed=false", &["Db", "Nowhere", "Up"]),
    ] {
        let alerts = list(&bed, &format!("/api/v2/alerts?{query}")).await;
        let mut found = names(&alerts);
        found.sort_unstable();
        assert_eq!(found, wanted, "{query}");
        assert!(alerts.is_sorted_by_key(|one| one["fingerprint"].to_string()), "{query}");
    }
    let alerts = list(&bed, "/api/v2/alerts?filter=alertname%3DNowhere").await;
    assert_eq!(
        (&alerts[0]["receivers"], &alerts[0]["status"]["state"]),
        (&json!([]), &json!("active"))
    );
}

#[tokio::test]
async fn every_route_and_receiver_has_its_groups() {
    let bed = bed().await;
    let all = json!([
        firing("Up"),
        labelled(&json!({"alertname": "Db", "team": "db"})),
        firing("Nowhere")
    ]);
    assert_eq!(bed.post(&all).await, 200);
    let groups = list(&bed, "/api/v2/alerts/groups").await;
    let shown: Vec<_> = groups
        .iter()
        .map(|group| {
            (
                group["labels"]["alertname"].as_str().unwrap(),
                group["receiver"]["name"].as_str().unwrap(),
            )
        })
        .collect();
    let wanted = [
        ("Db", "default/audit"),
        ("Db", "default/broken"),
        ("Db", "default/log"),
        ("Up", "default/broken"),
        ("Up", "default/log"),
    ];
    assert_eq!(shown, wanted);
    for group in &groups {
        assert_eq!(
            names(group["alerts"].as_array().unwrap()),
            [group["labels"]["alertname"].as_str().unwrap()]
        );
        assert_eq!(group["routeLabels"], json!({}));
    }
    assert_eq!(list(&bed, "/api/v2/alerts/groups?active=false").await.len(), 0);
    assert_eq!(list(&bed, "/api/v2/alerts/groups?filter=team%3Ddb&receiver=.*/log").await.len(), 1);
}

#[tokio::test]
async fn suspended_route_is_why_an_alert_is_muted() {
    let bed = bed().await;
    assert_eq!(bed.post(&json!([labelled(&json!({"alertname": "Db", "team": "db"}))])).await, 200);
    bed.write(
        "all.yaml",
        &MANIFESTS.replace("targets: [{name: audit}]", "suspend: true, targets: [{name: audit}]"),
    );
    let muted = wait_for_value("the route is suspended", SOON, || async {
        let groups = list(&bed, "/api/v2/alerts/groups?receiver=default/audit").await;
        let status = groups[0]["alerts"][0]["status"].clone();
        (status["state"] == "suppressed").then_some(status)
    })
    .await;
    assert_eq!(muted["mutedBy"], json!(["default/db"]));
    let alerts = list(&bed, "/api/v2/alerts").await;
    assert_eq!(alerts[0]["status"]["state"], "active", "the other route tells it");
    assert_eq!(alerts[0]["status"]["mutedBy"], json!(["default/db"]));
    let there = list(&bed, "/api/v2/alerts/groups?muted=false").await;
    assert_eq!(there.len(), 2, "without those of the suspended route");
}

#[tokio::test]
async fn targets_are_the_receivers() {
    let bed = bed().await;
    let receivers = list(&bed, "/api/v2/receivers").await;
    let wanted = json!([
        {"labels": {"name": "default/audit"}, "name": "default/audit"},
        {"labels": {"name": "default/broken"}, "name": "default/broken"},
        {"labels": {"name": "default/log", "owner": "sre"}, "name": "default/log"},
    ]);
    assert_eq!(Value::from(receivers), wanted);
    let mine = list(&bed, "/api/v2/receivers?receiver_matchers=owner%3D~s.e").await;
    assert_eq!(mine.len(), 1);
}

#[tokio::test]
async fn hostile_alerts_do_not_spoil_the_list_for_others() {
    let bed = bed().await;
    let odd = json!([
        {"labels": {"alertname": "Old", "ünï ☃": "\u{2028}\u{0}"}, "startsAt": "0000-01-01T00:00:00+24:00", "endsAt": "9999-12-31T23:59:59-24:00"},
        {"labels": {"alertname": "Late"}, "startsAt": "9999-12-31T00:00:00Z", "endsAt": "9999-12-31T23:59:59Z"},
    ]);
    assert_eq!(bed.post(&odd).await, 200);
    let alerts = list(&bed, "/api/v2/alerts").await;
    assert_eq!(alerts.len(), 2);
    for alert in &alerts {
        for field in ["startsAt", "endsAt", "updatedAt"] {
            let time = alert[field].as_str().unwrap();
            assert_eq!(time.len(), "2026-03-01T10:15:00.000Z".len(), "{time}");
        }
    }
}

#[tokio::test]
async fn grouped_route_shows_its_groups_and_who_is_inhibited() {
    let route = "---\napiVersion: fanfare.dev/v1alpha1\nkind: PublishTarget\nmetadata: {name: log}\nspec: {type: Log}\n\
         ---\napiVersion: fanfare.dev/v1alpha1\nkind: AlertRoute\nmetadata: {name: teams}\nspec:\n  scope: Cluster\n  \
         grouping: {by: [team]}\n  targets: [{name: log}]\n  inhibit:\n  - source: [{name: alertname, value: Root}]\n    \
         target: [{name: alertname, matchType: '!=', value: Root}]\n    equal: [team]\n";
    let bed = Bed::start(route).await;
    let of = |name: &str, team: &str| labelled(&json!({"alertname": name, "team": team}));
    let all = json!([of("B", "db"), of("A", "db"), of("Root", "db"), of("C", "web")]);
    assert_eq!(bed.post(&all).await, 200);
    let groups = wait_for_value("the groups", SOON, || async {
        let groups = list(&bed, "/api/v2/alerts/groups").await;
        (groups.len() == 2).then_some(groups)
    })
    .await;
    assert_eq!(groups[0]["labels"], json!({"team": "db"}));
    let members = groups[0]["alerts"].as_array().unwrap();
    assert_eq!(names(members), ["A", "B", "Root"]);
    let root = &members[2];
    assert_eq!(
        (&root["status"]["state"], &root["status"]["inhibitedBy"]),
        (&json!("active"), &json!([]))
    );
    for quiet in &members[..2] {
        assert_eq!(quiet["status"]["state"], "suppressed");
        assert_eq!(quiet["status"]["inhibitedBy"], json!([root["fingerprint"]]));
    }
    assert_eq!(names(groups[1]["alerts"].as_array().unwrap()), ["C"]);
    let mut told = list(&bed, "/api/v2/alerts?inhibited=false").await;
    told.sort_by_key(|one| one["labels"]["alertname"].to_string());
    assert_eq!(names(&told), ["C", "Root"]);
    assert_eq!(list(&bed, "/api/v2/alerts?active=false").await.len(), 2);
    let shown = list(&bed, "/api/v2/alerts/groups?inhibited=false").await;
    assert_eq!(names(shown[0]["alerts"].as_array().unwrap()), ["Root"]);
}
