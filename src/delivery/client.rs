//! The client: one long-lived set of connections per set of TLS settings, shared by all targets.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, HeaderValue, Method, header::USER_AGENT};
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    Attempt, Class, Failure, Told, Transport,
    classify::{Answer, Evidence, Verdict},
    connect::Connector,
    exchange::{Call, Profile},
    inbox::{InboxEntry, LogInbox},
    metrics::Metrics,
    policy::AddressPolicy,
    resolve::{Resolve, SystemResolver},
    text, tls,
    vendor::{self, Rendered, Spread, Vendor},
};
use crate::{
    alert::Notification,
    registry::{
        Depth, Endpoint, HttpMethod, Sample, SampleFailure, SampleSource, Target, TlsRoots,
    },
};

/// Sets of custom certificate authorities whose connections are kept.
const MAX_PROFILES: usize = 512;
/// How we call ourselves.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("Fanfare/", env!("CARGO_PKG_VERSION")));

/// Sends to targets over real connections. Clones share everything.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    resolver: Arc<dyn Resolve>,
    policy: Arc<AddressPolicy>,
    system: Arc<Profile>,
    custom: Mutex<HashMap<TlsRoots, Used>>,
    inbox: Arc<LogInbox>,
    metrics: Metrics,
}

struct Used {
    profile: Arc<Profile>,
    last: Instant,
}

/// What came of one endpoint, or of one attempt.
pub(super) struct Outcome {
    pub(super) verdict: Verdict,
    pub(super) status: Option<u16>,
    pub(super) latency: Duration,
}

/// One attempt's fixed parts.
struct Sending<'a> {
    target: &'a Target,
    vendor: &'static dyn Vendor,
    headers: HeaderMap,
    started: Instant,
}

// === impl Client ===

impl Client {
    /// A client that resolves names as the system does.
    #[must_use]
    pub fn new(policy: AddressPolicy, inbox: Arc<LogInbox>, registry: &mut Registry) -> Self {
        Self::with_resolver(policy, inbox, registry, Arc::new(SystemResolver::default()))
    }

    /// A client with a resolver of its own, for tests.
    #[must_use]
    pub fn with_resolver(
        policy: AddressPolicy,
        inbox: Arc<LogInbox>,
        registry: &mut Registry,
        resolver: Arc<dyn Resolve>,
    ) -> Self {
        let policy = Arc::new(policy);
        let tls = tls::config(None)
            .inspect_err(|error| {
                warn!(%error, "No TLS without a custom certificate authority: install a CA bundle");
            })
            .ok();
        let connector =
            Connector { resolver: Arc::clone(&resolver), policy: Arc::clone(&policy), tls };
        Self(Arc::new(Shared {
            resolver,
            policy,
            system: Arc::new(Profile::new(connector)),
            custom: Mutex::default(),
            inbox,
            metrics: Metrics::register(registry),
        }))
    }

    /// What Log targets received.
    #[must_use]
    pub fn inbox(&self) -> &Arc<LogInbox> {
        &self.0.inbox
    }

    /// The connections that `target` uses.
    pub(super) fn profile(&self, target: &Target) -> Arc<Profile> {
        let shared = &*self.0;
        let Some(roots) = &target.tls_roots else { return Arc::clone(&shared.system) };
        let now = Instant::now();
        let mut custom = shared.custom.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = custom.get_mut(roots) {
            used.last = now;
            return Arc::clone(&used.profile);
        }
        if custom.len() >= MAX_PROFILES {
            let oldest = custom.iter().min_by_key(|(_, used)| used.last).map(|(it, _)| it.clone());
            oldest.map(|oldest| custom.remove(&oldest));
        }
        let profile = Arc::new(Profile::new(Connector {
            resolver: Arc::clone(&shared.resolver),
            policy: Arc::clone(&shared.policy),
            // Compiling the target has read these certificates already.
            tls: tls::config(Some(roots)).ok(),
        }));
        custom.insert(roots.clone(), Used { profile: Arc::clone(&profile), last: now });
        profile
    }

    async fn attempt(&self, target: &Target, notification: &Arc<Notification>) -> Outcome {
        let vendor = vendor::of(target.kind);
        let started = Instant::now();
        match vendor.render(target, notification, Timestamp::now()) {
            Rendered::Inbox => {
                self.log(target, notification);
                Outcome::accepted(started.elapsed())
            }
            Rendered::Http { headers, bodies, spread } => {
                let sending = Sending { target, vendor, headers: all(target, headers), started };
                let endpoints = match spread {
                    Spread::First => &target.endpoints[..target.endpoints.len().min(1)],
                    Spread::Every => &target.endpoints,
                };
                let profile = self.profile(target);
                if let [only] = endpoints {
                    return sending.deliver(&profile, only, &bodies).await;
                }
                let each = endpoints.iter().map(|to| sending.deliver(&profile, to, &bodies));
                best(join_all(each).await, started)
            }
        }
    }

    fn log(&self, target: &Target, notification: &Arc<Notification>) {
        info!(
            to = %target.key,
            status = notification.status.as_str(),
            alerts = notification.members.len(),
            group = %notification.group_key,
            "{}", text::headline(notification),
        );
        self.0.inbox.push(InboxEntry {
            target: target.key.clone(),
            at: Timestamp::now(),
            notification: Arc::clone(notification),
        });
    }
}

impl Transport for Client {
    async fn send(&self, target: &Arc<Target>, notification: &Arc<Notification>) -> Attempt {
        let timed = self.0.metrics.begin(target.kind);
        let outcome = self.attempt(target, notification).await;
        let attempt = outcome.into_attempt();
        timed.end(attempt.result.as_ref().err().map(|failure| failure.error_type), attempt.latency);
        attempt
    }
}

// === impl Sending ===

impl Sending<'_> {
    /// Sends every body to one endpoint, in order. A refused body does not stop the others.
    async fn deliver(&self, profile: &Profile, to: &Endpoint, bodies: &[Bytes]) -> Outcome {
        let mut refused = None;
        let mut last = None;
        for body in bodies {
            let outcome = self.post(profile, to, body.clone()).await;
            match &outcome.verdict.result {
                Ok(()) => last = Some(outcome),
                Err(failure) if failure.class == Class::Rejected => refused = Some(outcome),
                Err(_) => return outcome,
            }
        }
        refused.or(last).unwrap_or_else(|| Outcome::accepted(self.started.elapsed()))
    }

    async fn post(&self, profile: &Profile, to: &Endpoint, body: Bytes) -> Outcome {
        let call = Call {
            method: match self.target.method {
                HttpMethod::Post => Method::POST,
                HttpMethod::Put => Method::PUT,
            },
            uri: to.uri().clone(),
            headers: self.headers.clone(),
            body,
            reads_success: self.vendor.reads_success(),
        };
        let deadline = self.started + self.target.timeout;
        match profile.exchange(&call, deadline).await {
            Ok(received) => Outcome {
                verdict: self.vendor.judge(&Answer {
                    host: to.host(),
                    status: received.status,
                    headers: &received.headers,
                    body: &received.body,
                    now: Timestamp::now(),
                }),
                status: Some(received.status.as_u16()),
                latency: received.at - self.started,
            },
            Err(failed) => Outcome {
                verdict: failed.verdict(to.host()),
                status: None,
                latency: self.started.elapsed(),
            },
        }
    }
}

/// The vendor's headers, the target's, and our name unless the target has another.
pub(super) fn all(target: &Target, mut headers: HeaderMap) -> HeaderMap {
    for (name, value) in &target.headers {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    headers.entry(USER_AGENT).or_insert(AGENT);
    headers
}

/// One endpoint that accepts is success; otherwise what can still be mended speaks for all.
fn best(outcomes: Vec<Outcome>, started: Instant) -> Outcome {
    let told = |outcome: &Outcome| matches!(&outcome.verdict.result, Err(failure) if failure.told == Told::Maybe);
    let told = outcomes.iter().any(told);
    let rank = |outcome: &Outcome| match &outcome.verdict.result {
        Ok(()) => 0,
        // What a far end did says more than what our side lacks.
        Err(failure) if !matches!(failure.class, Class::Rejected | Class::Gone) => {
            1 + u8::from(failure.local)
        }
        Err(_) => 3,
    };
    let Some(mut best) = outcomes.into_iter().min_by_key(rank) else {
        return Outcome::accepted(started.elapsed());
    };
    if let (true, Err(failure)) = (told, &mut best.verdict.result) {
        failure.told = Told::Maybe;
    }
    best
}

// === impl Outcome ===

impl Outcome {
    fn accepted(latency: Duration) -> Self {
        Self { verdict: Verdict::accepted(), status: None, latency }
    }

    /// What the engine is told.
    pub(super) fn into_attempt(self) -> Attempt {
        let sample = self.sample(SampleSource::Delivery);
        let Self { verdict, status, latency } = self;
        Attempt { result: verdict.result, status_code: status, latency, sample }
    }

    /// What it says about the target's health.
    pub(super) fn sample(&self, source: SampleSource) -> Option<Sample> {
        let verdict = match (self.verdict.evidence, &self.verdict.result) {
            (Evidence::None, _) => return None,
            (Evidence::Ill(depth), Err(failure)) => Err(self.failure(failure, depth)),
            (Evidence::Well(depth) | Evidence::Ill(depth), _) => Ok(depth),
        };
        Some(Sample { verdict, latency: self.latency, source })
    }

    fn failure(&self, failure: &Failure, depth: Depth) -> SampleFailure {
        SampleFailure {
            reason: failure.reason,
            depth,
            local: failure.local,
            http_status: self.status,
            message: failure.message.clone(),
        }
    }
}
