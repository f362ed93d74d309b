//! The real amtool, as people run it.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Output;

use super::program::{command, run_with_input, stdout_of};

/// amtool, pointed at one server.
pub(crate) struct Amtool {
    program: PathBuf,
    url: String,
}

// === impl Amtool ===

impl Amtool {
    /// `None` if it is not built; says so where it is seen.
    pub(crate) fn at(url: &str) -> Option<Self> {
        let built = std::env::var_os("FANFARE_CONTROLPLANE_BIN").filter(|dir| !dir.is_empty());
        let dir = built.map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/controlplane"),
            PathBuf::from,
        );
        let program = dir.join("amtool");
        if program.is_file() {
            return Some(Self { program, url: url.to_owned() });
        }
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        let _ = writeln!(std::io::stderr(), "SKIP: {test}: needs amtool (run make controlplane)");
        None
    }

    /// Runs it with `input` on its standard input.
    pub(crate) async fn run(&self, args: &[&str], input: &str) -> Output {
        let mut command = command(&self.program);
        // No configuration of whoever runs the tests.
        command.env("HOME", "/nonexistent").env("XDG_CONFIG_HOME", "/nonexistent");
        command.args(["--alertmanager.url", &self.url]).args(args);
        let input = input.to_owned();
        tokio::task::spawn_blocking(move || run_with_input(command, &input)).await.unwrap()
    }

    /// What it prints; it must succeed.
    pub(crate) async fn says(&self, args: &[&str]) -> String {
        stdout_of(&self.run(args, "").await)
    }
}
