//! A scripted transport and targets of any health.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fanfare::{
    alert::{Alert, Labels, Notification},
    api::{Reason, TargetKey},
    delivery::{Attempt, Class, Failure, Told, Transport},
    fanout::{Courier, Engine, Metrics, Parts},
    publish::{ErrorType, Idempotency, Options, PublishRequest, Selection},
    registry::{Monitor, Snapshot, Target},
};
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::{sync::watch, time::Instant};

use super::ledger::Ledger;

pub(crate) use super::builder::{TargetBuilder, key, now, snapshot, target};

/// What the far end does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Script {
    Accept,
    AcceptAfter(Duration),
    Fail(ErrorType, Option<u16>),
    FailMaybeTold,
    FailSlowly,
    Panic,
    Reject,
    RateLimit(Duration),
    Hang,
}

/// One request as the far end saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) to: TargetKey,
    pub(crate) at: Instant,
    pub(crate) notification: Arc<Notification>,
}

/// A transport without a network: each target follows its script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    scripts: Mutex<HashMap<TargetKey, Script>>,
    /// By the alert's name: before those of targets.
    of_alerts: Mutex<HashMap<String, Script>>,
    /// Alerts that no message may name.
    refused: Mutex<HashSet<String>>,
    seen: Mutex<Vec<Seen>>,
    running: AtomicUsize,
    peak: AtomicUsize,
}

struct Running<'a>(&'a AtomicUsize);

/// An engine with everything around it.
pub(crate) struct Bed {
    pub(crate) engine: Arc<Engine<Wire>>,
    pub(crate) courier: Arc<Courier<Wire>>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) wire: Wire,
    pub(crate) snapshots: watch::Sender<Arc<Snapshot>>,
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) refreshed: Arc<Mutex<Vec<TargetKey>>>,
    pub(crate) ledger: Ledger,
}

pub(crate) fn alert(name: &str) -> Alert {
    let now = Timestamp::now();
    Alert {
        labels: Labels::from_iter([("alertname", name), ("severity", "critical")]),
        annotations: Labels::empty(),
        starts_at: now,
        ends_at: now + Duration::from_mins(5),
        timeout: true,
        generator_url: "".into(),
        updated_at: now,
    }
}

pub(crate) fn named<const N: usize>(names: [&str; N]) -> Selection {
    Selection::Named(names.map(key).to_vec())
}

pub(crate) fn request(selection: Selection) -> PublishRequest {
    let strategy = selection.default_strategy();
    PublishRequest {
        alert: Arc::new(alert("DiskFull")),
        selection,
        options: Options { strategy, ..Options::default() },
        idempotency: None,
    }
}

pub(crate) fn with_key(mut request: PublishRequest, key: &str, body: u8) -> PublishRequest {
    request.idempotency = Some(Idempotency { key: key.into(), body: [body; 32] });
    request
}

// === impl Wire ===

impl Wire {
    pub(crate) fn script(&self, name: &str, script: Script) {
        self.0.scripts.lock().unwrap().insert(key(name), script);
    }

    pub(crate) fn script_alert(&self, name: &str, script: Script) {
        self.0.of_alerts.lock().unwrap().insert(name.to_owned(), script);
    }

    /// Whatever names this alert is refused for good.
    pub(crate) fn refuse(&self, name: &str) {
        self.0.refused.lock().unwrap().insert(name.to_owned());
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.seen.lock().unwrap())
    }

    /// Names of the targets asked, in order.
    pub(crate) fn order(&self) -> Vec<String> {
        self.seen().iter().map(|seen| seen.to.to_string()).collect()
    }

    pub(crate) fn running(&self) -> usize {
        self.0.running.load(Ordering::SeqCst)
    }

    pub(crate) fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }
}

impl Transport for Wire {
    async fn send(&self, target: &Arc<Target>, notification: &Arc<Notification>) -> Attempt {
        let running = self.0.running.fetch_add(1, Ordering::SeqCst) + 1;
        let _running = Running(&self.0.running);
        self.0.peak.fetch_max(running, Ordering::SeqCst);
        let at = Instant::now();
        let seen = Seen { to: target.key.clone(), at, notification: notification.clone() };
        self.0.seen.lock().unwrap().push(seen);
        let refused = self.0.refused.lock().unwrap().clone();
        if notification.members.iter().any(|it| refused.contains(it.alert.label("alertname"))) {
            let failure = failure(ErrorType::ClientError, Class::Rejected, Told::No);
            return attempt(at, Err(failure), Some(400));
        }
        let script = self.0.of_alerts.lock().unwrap().get(notification.alert_name()).cloned();
        let script = script.or_else(|| self.0.scripts.lock().unwrap().get(&target.key).cloned());
        match script.unwrap_or(Script::Accept) {
            Script::Accept => attempt(at, Ok(()), Some(200)),
            Script::AcceptAfter(time) => {
                tokio::time::sleep(time).await;
                attempt(at, Ok(()), Some(200))
            }
            Script::Fail(error_type, status) => {
                attempt(at, Err(failure(error_type, Class::Retry, Told::No)), status)
            }
            Script::FailMaybeTold => {
                let failure = failure(ErrorType::Timeout, Class::Retry, Told::Maybe);
                attempt(at, Err(failure), None)
            }
            Script::FailSlowly => {
                let failure = failure(ErrorType::Auth, Class::RetrySlowly, Told::No);
                attempt(at, Err(failure), Some(401))
            }
            Script::Panic => panic!("on purpose"),
            Script::Reject => {
                let failure = failure(ErrorType::ClientError, Class::Rejected, Told::No);
                attempt(at, Err(failure), Some(400))
            }
            Script::RateLimit(wait) => {
                let mut failure = failure(ErrorType::RateLimited, Class::RetryAfter, Told::No);
                failure.retry_after = Some(wait);
                attempt(at, Err(failure), Some(429))
            }
            Script::Hang => {
                tokio::time::sleep(target.timeout).await;
                let failure = failure(ErrorType::Timeout, Class::Retry, Told::Maybe);
                attempt(at, Err(failure), None)
            }
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn failure(error_type: ErrorType, class: Class, told: Told) -> Failure {
    Failure {
        error_type,
        class,
        reason: Reason::ServerError,
        message: format!("scripted {}", error_type.as_str()),
        retry_after: None,
        told,
        local: false,
    }
}

fn attempt(at: Instant, result: Result<(), Failure>, status_code: Option<u16>) -> Attempt {
    Attempt { result, status_code, latency: at.elapsed(), sample: None }
}

// === impl Bed ===

impl Bed {
    pub(crate) fn new(targets: impl IntoIterator<Item = TargetBuilder>) -> Self {
        Self::with(snapshot(1, targets.into_iter().map(TargetBuilder::build).collect()))
    }

    pub(crate) fn with(snapshot: Snapshot) -> Self {
        Self::over(Ledger::new(), Wire::default(), snapshot)
    }

    /// The same over facts and far ends that are there already.
    pub(crate) fn over(ledger: Ledger, wire: Wire, snapshot: Snapshot) -> Self {
        let (snapshots, receiver) = watch::channel(Arc::new(snapshot));
        let mut registry = Registry::with_prefix("fanfare");
        let refreshed = Arc::<Mutex<Vec<TargetKey>>>::default();
        let metrics = Metrics::register(&mut registry);
        let monitor = Monitor::new(Arc::default(), fanfare::registry::Metrics::default());
        let parts = Parts {
            snapshots: receiver,
            monitor: monitor.clone(),
            metrics: metrics.clone(),
            refresh: {
                let refreshed = refreshed.clone();
                Arc::new(move |key| refreshed.lock().unwrap().push(key.clone()))
            },
            store: ledger.store(),
        };
        let courier = Courier::new(wire.clone(), parts);
        let engine = Arc::new(Engine::new(courier.clone(), "http://fanfare".into()));
        Self { engine, courier, monitor, wire, snapshots, registry, metrics, refreshed, ledger }
    }

    /// The value of one metric line, `None` if there is no such series.
    pub(crate) fn metric(&self, series: &str) -> Option<f64> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text
            .lines()
            .find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
        line.rsplit_once(' ')?.1.parse().ok()
    }
}
