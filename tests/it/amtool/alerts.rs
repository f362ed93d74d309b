//! `amtool alert` and `amtool cluster`.

use serde_json::json;

use super::{Bed, route, target};

fn manifests() -> String {
    target("ops/log")
        + &route("ops/all", &json!({"scope": "Cluster", "targets": [{"name": "log"}]}))
}

#[tokio::test]
async fn alerts_are_added_and_found() {
    let Some(bed) = Bed::start(&manifests()).await else { return };
    let args = ["alert", "add", "Down", "team=db", "--annotation=summary=It is down"];
    bed.amtool.says(&args).await;
    bed.amtool.says(&["alert", "add", "alertname=Slow", "team=web"]).await;
    let all = bed.amtool.says(&["alert", "query"]).await;
    assert!(all.contains("Down") && all.contains("It is down") && all.contains("Slow"), "{all}");
    let mine = bed.amtool.says(&["alert", "query", "team=~d."]).await;
    assert!(mine.contains("Down") && !mine.contains("Slow"), "{mine}");
    let by_name = bed.amtool.says(&["alert", "query", "Slow"]).await;
    assert!(!by_name.contains("Down") && by_name.contains("Slow"), "{by_name}");
    let extended = bed.amtool.says(&["alert", "query", "-o", "extended", "team=db"]).await;
    assert!(extended.contains(r#"alertname="Down" team="db""#), "{extended}");
    assert!(extended.contains("active"), "{extended}");
    let json = bed.amtool.says(&["alert", "query", "-o", "json", "--receiver=ops/l.g"]).await;
    let alerts: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(alerts.as_array().unwrap().len(), 2, "{json}");
    assert_eq!(alerts[0]["receivers"], json!([{"name": "ops/log"}]));
    let nobody = bed.amtool.says(&["alert", "query", "-o", "json", "--receiver=ops"]).await;
    assert_eq!(nobody.trim(), "[]");
}

#[tokio::test]
async fn alert_that_ended_is_found_no_more() {
    let Some(bed) = Bed::start(&manifests()).await else { return };
    bed.fire(json!({"alertname": "Down"})).await;
    bed.list("/api/v2/alerts", 1).await;
    let args =
        ["alert", "add", "Down", "--start=2026-01-01T00:00:00Z", "--end=2026-01-02T00:00:00Z"];
    bed.amtool.says(&args).await;
    assert_eq!(bed.list("/api/v2/alerts", 0).await.len(), 0);
}

#[tokio::test]
async fn cluster_is_one_that_is_off() {
    let Some(bed) = Bed::start(&manifests()).await else { return };
    for output in ["simple", "extended", "json"] {
        let said = bed.amtool.says(&["cluster", "show", "-o", output]).await;
        assert!(said.contains("disabled"), "{output}: {said}");
    }
}
