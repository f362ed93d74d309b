//! The program when its disk does not play along: it says what is wrong and ends, and acknowledges nothing
//! that it could not write down.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use http::Method;
use redb::{Database, TableDefinition};
use serde_json::json;

use super::{SOON, firing, route, webhook, write};
use crate::support::{
    http::try_send,
    operator::{Launch, Operator},
    sink::Sink,
    wait::wait_for,
};

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// A directory of manifests with one target.
fn manifests(sink: &Sink) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "all.yaml", &(webhook("a", &sink.url("/")) + route()));
    dir
}

/// What the program prints and how it ends when its start is refused.
fn refused(manifests: &Path, data: &Path) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["run", "--intake-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0", "--allow-cidr", "127.0.0.0/8"])
        .arg("--manifests")
        .arg(manifests)
        .arg("--data-dir")
        .arg(data)
        .env_remove("KUBECONFIG")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

/// Says that a program of a later version wrote the file.
fn set_format(file: &Path, format: u32) {
    let database = Database::open(file).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", &format.to_le_bytes()[..]).unwrap();
    transaction.commit().unwrap();
}

#[tokio::test]
async fn file_of_a_later_version_is_named_and_left_alone() {
    let sink = Sink::start().await;
    let manifests = manifests(&sink);
    let data = tempfile::tempdir().unwrap();
    let mut operator = Launch::on_data(manifests.path(), Some(data.path())).start_ready().await;
    assert!(operator.terminate().await.success());
    let file = data.path().join("fanfare.redb");
    set_format(&file, 77);
    let before = fs::read(&file).unwrap();
    let (code, text) = refused(manifests.path(), data.path());
    assert_eq!(code, Some(1), "{text}");
    for part in [&*file.display().to_string(), "77", "start the program that wrote it"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    assert!(fs::read(&file).unwrap() == before, "the file was changed");
    let names: Vec<PathBuf> =
        fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("damaged")), "{names:?}");
}

/// Lets every sync of a running program fail.
fn break_syncs(operator: &Operator) -> Child {
    Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync"])
        .args(["-e", "inject=fdatasync,fsync:error=EIO", "-p"])
        .arg(operator.pid().to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Control: without the failing syncs the same alerts are all acknowledged and the program goes on.
#[tokio::test]
async fn failing_disk_ends_the_program_and_nothing_more_is_acknowledged() {
    let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("SKIP: strace can't run here, so no disk is made to fail under the program");
        return;
    }
    let sink = Sink::start().await;
    let manifests = manifests(&sink);
    let data = tempfile::tempdir().unwrap();
    let mut operator = Launch::on_data(manifests.path(), Some(data.path())).start_ready().await;
    let url = operator.intake_url("/api/v2/alerts");
    assert_eq!(post_one(&url, 0).await, Some(200));
    let mut strace = break_syncs(&operator);
    wait_for("strace holds the program", SOON, || async { traced(operator.pid()) }).await;
    let mut last = Some(200);
    for number in 1..200 {
        last = post_one(&url, number).await;
        if last != Some(200) {
            break;
        }
    }
    assert_ne!(last, Some(200), "every alert was acknowledged on a disk that fails");
    for number in 200..210 {
        let answer = post_one(&url, number).await;
        assert!(answer.is_none_or(|status| status >= 500), "{answer:?} after the disk failed");
    }
    let status = operator.wait_exit().await;
    let log = operator.log_text();
    let _ = strace.kill();
    let _ = strace.wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("The store failed"), "{log}");
}

/// Posts an alert; the status of the answer, if there is one.
async fn post_one(url: &str, number: u32) -> Option<u16> {
    let alerts = json!([firing(&format!("Alert{number}"))]);
    let json = [("content-type", "application/json")];
    let answer = try_send(Method::POST, url, &json, alerts.to_string().into()).await;
    answer.ok().map(|answer| answer.status.as_u16())
}

/// Whether every thread of the program is held by a tracer.
fn traced(pid: u32) -> bool {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    tasks.flatten().all(|task| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    })
}
