//! What stands in the data directory under the store's names and is no file: the program says so and ends.

use std::{
    fs,
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::wait::wait_for_value;

/// Time in which a start must have been refused.
const SOON: Duration = Duration::from_secs(20);

/// What the program prints and how it ends.
async fn refused(data: &Path) -> String {
    let manifests = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_fanfare"))
        .args(["run", "--intake-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"])
        .args(["--admin-listen", "127.0.0.1:0", "--manifests"])
        .arg(manifests.path())
        .arg("--data-dir")
        .arg(data)
        .env_remove("KUBECONFIG")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = tokio::time::Instant::now();
    let ended = wait_for_value("the start is refused", 2 * SOON, || {
        if started.elapsed() > SOON {
            let _ = child.kill();
        }
        std::future::ready(child.try_wait().unwrap())
    })
    .await;
    assert_eq!(ended.code(), Some(1), "{ended}: it went on or hung");
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn mentions(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}

/// Control: a program that opens what it finds waits for the other end of the pipe for ever.
#[tokio::test]
async fn what_is_no_file_is_refused_unopened() {
    for (what, name) in [
        ("named pipe", "fanfare.redb"),
        ("socket", "fanfare.redb"),
        ("directory", "fanfare.redb"),
        ("device", "fanfare.redb"),
        ("symbolic link that leads nowhere", "fanfare.redb"),
        ("named pipe", "fanfare.redb.new"),
        ("named pipe", "fanfare.reserve"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        match what {
            "named pipe" => {
                assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
            }
            "socket" => drop(UnixListener::bind(&path).unwrap()),
            "directory" => fs::create_dir(&path).unwrap(),
            "device" => symlink("/dev/zero", &path).unwrap(),
            _ => symlink(dir.path().join("nowhere"), &path).unwrap(),
        }
        let text = refused(dir.path()).await;
        mentions(&text, &[&path.display().to_string(), what, "move it away"]);
    }
}

#[tokio::test]
async fn lock_that_is_a_pipe_and_directory_that_is_a_dead_link_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("lock");
    assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success());
    mentions(&refused(dir.path()).await, &[&lock.display().to_string(), "is not a file"]);

    let (link, nowhere) = (dir.path().join("data"), dir.path().join("unmounted"));
    symlink(&nowhere, &link).unwrap();
    let (link_text, leads_to) = (link.display().to_string(), nowhere.display().to_string());
    let text = refused(&link).await;
    mentions(&text, &[&link_text, &leads_to, "does not exist", "create that directory"]);
}
