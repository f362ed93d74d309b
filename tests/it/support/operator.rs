//! The real program, run as users run it, on free ports.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::http::try_send;
use super::program;
use super::small_disk::{SmallDisk, enter};
use super::wait::{wait_for, wait_for_value};

/// Patience with a busy machine: they measure nothing.
const START: Duration = Duration::from_mins(2);
const STOP: Duration = Duration::from_mins(2);

/// How to run the operator.
pub(crate) struct Launch {
    command: Command,
    data: Option<tempfile::TempDir>,
}

/// A running operator; dropping it kills it.
pub(crate) struct Operator {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    intake: String,
    api: String,
    admin: String,
    data: Option<tempfile::TempDir>,
}

// === impl Launch ===

impl Launch {
    /// Against an API server.
    pub(crate) fn with_kubeconfig(kubeconfig: &Path) -> Self {
        Self::new().env("KUBECONFIG", &kubeconfig.display().to_string())
    }

    /// Without Kubernetes.
    pub(crate) fn with_manifests(dir: &Path) -> Self {
        Self::new().arg("--manifests").arg(&dir.display().to_string())
    }

    /// Without Kubernetes, on a data directory that outlives the process; `None`: nothing does.
    pub(crate) fn on_data(manifests: &Path, data: Option<&Path>) -> Self {
        let mut launch = Self::bare();
        launch.command.arg("--manifests").arg(manifests);
        if let Some(data) = data {
            launch.command.arg("--data-dir").arg(data);
        }
        launch
    }

    /// With a file system of this size under `mount`, seen by this process alone.
    pub(crate) fn on_small_disk(mut self, mount: &Path, size: &str) -> Self {
        let script = "mount -t tmpfs -o size=\"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";
        let mount = mount.display().to_string();
        let args = ["--mount", "--map-root-user", "sh", "-c", script, "sh", size, &mount];
        self.wrap(Command::new("unshare"), &args.map(str::to_owned));
        self
    }

    /// Where this small file system is mounted.
    pub(crate) fn on_disk(mut self, disk: &SmallDisk) -> Self {
        self.wrap(Command::new("nsenter"), &enter(disk.keeper()));
        self
    }

    /// Lets another program start this one.
    fn wrap(&mut self, mut command: Command, args: &[String]) {
        command.args(args).arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        self.command = command;
    }

    /// On this data directory, which outlives the process, instead of one of its own.
    pub(crate) fn on_data_of(mut self, data: &Path) -> Self {
        if let Some(own) = self.data.take() {
            let own = own.path().as_os_str().to_owned();
            let args: Vec<_> = self.command.get_args().map(std::ffi::OsStr::to_owned).collect();
            let mut command = Command::new(self.command.get_program());
            for arg in args {
                command.arg(if arg == own { data.as_os_str().to_owned() } else { arg });
            }
            for (name, value) in self.command.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
            self.command = command;
        }
        self
    }

    fn new() -> Self {
        let data = tempfile::tempdir().expect("the machine has room for temporary files");
        let mut launch = Self::bare();
        launch.command.arg("--data-dir").arg(data.path());
        Self { data: Some(data), ..launch }
    }

    fn bare() -> Self {
        // Benchmarks compare with another build.
        let other = std::env::var_os("BENCH_PROGRAM");
        let path = other.unwrap_or_else(|| env!("CARGO_BIN_EXE_fanfare").into());
        let mut command = program::command(Path::new(&path));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FANFARE_")) {
            command.env_remove(name);
        }
        command
            .arg("run")
            .args(["--intake-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--allow-cidr", "127.0.0.0/8"])
            .env_remove("KUBECONFIG");
        Self { command, data: None }
    }

    pub(crate) fn arg(mut self, arg: &str) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts the program and waits until its three listeners are bound.
    pub(crate) async fn start(self) -> Operator {
        let Self { mut command, data } = self;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cargo built the program");
        let lines = Arc::new(Mutex::new(Vec::new()));
        record(child.stdout.take().expect("stdout is piped"), &lines);
        record(child.stderr.take().expect("stderr is piped"), &lines);
        let mut operator = Operator {
            child,
            lines,
            intake: String::new(),
            api: String::new(),
            admin: String::new(),
            data,
        };
        operator.intake = operator.bound("intake").await;
        operator.api = operator.bound("api").await;
        operator.admin = operator.bound("admin").await;
        operator
    }

    /// Starts the program and waits until `/readyz` is green and the first lists are there.
    pub(crate) async fn start_ready(self) -> Operator {
        let operator = self.start().await;
        operator.wait_ready().await;
        operator
    }
}

// === impl Operator ===

impl Operator {
    pub(crate) fn intake_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.intake)
    }

    pub(crate) fn api_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api)
    }

    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its own `--data-dir`, removed with it.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data.as_ref().expect("it was launched with a directory of its own").path()
    }

    pub(crate) async fn wait_ready(&self) {
        let url = self.admin_url("/readyz");
        wait_for("the operator is ready", START, || async {
            let answer = try_send(Method::GET, &url, &[], Bytes::new()).await;
            let well = "[+]first-lists ok";
            answer.is_ok_and(|answer| answer.status.is_success() && answer.text().contains(well))
        })
        .await;
    }

    /// Everything it printed so far, on both streams.
    pub(crate) fn log_text(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Its log lines so far, each with its fields at the top level (`message`, `level`, …).
    pub(crate) fn logs(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().filter_map(|line| serde_json::from_str(line).ok()).map(flat).collect()
    }

    /// Waits for a log line.
    pub(crate) async fn wait_log(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for_value(what, START, || async { self.logs().into_iter().find(|line| wanted(line)) })
            .await
    }

    /// Sends a signal by name (`STOP`, `CONT`, `TERM`).
    pub(crate) fn signal(&self, name: &str) {
        assert!(program::signal(self.pid(), name).success(), "the operator is gone");
    }

    /// Ends it as power loss of the process would: nothing more is run, nothing is flushed.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the operator is our child");
        self.child.wait().expect("the operator is our child");
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_exit().await
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the operator is our child")
    }

    /// Waits until it ends by itself.
    pub(crate) async fn wait_exit(&mut self) -> ExitStatus {
        let ended = Mutex::new(&mut self.child);
        wait_for_value("the operator ends", STOP, || async {
            let mut child = ended.lock().unwrap_or_else(PoisonError::into_inner);
            child.try_wait().expect("the operator is our child")
        })
        .await
    }

    async fn bound(&mut self, listener: &str) -> String {
        let is_it = |line: &Value| line["message"] == "Listening" && line["listener"] == listener;
        let started = tokio::time::Instant::now();
        loop {
            let ended = self.child.try_wait().expect("the operator is our child");
            if let Some(line) = self.logs().iter().find(|line| is_it(line)) {
                return line["address"].as_str().expect("the address is text").to_owned();
            }
            let late = started.elapsed() > START;
            assert!(
                ended.is_none() && !late,
                "no {listener} listener ({ended:?}):\n{}",
                self.log_text()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the lines of a stream until it ends; a thread, so that a busy test never blocks the program.
fn record(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}

/// Lifts `fields` to the top level, where the log format nests them.
fn flat(mut line: Value) -> Value {
    let nested = line.get_mut("fields").map(Value::take);
    if let (Some(line), Some(Value::Object(mut nested))) = (line.as_object_mut(), nested) {
        line.remove("fields");
        line.append(&mut nested);
    }
    line
}
