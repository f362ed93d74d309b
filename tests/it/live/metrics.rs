//! The scrape, as Prometheus reads it.

use std::{io::Write as _, path::Path};

use serde_json::json;

use super::rig::{Rig, SOON, firing, route, wait_told, webhook};
use crate::support::{
    program::{run_with_input, stdout_of},
    sink::{Answer, Sink},
    wait::wait_for,
};

#[tokio::test(flavor = "multi_thread")]
async fn scrape_is_taken_by_prometheus_own_parser_and_forgets_deleted_targets() {
    let Some(rig) = Rig::shared() else { return };
    let cluster = &rig.cluster;
    let namespace = cluster.namespace("metrics");
    let (good, bad) = (Sink::start().await, Sink::start().await);
    bad.answer(Answer::status(503));
    let targets = webhook("good", &good.url("/"), "") + &webhook("bad", &bad.url("/"), "");
    cluster.apply(&namespace, &(targets + &route("all")));
    cluster.shows(&namespace, "ptgt/good", ("Healthy", "True", "Reachable"));
    cluster.shows(&namespace, "ptgt/bad", ("Healthy", "False", "ServerError"));
    rig.fire(&[firing("Counted", &namespace)]).await;
    wait_told(&good, "Counted", "firing").await;
    let both = json!({"alert": {"labels": {"alertname": "Counted"}}, "namespace": namespace,
                      "target_names": ["good", "bad"], "options": {"strategy": "PublishToAll"}});
    assert_eq!(rig.call("/api/v1/publish/parallel", &both).await.status, 200);

    let series = |name: &str, target: &str, more: &str| {
        format!("{name}{{target=\"{namespace}/{target}\"{more}}}")
    };
    let wanted = [
        series("fanfare_target_healthy", "good", "") + " 1",
        series("fanfare_target_healthy", "bad", "") + " 0",
        series("fanfare_target_publish_total", "good", ",result=\"success\"") + " 2",
        series("fanfare_target_publish_total", "bad", ",result=\"failure\""),
        series("fanfare_target_last_success_timestamp_seconds", "good", ""),
    ];
    let scrape = rig.metrics().await;
    let text = scrape.text();
    for line in &wanted {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let kind = scrape.headers["content-type"].to_str().unwrap();
    let mut check = cluster.plane.tool("checkmetrics");
    check.arg(kind);
    let built = Path::new(check.get_program()).exists();
    if !built {
        let skip = "SKIP: live::metrics: Prometheus' own parser is not built (run make promtools)";
        let _ = writeln!(std::io::stderr(), "{skip}");
    }
    let families = if built { stdout_of(&run_with_input(check, &text)) } else { String::new() };
    for family in [
        "fanfare_publish_duration_seconds histogram",
        "fanfare_target_healthy gauge",
        "fanfare_reconcile",
        "fanfare_leader gauge 1",
    ] {
        assert!(!built || families.contains(family), "{family} in\n{families}");
    }

    cluster.kubectl(&namespace, &["delete", "ptgt", "good"]);
    let deleted = format!("\"{namespace}/good\"");
    wait_for("the series of the deleted target are gone", SOON, || async {
        !rig.metrics().await.text().contains(&deleted)
    })
    .await;
    let text = rig.metrics().await.text();
    assert!(text.contains(&format!("\"{namespace}/bad\"")), "those of others stay\n{text}");
}
