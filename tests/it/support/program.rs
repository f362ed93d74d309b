//! Child processes that never outlive their test.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

/// A command for `program` that the kernel ends when the test that started it is killed (where
/// `setpriv` is installed).
pub(crate) fn command(program: &Path) -> Command {
    if !Path::new("/usr/bin/setpriv").exists() {
        return Command::new(program);
    }
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Runs `command` with `input` on its standard input and answers what it printed.
pub(crate) fn run_with_input(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_owned();
    // A thread of its own: the child may print more than a pipe holds before it has read all.
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the child was started by us");
    // A child that does not read its input closes the pipe: that is its right.
    let _ = writer.join();
    output
}

/// Sends a signal by name (`TERM`, `STOP`, `CONT`).
pub(crate) fn signal(pid: u32, name: &str) -> ExitStatus {
    Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("sh exists")
}

/// Standard output as text; panics with everything the program said when it failed.
pub(crate) fn stdout_of(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "exit {}\nstdout: {stdout}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}
