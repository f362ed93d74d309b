//! The program under test: the real release binary on a real data directory, or a peer in its place.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    it::support::program::command,
    machine::{cpu_seconds, kilobytes},
    report::DIRECTORY,
};

const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(10);
/// Lines of its log that are kept for whoever asks what went wrong.
const KEPT_LINES: usize = 200;

/// A running program; dropping it kills it and removes what it wrote.
pub(crate) struct Program {
    process: Child,
    lines: Arc<Mutex<VecDeque<String>>>,
    /// Addresses of its listeners.
    pub(crate) intake: String,
    pub(crate) api: String,
    pub(crate) admin: String,
    files: tempfile::TempDir,
}

// === impl Program ===

impl Program {
    /// Starts Fanfare on these manifests, with a data directory of its own, and waits until it is ready.
    /// `BENCH_PROGRAM` names another binary than the one that cargo built: an older one, to compare with.
    pub(crate) fn start(manifests: &str, args: &[&str]) -> Self {
        let own = env!("CARGO_BIN_EXE_fanfare");
        Self::start_binary(
            &std::env::var("BENCH_PROGRAM").unwrap_or_else(|_| own.to_owned()),
            manifests,
            args,
        )
    }

    pub(crate) fn start_binary(binary: &str, manifests: &str, args: &[&str]) -> Self {
        let files = directory();
        let (objects, data) = (files.path().join("manifests"), files.path().join("data"));
        fs::create_dir(&objects).expect("the directory is new");
        fs::write(objects.join("all.yaml"), manifests).expect("the disk has room");
        let mut command = command(Path::new(binary));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("FANFARE_")) {
            command.env_remove(name);
        }
        command
            .args(["run", "--intake-listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            .args(["--allow-cidr", "127.0.0.0/8"])
            .arg("--manifests")
            .arg(&objects)
            .arg("--data-dir")
            .arg(&data)
            .args(args);
        let mut program = Self::spawn(command, files);
        program.intake = program.bound("intake");
        program.api = program.bound("api");
        program.admin = program.bound("admin");
        let admin = program.admin.clone();
        program.wait("it is ready", || {
            get(&admin, "/readyz").is_some_and(|text| text.contains("[+]first-lists ok"))
        });
        program
    }

    /// Starts any program, such as a peer, on files of its own.
    pub(crate) fn spawn(mut command: Command, files: tempfile::TempDir) -> Self {
        let mut process = command
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        record(process.stdout.take().expect("stdout is piped"), &lines);
        record(process.stderr.take().expect("stderr is piped"), &lines);
        let (intake, api, admin) = (String::new(), String::new(), String::new());
        Self { process, lines, intake, api, admin, files }
    }

    /// Where alerts are posted.
    pub(crate) fn alerts_url(&self) -> String {
        format!("http://{}/api/v2/alerts", self.intake)
    }

    pub(crate) fn files(&self) -> &Path {
        self.files.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Most memory it ever had, in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        kilobytes(&format!("/proc/{}/status", self.pid()), "VmHWM")
    }

    /// Memory it has now, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        kilobytes(&format!("/proc/{}/status", self.pid()), "VmRSS")
    }

    /// CPU seconds that it has used, in its own code and in the kernel's.
    pub(crate) fn cpu(&self) -> f64 {
        cpu_seconds(self.pid())
    }

    /// What its admin listener exports.
    pub(crate) fn metrics(&self) -> String {
        get(&self.admin, "/metrics").expect("the program answers")
    }

    /// Sum of all series of a metric, whatever their labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.metrics();
        let is_it =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        text.lines()
            .filter(is_it)
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Waits until this holds; stops the benchmark if the program ends first.
    pub(crate) fn wait(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            let ended = self.process.try_wait().expect("it is our child");
            let late = began.elapsed() > PATIENCE;
            assert!(ended.is_none() && !late, "{what}: {ended:?}\n{}", self.log());
            std::thread::sleep(PAUSE);
        }
    }

    /// Ends it as a crash would.
    pub(crate) fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// The end of what it printed.
    pub(crate) fn log(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    fn bound(&mut self, listener: &str) -> String {
        let lines = Arc::clone(&self.lines);
        let mut address = None;
        self.wait("its listeners are bound", || {
            let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            address = lines.iter().find_map(|line| listening(line, listener));
            address.is_some()
        });
        address.expect("it was waited for")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A directory on the disk that holds the build, which is a real one more often than /tmp.
pub(crate) fn directory() -> tempfile::TempDir {
    fs::create_dir_all(DIRECTORY).expect("target can be written");
    let own = std::env::current_dir().expect("cargo starts it in the package").join(DIRECTORY);
    tempfile::Builder::new().prefix("run-").tempdir_in(own).expect("the disk has room")
}

/// The body of a GET, if the answer is 200.
pub(crate) fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.split(' ').nth(1).is_some_and(|code| code == "200").then(|| body.to_owned())
}

fn listening(line: &str, listener: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields").unwrap_or(&line);
    let is_it = fields["message"] == "Listening" && fields["listener"] == listener;
    is_it.then(|| fields["address"].as_str().map(str::to_owned)).flatten()
}

/// Keeps the last lines of a stream; a thread, so that the program is never blocked by its log.
fn record(stream: impl Read + Send + 'static, lines: &Arc<Mutex<VecDeque<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == KEPT_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    });
}
