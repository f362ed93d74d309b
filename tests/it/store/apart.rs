//! Tests in a process of their own: a thread that was left behind where redb panicked twice holds the hook of
//! panics, which a test binary wants to have back at its end.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
};

/// The name of a test; set, the test binary is a child.
const TEST: &str = "FANFARE_STORE_TEST";

/// Runs the body of the test of this name, which must panic if it fails.
pub(super) fn in_a_process(test: &str, run: impl FnOnce()) {
    if std::env::var(TEST).is_ok_and(|running| running == test) {
        let ran = catch_unwind(AssertUnwindSafe(run));
        std::process::exit(i32::from(ran.is_err()));
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(TEST, test)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{test}: {}\n{said}", child.status);
}
