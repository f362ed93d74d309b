//! Receivers in a process of their own: hyper servers, HTTP/1.1 or HTTP/2, plain or TLS, all on one thread.
//!
//! They read each body to its end, find by a byte search which alerts it tells (`Z<number>Z`), count them per
//! receiver, note when each came first and answer 200. Requests other than POST (health checks) are answered and
//! not counted.

use std::{
    convert::Infallible,
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::Instant};
use tokio_rustls::TlsAcceptor;

use super::{
    child::{Child, serve},
    it::support::sink::Authority,
    machine::{cpu_seconds, now},
    post::ids,
};

/// How receivers are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wire {
    Http1,
    Http1Tls,
    Http2Tls,
}

/// M receivers in a child process.
pub(crate) struct Sinks {
    child: Child,
    /// Address of each.
    pub(crate) urls: Vec<String>,
    /// The authority that signed their certificate, in PEM form; empty without TLS.
    pub(crate) authority: String,
}

/// What the receivers got since they were last cleared.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Got {
    /// Pairs of receiver and alert that came at least once.
    pub(crate) pairs: u64,
    /// How often such a pair came again.
    pub(crate) duplicates: u64,
    /// Alerts whose number is outside of what was announced.
    pub(crate) strangers: u64,
    pub(crate) posts: u64,
    pub(crate) bytes: u64,
    /// When the last of the pairs came.
    pub(crate) last: u64,
    /// Connections opened since the start.
    pub(crate) connections: u64,
    /// CPU seconds of the receivers' process since its start.
    pub(crate) cpu: f64,
}

/// Times in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// What the child remembers.
#[derive(Default)]
struct State {
    got: Got,
    alerts: usize,
    /// When each alert came first to each receiver; 0: not yet.
    first: Vec<Vec<u64>>,
}

type Shared = Arc<Mutex<State>>;

// === impl Sinks ===

impl Sinks {
    pub(crate) fn start(receivers: usize, wire: Wire) -> Self {
        let mut child = Child::start("sink");
        let answer = child.ask(&json!({"receivers": receivers, "wire": wire}));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let urls = answer["urls"].as_array().expect("it tells its addresses").iter().map(text);
        Self { child, urls: urls.collect(), authority: text(&answer["authority"]) }
    }

    /// Forgets what came; alerts `0..alerts` are expected.
    pub(crate) fn clear(&mut self, alerts: usize) {
        self.child.ask(&json!({"clear": alerts}));
    }

    pub(crate) fn got(&mut self) -> Got {
        let answer = self.child.ask(&json!("got"));
        serde_json::from_value(answer).expect("it was written by the same type")
    }

    /// Waits until each receiver has each of the alerts or nothing came for `patience`, then a little longer for
    /// duplicates, and tells what came. Whoever calls checks with `Got::assert_exactly_once`.
    pub(crate) fn wait(&mut self, pairs: u64, patience: Duration) -> Got {
        let mut got = self.got();
        let mut moved = Instant::now();
        while got.pairs < pairs && moved.elapsed() < patience {
            std::thread::sleep(Duration::from_millis(20));
            let newer = self.got();
            if newer.pairs > got.pairs {
                moved = Instant::now();
            }
            got = newer;
        }
        std::thread::sleep(Duration::from_millis(100));
        self.got()
    }

    /// How long the alerts took from the times in `starts` (see `Posted`) to their first arrival at each receiver.
    pub(crate) fn times(&mut self, starts: &std::path::Path) -> Times {
        let answer = self.child.ask(&json!({"times": starts}));
        serde_json::from_value(answer).expect("it was written by the same type")
    }
}

// === impl Got ===

impl Got {
    /// Stops the benchmark unless each pair came, and came once.
    pub(crate) fn assert_exactly_once(&self, what: &str, pairs: u64) {
        let Self { pairs: came, duplicates, strangers, .. } = self;
        assert!(
            *came == pairs && *duplicates == 0 && *strangers == 0,
            "{what}: {came} of {pairs} came, {duplicates} again, {strangers} strangers"
        );
    }
}

// === impl Times ===

impl Times {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |value: u64| Duration::from_nanos(value).as_secs_f64() * 1e3;
        let quantile = |quantile| at(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: at(histogram.max()),
        }
    }
}

/// Nanoseconds up to ten minutes, to a thousandth.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 600_000_000_000, 3).expect("the bounds are valid")
}

// === impl State ===

impl State {
    fn clear(&mut self, alerts: usize) {
        let connections = self.got.connections;
        self.got = Got { connections, ..Got::default() };
        self.alerts = alerts;
        self.first.iter_mut().for_each(|first| *first = vec![0; alerts]);
    }

    fn take(&mut self, receiver: usize, body: &[u8]) {
        let at = now();
        self.got.posts += 1;
        self.got.bytes += body.len() as u64;
        // A notification tells the labels of an alert more than once.
        let mut told: Vec<usize> = ids(body).collect();
        told.sort_unstable();
        told.dedup();
        for id in told {
            match self.first[receiver].get_mut(id) {
                None => self.got.strangers += 1,
                Some(0) => {
                    self.first[receiver][id] = at;
                    self.got.pairs += 1;
                    self.got.last = at;
                }
                Some(_) => self.got.duplicates += 1,
            }
        }
    }

    fn times(&self, starts: &str) -> Times {
        let starts = fs::read(starts).expect("the poster wrote it");
        let mut histogram = histogram();
        for first in &self.first {
            for (arrival, start) in first.iter().zip(starts.chunks_exact(8)) {
                let start = u64::from_le_bytes(start.try_into().expect("eight bytes"));
                if *arrival > 0 && start > 0 {
                    histogram.saturating_record(arrival.saturating_sub(start));
                }
            }
        }
        Times::of(&histogram)
    }
}

/// The child: serves until its orders end.
pub(crate) fn main() {
    let shared = Shared::default();
    serve(|order| {
        let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receivers) = order["receivers"].as_u64() {
            let receivers = usize::try_from(receivers).expect("few");
            let wire = serde_json::from_value(order["wire"].clone()).expect("a wire");
            state.first = vec![Vec::new(); receivers];
            return start(receivers, wire, &shared);
        }
        if let Some(alerts) = order["clear"].as_u64() {
            state.clear(usize::try_from(alerts).expect("few"));
            return json!("cleared");
        }
        if let Some(starts) = order["times"].as_str() {
            return json!(state.times(starts));
        }
        json!(Got { cpu: cpu_seconds(std::process::id()), ..state.got.clone() })
    });
}

fn start(receivers: usize, wire: Wire, shared: &Shared) -> Value {
    let authority = (wire != Wire::Http1).then(Authority::new);
    let protocol: &[u8] = if wire == Wire::Http2Tls { b"h2" } else { b"http/1.1" };
    let acceptor = authority.as_ref().map(|authority| authority.acceptor_of(&[protocol]));
    let (told, addresses) = std::sync::mpsc::channel();
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("the machine has room").block_on(async move {
            for receiver in 0..receivers {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback exists");
                let _ = told.send(listener.local_addr().expect("it is bound"));
                tokio::spawn(accept(
                    listener,
                    acceptor.clone(),
                    wire,
                    (receiver, Arc::clone(&shared)),
                ));
            }
            std::future::pending::<()>().await;
        });
    });
    let scheme = if authority.is_some() { "https" } else { "http" };
    let urls = addresses.iter().take(receivers).map(|address| format!("{scheme}://{address}/"));
    let urls: Vec<String> = urls.collect();
    json!({"urls": urls, "authority": authority.map(|authority| authority.pem().to_owned())})
}

async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    wire: Wire,
    to: (usize, Shared),
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, to) = (acceptor.clone(), to.clone());
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            to.1.lock().unwrap_or_else(PoisonError::into_inner).got.connections += 1;
            match acceptor {
                None => talk(TokioIo::new(stream), wire, to).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        talk(TokioIo::new(stream), wire, to).await;
                    }
                }
            }
        });
    }
}

async fn talk(io: impl Read + Write + Send + Unpin + 'static, wire: Wire, to: (usize, Shared)) {
    let service = service_fn(move |request| take(request, to.clone()));
    // Whoever leaves a connection has a reason that is not ours.
    if wire == Wire::Http2Tls {
        let mut server = http2::Builder::new(TokioExecutor::new());
        let _ = server
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .serve_connection(io, service)
            .await;
    } else {
        let _ = http1::Builder::new().serve_connection(io, service).await;
    }
}

async fn take(
    request: Request<Incoming>,
    (receiver, shared): (usize, Shared),
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let counts = request.method() == Method::POST;
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    };
    if counts {
        shared.lock().unwrap_or_else(PoisonError::into_inner).take(receiver, &body);
    }
    Ok(Response::new(Empty::new()))
}
