//! A disk that is nearly full: a small file system of the operator's own.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::json;

use super::{EAGER, SEND, SOON, firing, resolved, route, told, wait_told, webhook};
use crate::support::{
    http::{Reply, get, post},
    operator::{Launch, Operator},
    sink::{Answer, Sink},
    wait::{wait_for, wait_for_value},
};

/// A file system of 128 MiB under `mount` in the operator's own mount namespace: it goes with the process.
fn can_mount(mount: &Path) -> bool {
    let try_it = Command::new("unshare")
        .args(["--mount", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs"])
        .arg(mount)
        .output();
    try_it.is_ok_and(|output| output.status.success())
}

/// The directory as the operator sees it.
fn seen_by(operator: &Operator, dir: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", operator.pid()));
    root.join(dir.strip_prefix("/").expect("temporary directories are absolute"))
}

/// Takes so much of the space that less is left than the operator leaves free.
fn fill(file: &Path) {
    let mut file = File::create(file).unwrap();
    let block = vec![7; 1 << 20];
    for _ in 0..80 {
        file.write_all(&block).unwrap();
    }
}

async fn say(operator: &Operator, alert: serde_json::Value) -> Reply {
    post(&operator.intake_url("/api/v2/alerts"), &json!([alert])).await
}

#[tokio::test]
async fn full_disk_refuses_what_is_new_delivers_on_and_takes_more_when_there_is_room() {
    let (manifests, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    if !can_mount(data.path()) {
        eprintln!("SKIP: no file system can be mounted here (unshare --mount --map-root-user)");
        return;
    }
    let sink = Sink::start().await;
    let text = webhook("hook", &sink.url("/"), EAGER) + &route("all", &["hook"], SEND);
    std::fs::write(manifests.path().join("all.yaml"), text).unwrap();
    let launch = Launch::on_data(manifests.path(), Some(data.path()));
    let operator = launch.on_small_disk(data.path(), "128m").start_ready().await;
    assert_eq!(say(&operator, firing("Known")).await.status, 200);
    wait_told(&sink, "Known firing").await;
    sink.answer(Answer::status(503));
    assert_eq!(say(&operator, firing("Owed")).await.status, 200);
    wait_told(&sink, "Owed firing").await;

    let ballast = seen_by(&operator, data.path()).join("ballast");
    fill(&ballast);
    let mut number = 0;
    let refused = wait_for_value("new alerts are refused", SOON, || {
        number += 1;
        let reply = say(&operator, firing(&format!("New{number}")));
        async move { Some(reply.await).filter(|reply| reply.status != 200) }
    })
    .await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.headers.contains_key("retry-after"), "{:?}", refused.headers);
    wait_for("the metric says so", SOON, || async {
        let metrics = get(&operator.admin_url("/metrics")).await.text();
        metrics.contains("\nfanfare_store_full 1")
    })
    .await;
    // A re-send of what is held needs no room, the end of an alert has some set aside.
    assert_eq!(say(&operator, firing("Known")).await.status, 200);
    assert_eq!(say(&operator, resolved("Known")).await.status, 200);
    sink.answer(Answer::status(200));
    wait_told(&sink, "Known resolved").await;
    wait_for("what was owed is delivered", SOON, || async {
        told(&sink).iter().filter(|one| one.what == "Owed firing").count() >= 2
    })
    .await;
    assert_eq!(get(&operator.admin_url("/livez")).await.status, 200);

    std::fs::remove_file(&ballast).unwrap();
    wait_for("new alerts are taken again", Duration::from_secs(30), || async {
        say(&operator, firing("After")).await.status == 200
    })
    .await;
    wait_told(&sink, "After firing").await;
}
