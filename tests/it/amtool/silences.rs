//! `amtool silence`.

use serde_json::{Value, json};

use super::{Bed, route, target};

fn manifests() -> String {
    target("ops/log")
        + &route("ops/all", &json!({"scope": "Cluster", "targets": [{"name": "log"}]}))
}

async fn add(bed: &Bed, matchers: &[&str]) -> String {
    let args = ["silence", "add", "--author=me", "--comment=later", "--duration=1h"];
    let id = bed.amtool.says(&[&args[..], matchers].concat()).await;
    id.trim().to_owned()
}

/// The ids that a query prints.
async fn found(bed: &Bed, query: &[&str]) -> Vec<String> {
    let said = bed.amtool.says(&[&["silence", "query", "-q"][..], query].concat()).await;
    let mut ids: Vec<String> = said.split_whitespace().map(str::to_owned).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn silence_keeps_alerts_quiet_until_it_ends() {
    let Some(bed) = Bed::start(&manifests()).await else { return };
    bed.fire(json!({"alertname": "Down", "team": "db"})).await;
    bed.fire(json!({"alertname": "Down", "team": "web"})).await;
    let id = add(&bed, &["Down", "team=~d."]).await;
    assert_eq!(found(&bed, &[]).await, [id.as_str()]);
    assert_eq!(found(&bed, &["alertname=Down"]).await, [id.as_str()]);
    assert!(found(&bed, &["alertname=Up"]).await.is_empty());
    let active = bed.amtool.says(&["alert", "query", "-o", "extended"]).await;
    assert!(active.contains("web") && !active.contains("db"), "{active}");
    let silenced = bed.amtool.says(&["alert", "query", "-o", "json", "--silenced"]).await;
    let silenced: Value = serde_json::from_str(&silenced).unwrap();
    let quiet = silenced.as_array().unwrap().iter().find(|one| one["labels"]["team"] == "db");
    let status = &quiet.unwrap()["status"];
    assert_eq!((&status["state"], &status["silencedBy"]), (&json!("suppressed"), &json!([id])));
    bed.amtool.says(&["silence", "expire", &id]).await;
    assert!(found(&bed, &[]).await.is_empty());
    assert_eq!(found(&bed, &["--expired"]).await, [id.as_str()]);
    let active = bed.amtool.says(&["alert", "query", "-o", "extended"]).await;
    assert!(active.contains("web") && active.contains("db"), "{active}");
}

#[tokio::test]
async fn silence_is_edited_under_its_id() {
    let Some(bed) = Bed::start(&manifests()).await else { return };
    let id = add(&bed, &["alertname=Down"]).await;
    let args = ["silence", "update", "--comment=longer", "--duration=3h", &id];
    let said = bed.amtool.says(&args).await;
    assert!(said.contains(&id) && said.contains("longer"), "{said}");
    let silence = bed.get(&format!("/api/v2/silence/{id}")).await;
    assert_eq!(silence["comment"], "longer");
    let unknown = "00000000-0000-4000-8000-000000000000";
    let refused = bed.amtool.run(&["silence", "update", "--comment=x", unknown], "").await;
    assert!(!refused.status.success());
    assert!(!bed.amtool.run(&["silence", "expire", unknown], "").await.status.success());
}

#[tokio::test]
async fn silences_are_carried_over_from_another_server() {
    let Some(bed) = Bed::start(&manifests()).await else { return };
    add(&bed, &["alertname=Down", "team!=a"]).await;
    add(&bed, &["alertname=~Slow.*"]).await;
    let exported = bed.amtool.says(&["silence", "query", "-o", "json"]).await;
    let Some(other) = Bed::start(&manifests()).await else { return };
    let ids = other.amtool.run(&["silence", "import", "--force"], &exported).await;
    assert!(ids.status.success(), "{}", String::from_utf8_lossy(&ids.stderr));
    let shown = |list: Value| {
        let mut shown: Vec<Value> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!([one["matchers"], one["comment"], one["createdBy"], one["endsAt"]]))
            .collect();
        shown.sort_by_key(Value::to_string);
        shown
    };
    let (here, there) = (bed.get("/api/v2/silences").await, other.get("/api/v2/silences").await);
    assert_eq!(shown(here), shown(there));
}

#[tokio::test]
async fn silence_without_a_condition_is_refused_with_the_reason() {
    let Some(bed) = Bed::start(&manifests()).await else { return };
    let args = ["silence", "add", "--author=me", "--comment=all", "alertname=~.*"];
    let refused = bed.amtool.run(&args, "").await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && said.contains("must not match the empty string"),
        "{said}"
    );
}
