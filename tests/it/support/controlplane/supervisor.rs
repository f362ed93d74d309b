//! The process that holds etcd and kube-apiserver, and its commands.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Names the directory with the built servers; `make test` sets it.
const BIN: &str = "FANFARE_CONTROLPLANE_BIN";

/// Ends its servers when it is dropped, and when this process ends in whatever way.
pub(super) struct Supervisor {
    child: Child,
    /// `None` once closed: the supervisor's sign to end.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

// === impl Supervisor ===

impl Supervisor {
    /// Starts the servers; answers where they are, once they are ready.
    pub(super) fn start(bin: &Path) -> (Self, Value) {
        let mut child = Command::new(bin.join("controlplane"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{BIN}={}: {error}: run make controlplane", bin.display())
            });
        let mut supervisor = Self {
            commands: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("stdout is piped")),
            child,
        };
        let ready = supervisor.answer();
        (supervisor, ready)
    }

    /// Sends a command and waits until it is done.
    pub(super) fn obey(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("open until dropped");
        writeln!(commands, "{command}").expect("the supervisor reads its commands");
        self.answer();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        let answer = read
            .map_err(|error| error.to_string())
            .and_then(|_| serde_json::from_str::<Value>(&line).map_err(|error| error.to_string()))
            .unwrap_or_else(|error| {
                panic!("the control plane ended (see its message above): {error}")
            });
        assert!(answer["event"] != "error", "the control plane refused: {}", answer["error"]);
        answer
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.commands = None;
        let _ = self.child.wait();
    }
}

/// Where the built servers are, if they are.
pub(crate) fn built() -> Option<PathBuf> {
    std::env::var_os(BIN).filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// Past the test harness, which swallows what a passing test prints.
pub(crate) fn say_skip() {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "SKIP: {test}: needs a control plane (run make test)");
}
