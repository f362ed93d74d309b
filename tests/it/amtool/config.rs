//! `amtool config`: the routes as Alertmanager would have them.

use serde_json::{Value, json};

use super::{Bed, route, target};
use crate::support::http::get;

/// Routes with everything that an `alertmanager.yml` can say.
fn manifests() -> String {
    let spec = |matchers: Value, more: Value| {
        let mut spec = json!({"matchers": matchers, "targets": [{"name": "slack"}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let is = |name: &str, kind: &str, value: &str| json!({"name": name, "matchType": kind, "value": value});
    ["prod/slack", "prod/pager", "ops/log", "ops/spare"].map(target).concat()
        + &route(
            "prod/critical",
            &spec(
                json!([is("severity", "=", "critical")]),
                json!({
                    "priority": 10, "final": true,
                    "targets": [{"name": "slack"}, {"name": "pager"}],
                    "grouping": {"by": ["alertname", "odd name"], "wait": "10s", "interval": "1m30s"},
                    "repeatInterval": "2h",
                    "muteTimeIntervals": [{"weekdays": ["saturday", "sunday"], "times": [{"startTime": "09:00", "endTime": "17:00"}],
                                           "daysOfMonth": ["1:5", "-3:-1"], "months": ["january:march"], "years": ["2026:2028"], "location": "Europe/Berlin"}],
                    "activeTimeIntervals": [{"weekdays": ["monday:friday"]}],
                    "inhibit": [{"source": [is("alertname", "=", "NodeDown")], "target": [is("severity", "=~", "w.*")], "equal": ["node"]}],
                }),
            ),
        )
        + &route("prod/rest", &spec(json!([]), json!({})))
        + &route(
            "prod/one-group",
            &spec(json!([is("team", "!~", "a|b\\.c\"")]), json!({"grouping": {"by": []}})),
        )
        + &route("prod/muted", &spec(json!([]), json!({"suspend": true})))
        + &route(
            "ops/all",
            &json!({"scope": "Cluster", "matcherExpr": r#"{alertname!="Watchdog","schön ist"!="x"}"#,
                    "targets": [{"name": "log"}]}),
        )
}

#[tokio::test]
async fn routes_lead_to_the_receivers_that_are_told() {
    let Some(bed) = Bed::start(&manifests()).await else { return };
    bed.list("/api/v2/receivers", 4).await;
    for (labels, receivers) in [
        (&["namespace=prod", "severity=critical", "team=x"][..], "ops/log,prod/pager,prod/slack"),
        (&["namespace=prod", "severity=warning", "team=x"], "ops/log,prod/slack,prod/slack"),
        (&["namespace=prod", "severity=warning", "team=a"], "ops/log,prod/slack"),
        (&["namespace=test", "severity=critical"], "ops/log"),
        (&["alertname=Watchdog"], "unrouted"),
        (&["alertname=Watchdog", "namespace=prod", "team=a"], "prod/slack"),
    ] {
        let args =
            [&["config", "routes", "test", "--verify.receivers", receivers][..], labels].concat();
        let said = bed.amtool.says(&args).await;
        assert_eq!(said.trim(), receivers, "{labels:?}");
        // What Fanfare itself says of such an alert.
        let pairs = labels.iter().map(|pair| pair.split_once('=').unwrap());
        let alert: Value = pairs
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        bed.fire(alert.clone()).await;
        let alerts = bed.get("/api/v2/alerts").await;
        let shown = alerts.as_array().unwrap().iter().find(|one| one["labels"] == alert).unwrap();
        let told =
            shown["receivers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap());
        let mut wanted: Vec<&str> =
            receivers.split(',').filter(|name| *name != "unrouted").collect();
        wanted.dedup();
        assert_eq!(told.collect::<Vec<_>>(), wanted, "{labels:?}");
    }
}

#[tokio::test]
async fn tree_and_file_are_those_of_the_routes() {
    let Some(bed) = Bed::start(&manifests()).await else { return };
    let tree = bed.amtool.says(&["config", "routes", "show"]).await;
    for line in [
        "default-route  receiver: unrouted",
        r#"{namespace="prod",severity="critical"}  continue: true  receiver: unrouted"#,
        "default-route  continue: true  receiver: prod/pager",
        r#"{namespace="prod",severity!="critical"}  continue: true  receiver: prod/slack"#,
        r#"{alertname!="Watchdog","schön ist"!="x"}  continue: true  receiver: ops/log"#,
    ] {
        assert!(tree.contains(line), "{line} is not in\n{tree}");
    }
    let shown = bed.amtool.says(&["config", "show"]).await;
    let file: Value = serde_saphyr::from_str(&shown).unwrap();
    let routes = file["route"]["routes"].as_array().unwrap();
    assert_eq!(routes.len(), 4, "a suspended route is not among them: {shown}");
    let critical = routes.iter().find(|route| route["group_wait"] == "10s").unwrap();
    assert_eq!(critical["group_by"], json!(["alertname", "odd name"]));
    assert_eq!(
        (&critical["group_interval"], &critical["repeat_interval"]),
        (&json!("1m30s"), &json!("2h"))
    );
    assert_eq!(critical["routes"][0]["mute_time_intervals"], json!(["prod/critical/mute"]));
    let mute = file["time_intervals"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "prod/critical/mute")
        .unwrap();
    assert_eq!(
        mute["time_intervals"][0],
        json!({"weekdays": ["saturday", "sunday"], "times": [{"start_time": "09:00", "end_time": "17:00"}],
               "days_of_month": ["1:5", "-3:-1"], "months": ["january:march"], "years": ["2026:2028"], "location": "Europe/Berlin"})
    );
    assert_eq!(
        file["inhibit_rules"],
        json!([{"source_matchers": [r#"alertname="NodeDown""#, r#"namespace="prod""#],
                "target_matchers": [r#"namespace="prod""#, r#"severity="critical""#, r#"severity=~"w.*""#],
                "equal": ["node"]}])
    );
    // The whole file, as a file: Alertmanager's own parser takes it.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alertmanager.yml");
    std::fs::write(&path, &shown).unwrap();
    let checked = bed.amtool.says(&["check-config", path.to_str().unwrap()]).await;
    assert!(checked.contains("SUCCESS") && checked.contains("5 receivers"), "{checked}");
}

#[tokio::test]
async fn program_without_objects_has_a_valid_file_too() {
    let Some(bed) = Bed::start("").await else { return };
    assert_eq!(bed.amtool.says(&["config", "routes", "test", "a=b"]).await.trim(), "unrouted");
    let status = get(&bed.operator.api_url("/api/v2/status")).await.json();
    assert!(status["config"]["original"].as_str().unwrap().contains("routes: []"));
    for output in ["simple", "extended", "json"] {
        bed.amtool.says(&["config", "show", "-o", output]).await;
    }
}
