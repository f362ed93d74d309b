//! Posters in a process of their own: hyper clients on one thread that post Alertmanager's v2 body, either one after
//! the other as fast as they are answered, or at a pace that does not depend on the answers.
//!
//! Paced posts have intended times. A post that leaves late because its client still waited for an answer counts
//! from its intended time, so that a stall is counted; one that leaves late because the timer was late does not.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use bytes::Bytes;
use futures::future::join_all;
use hdrhistogram::Histogram;
use http::{Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, time::sleep};

use super::{
    child::{Child, serve},
    machine::{cpu_seconds, now},
    sink::{Times, histogram},
};

/// What is posted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Where to; clients are dealt to these in turns.
    pub(crate) urls: Vec<String>,
    /// Connections, each with one post under way.
    pub(crate) clients: usize,
    /// Alerts in a post.
    pub(crate) batch: usize,
    /// Posts end after so many alerts, or after `seconds`.
    pub(crate) alerts: usize,
    pub(crate) seconds: Option<f64>,
    /// Alerts per second; `None`: flat out.
    pub(crate) rate: Option<f64>,
    /// Alerts are numbered from here …
    pub(crate) first: usize,
    /// … and again from there after so many; `None`: each is new.
    pub(crate) distinct: Option<usize>,
    /// Label values that name the set, so that the alerts of two runs on one program differ.
    pub(crate) run: String,
}

/// How that went.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Posted {
    pub(crate) posts: u64,
    /// Alerts in posts that were answered with 2xx.
    pub(crate) alerts: u64,
    /// Posts that were answered otherwise.
    pub(crate) refused: u64,
    /// Start of the first post and end of the last, of the clock that all share.
    pub(crate) began: u64,
    pub(crate) ended: u64,
    /// From the start of a post to its answer.
    pub(crate) answered: Times,
    /// CPU seconds that the posters took.
    pub(crate) cpu: f64,
}

/// Posters in a child process.
pub(crate) struct Poster {
    child: Child,
    files: tempfile::TempDir,
}

/// What one client did.
struct Done {
    posted: Posted,
    histogram: Histogram<u64>,
    /// Per post: its first alert, its start and its answer.
    times: Vec<(usize, u64, u64)>,
}

// === impl Load ===

impl Load {
    /// This many new alerts in all, flat out, 4 clients with batches of 50.
    pub(crate) fn flat_out(url: String, alerts: usize) -> Self {
        let (clients, batch, run) = (4, 50, "0".to_owned());
        Self {
            urls: vec![url],
            clients,
            batch,
            alerts,
            seconds: None,
            rate: None,
            first: 0,
            distinct: None,
            run,
        }
    }

    /// Nanoseconds from one post to the next.
    fn pause(&self) -> Option<f64> {
        self.rate.map(|rate| self.batch as f64 / rate * 1e9)
    }

    /// The number of an alert.
    fn id(&self, nth: usize) -> usize {
        self.first + self.distinct.map_or(nth, |distinct| nth % distinct)
    }
}

// === impl Posted ===

impl Posted {
    pub(crate) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.ended.saturating_sub(self.began)).as_secs_f64()
    }

    /// Stops the benchmark unless all was accepted.
    pub(crate) fn assert_accepted(&self, what: &str, alerts: u64) {
        let Self { alerts: accepted, refused, .. } = self;
        assert!(
            *accepted == alerts && *refused == 0,
            "{what}: {accepted} of {alerts} accepted, {refused} posts refused"
        );
    }
}

// === impl Poster ===

impl Poster {
    pub(crate) fn start() -> Self {
        Self { child: Child::start("post"), files: super::program::directory() }
    }

    /// Posts, and waits until all is answered.
    pub(crate) fn run(&mut self, load: &Load) -> Posted {
        self.begin(load);
        self.end()
    }

    /// Begins to post; `end` tells how it went.
    pub(crate) fn begin(&mut self, load: &Load) {
        let order = serde_json::json!({"load": load, "files": self.files.path()});
        self.child.tell(&order);
    }

    pub(crate) fn end(&mut self) -> Posted {
        serde_json::from_value(self.child.answer()).expect("it was written by the same type")
    }

    /// When the post of each alert began: eight bytes each, by number.
    pub(crate) fn starts(&self) -> std::path::PathBuf {
        self.files.path().join("starts")
    }

    /// When the post of each alert was answered.
    pub(crate) fn answers(&self) -> std::path::PathBuf {
        self.files.path().join("answers")
    }
}

/// The numbers of the alerts that a body tells, as often as it tells them.
pub(crate) fn ids(body: &[u8]) -> impl Iterator<Item = usize> {
    let mut rest = body;
    std::iter::from_fn(move || {
        loop {
            let at = rest.iter().position(|byte| *byte == b'Z')?;
            rest = &rest[at + 1..];
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits > 0 && rest.get(digits) == Some(&b'Z') {
                let id =
                    rest[..digits].iter().fold(0, |id, digit| id * 10 + usize::from(digit - b'0'));
                rest = &rest[digits + 1..];
                return Some(id);
            }
        }
    })
}

/// An alert as a Prometheus would send it; the number is in a label.
fn alert(body: &mut String, id: usize, run: &str) {
    if body.len() > 1 {
        body.push(',');
    }
    write!(
        body,
        r#"{{"labels":{{"alertname":"DiskNearlyFull{name}","bench":"Z{id}Z","run":"{run}","severity":"warning","job":"node-{job}","instance":"host-{job}.example.com:9100","namespace":"prod","team":"storage"}},"annotations":{{"summary":"The disk of this host is nearly full","runbook":"https://runbooks.example.com/disk"}},"startsAt":"2026-01-01T00:00:00.000Z","generatorURL":"http://prometheus.example.com/graph?g0.expr=disk_free_bytes%2Fdisk_size_bytes+%3C+0.1&g0.tab=1"}}"#,
        name = id % 50,
        job = id % 100,
    )
    .expect("text grows");
}

/// The child: posts as it is told.
pub(crate) fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the machine has room");
    serve(|order| {
        let load: Load = serde_json::from_value(order["load"].clone()).expect("a load");
        let files = Path::new(order["files"].as_str().expect("a directory"));
        serde_json::to_value(runtime.block_on(run(&load, files))).expect("plain data")
    });
}

async fn run(load: &Load, files: &Path) -> Posted {
    let cpu = cpu_seconds(std::process::id());
    let posts = load.alerts.div_ceil(load.batch);
    let connections = (0..load.clients).map(|at| connect(&load.urls[at % load.urls.len()]));
    let connections = join_all(connections).await;
    let began = now();
    let clients = connections
        .into_iter()
        .enumerate()
        .map(|(at, (sender, uri))| client(load, sender, uri, (at, posts, began)));
    let done = join_all(clients).await;
    let mut posted = Posted { began, ended: now(), ..Posted::default() };
    let mut histogram = histogram();
    let last = load.first + load.distinct.unwrap_or(load.alerts);
    let (mut starts, mut answers) = (vec![0; last], vec![0; last]);
    for one in done {
        posted.posts += one.posted.posts;
        posted.alerts += one.posted.alerts;
        posted.refused += one.posted.refused;
        histogram.add(one.histogram).expect("equal bounds");
        for (nth, start, answer) in one.times {
            for nth in nth..load.alerts.min(nth + load.batch) {
                (starts[load.id(nth)], answers[load.id(nth)]) = (start, answer);
            }
        }
    }
    for (name, times) in [("starts", starts), ("answers", answers)] {
        let bytes: Vec<u8> = times.into_iter().flat_map(u64::to_le_bytes).collect();
        fs::write(files.join(name), bytes).expect("the disk has room");
    }
    Posted { answered: Times::of(&histogram), cpu: cpu_seconds(std::process::id()) - cpu, ..posted }
}

/// Sends every `clients`-th post.
async fn client(
    load: &Load,
    mut sender: SendRequest<Full<Bytes>>,
    uri: Uri,
    (at, posts, began): (usize, usize, u64),
) -> Done {
    let mut done = Done { posted: Posted::default(), histogram: histogram(), times: Vec::new() };
    let deadline = load.seconds.map_or(u64::MAX, |seconds| began + (seconds * 1e9) as u64);
    let mut body = String::new();
    for post in (at..posts).step_by(load.clients) {
        let mut start = now();
        if let Some(pause) = load.pause() {
            let intended = began + (post as f64 * pause) as u64;
            if intended > start {
                sleep(Duration::from_nanos(intended - start)).await;
                start = now();
            } else {
                start = intended;
            }
        }
        if start > deadline {
            break;
        }
        let nth = post * load.batch;
        let count = load.batch.min(load.alerts - nth);
        body.clear();
        body.push('[');
        (nth..nth + count).for_each(|nth| alert(&mut body, load.id(nth), &load.run));
        body.push(']');
        if load.pause().is_none() {
            // To write the body is not the receiver's time.
            start = now();
        }
        let accepted = send(&mut sender, &uri, Bytes::copy_from_slice(body.as_bytes())).await;
        let answer = now();
        done.posted.posts += 1;
        done.posted.alerts += if accepted { count as u64 } else { 0 };
        done.posted.refused += u64::from(!accepted);
        done.histogram.saturating_record(answer.saturating_sub(start));
        done.times.push((nth, start, answer));
    }
    done
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, uri: &Uri, body: Bytes) -> bool {
    let request = Request::post(uri.path())
        .header(header::HOST, uri.authority().expect("checked").as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))
        .expect("a valid request");
    if sender.ready().await.is_err() {
        return false;
    }
    let Ok(answer) = sender.send_request(request).await else { return false };
    let accepted = answer.status().is_success();
    answer.into_body().collect().await.is_ok() && accepted
}

/// One plain connection.
pub(crate) async fn connect(url: &str) -> (SendRequest<Full<Bytes>>, Uri) {
    let uri: Uri = url.parse().expect("a valid address");
    let stream = TcpStream::connect(uri.authority().expect("it has one").as_str()).await;
    let stream = stream.unwrap_or_else(|error| panic!("{url}: {error}"));
    let _ = stream.set_nodelay(true);
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.expect("nothing is sent yet");
    tokio::spawn(async move {
        // It ends when the sender is dropped; a failure shows in the answer.
        let _ = connection.await;
    });
    (sender, uri)
}
