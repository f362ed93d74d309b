//! Start and end of the process.

use std::{process::Command, time::Duration};

use serde_json::json;

use super::{Bed, SOON, firing, route, webhook};
use crate::support::{
    http::post,
    sink::{Answer, Sink},
    wait::wait_for,
};

#[tokio::test]
async fn sigterm_finishes_what_is_under_way_and_exits_with_0() {
    let sink = Sink::start().await;
    let mut bed = Bed::start(&(webhook("a", &sink.url("/")) + route())).await;
    sink.answer(Answer::status(200).after(Duration::from_secs(2)));
    assert_eq!(bed.post(&json!([firing("Last")])).await, 200);
    wait_for("the attempt is under way", SOON, || async {
        sink.received().iter().any(|one| one.method == "POST")
    })
    .await;
    let status = bed.operator.terminate().await;
    assert!(status.success(), "{status}");
    let log = bed.operator.log_text();
    assert!(log.contains("Every notification under way was finished"), "{log}");
    assert!(log.contains("\"Ended\""), "{log}");
}

#[tokio::test]
async fn publish_under_way_at_sigterm_is_answered() {
    let sink = Sink::start().await;
    let mut bed = Bed::start(&webhook("a", &sink.url("/"))).await;
    bed.condition("a", "Healthy", "True").await;
    sink.answer(Answer::status(200).after(Duration::from_secs(2)));
    let url = bed.operator.api_url("/api/v1/publish/parallel");
    let body = json!({"alert": {"labels": {"alertname": "P"}}, "target_names": ["default/a"]});
    let publish = tokio::spawn(async move { post(&url, &body).await });
    wait_for("the attempt is under way", SOON, || async {
        sink.received().iter().any(|one| one.method == "POST")
    })
    .await;
    let status = bed.operator.terminate().await;
    assert!(status.success(), "{status}");
    assert_eq!(publish.await.unwrap().status, 200);
}

#[test]
fn wrong_start_says_what_to_do() {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        let free = ["--intake-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        command
            .arg("run")
            .args(free)
            .args(args)
            .env_remove("KUBECONFIG")
            .env("HOME", "/nonexistent");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let api = ["--api-listen", "127.0.0.1:0"];
    for (args, part) in [
        (vec!["--api-listen", "0.0.0.0:0"], "--api-token-file"),
        ([&api[..], &[]].concat(), "--manifests to run without Kubernetes"),
        ([&api[..], &["--manifests", "/nonexistent"]].concat(), "/nonexistent"),
        (
            [&api[..], &["--manifests", "/", "--api-token-file", "/nonexistent"]].concat(),
            "read token file",
        ),
        ([&api[..], &["--log-level", "fanfare=loud"]].concat(), "not a level or a filter"),
    ] {
        let (code, text) = run(&args);
        assert_eq!(code, Some(1), "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {text}");
    }
}

#[tokio::test]
async fn second_process_on_one_data_directory_is_refused() {
    let bed = Bed::start("").await;
    let data = bed.operator.data_dir().display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    let free = [
        "--intake-listen",
        "127.0.0.1:0",
        "--api-listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
    ];
    let manifests = bed.dir.path().display().to_string();
    let output = command
        .arg("run")
        .args(free)
        .args(["--manifests", &manifests, "--data-dir", &data])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("in use by another fanfare process"), "{text}");
}

#[tokio::test]
async fn second_signal_ends_at_once_and_says_so() {
    let sink = Sink::start().await;
    let mut bed = Bed::start(&(webhook("a", &sink.url("/")) + route())).await;
    sink.answer(Answer::status(200).after(Duration::from_mins(1)));
    assert_eq!(bed.post(&json!([firing("Stuck")])).await, 200);
    wait_for("the attempt is under way", SOON, || async {
        sink.received().iter().any(|one| one.method == "POST")
    })
    .await;
    bed.operator.signal("TERM");
    bed.operator.wait_log("the end begins", |line| line["message"] == "Shutting down").await;
    let status = bed.operator.terminate().await;
    assert_eq!(status.code(), Some(1));
    assert!(bed.operator.log_text().contains("second signal"));
}
