//! Runs the election and hands out [`Leadership`].

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::PostParams};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::lease::{Candidate, Observed, RENEW_DEADLINE, RETRY_PERIOD, Step};

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// How long to wait after another candidate was faster.
const RACE_PAUSE: Duration = Duration::from_millis(100);
/// How long the release at shutdown may take.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether this process may write, and until when. Cheap to clone.
///
/// The deadline counts: a process that was stopped and continued still sees itself as holder in
/// the channel, but its deadline has passed on the monotonic clock.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Option<Instant>>);

/// Takes part in the election of one Lease.
#[derive(Debug)]
pub struct Election {
    api: Api<Lease>,
    candidate: Candidate,
    hold: watch::Sender<Option<Instant>>,
    gauge: Gauge,
    seen: Option<Observed>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the API server did not answer within {REQUEST_TIMEOUT:?}")]
    Timeout,
    #[error(transparent)]
    Api(#[from] kube::Error),
}

// === impl Leadership ===

impl Leadership {
    /// A handle, and the sender that decides what it says.
    #[must_use]
    pub fn channel() -> (watch::Sender<Option<Instant>>, Self) {
        let (sender, receiver) = watch::channel(None);
        (sender, Self(receiver))
    }

    /// The time until which this process may write, if that has not passed.
    #[must_use]
    pub fn until(&self, now: Instant) -> Option<Instant> {
        self.0.borrow().filter(|until| now < *until)
    }

    /// Waits for the next renewal, gain or loss. `false` once the election has ended.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

// === impl Election ===

impl Election {
    /// An election over `candidate`'s Lease. The client should be this election's own, without
    /// retries, so that a busy pool elsewhere can't delay a renewal.
    #[must_use]
    pub fn new(client: Client, candidate: Candidate, gauge: Gauge) -> (Self, Leadership) {
        let (hold, leadership) = Leadership::channel();
        let api = Api::namespaced(client, &candidate.namespace);
        (Self { api, candidate, hold, gauge, seen: None }, leadership)
    }

    /// Takes part until `token` is cancelled, then releases the Lease.
    pub async fn run(mut self, token: CancellationToken) {
        let mut failing = false;
        loop {
            let round = tokio::select! {
                () = token.cancelled() => break,
                round = self.round() => round,
            };
            let pause = match round {
                Ok(pause) => {
                    if failing {
                        info!(lease = %self.candidate.name, "Lease reachable again");
                    }
                    failing = false;
                    pause
                }
                Err(error) => {
                    if !failing {
                        warn!(lease = %self.candidate.name, error = %error, "Lease not reachable");
                    }
                    failing = true;
                    RETRY_PERIOD
                }
            };
            let pause = pause.mul_f64(1.0 + 0.1 * fastrand::f64());
            let expiry = self.hold.borrow().unwrap_or_else(|| Instant::now() + pause);
            tokio::select! {
                () = token.cancelled() => break,
                () = tokio::time::sleep_until((Instant::now() + pause).min(expiry)) => {}
            }
            self.expire();
        }
        self.set(None);
        self.release().await;
    }

    /// One look and, if it is our turn, one write.
    async fn round(&mut self) -> Result<Duration, Error> {
        let holding = self.hold.borrow().is_some();
        if !holding || self.seen.is_none() {
            let Some(lease) = bounded(self.api.get_opt(&self.candidate.name)).await? else {
                return self.create().await;
            };
            self.seen = Some(Observed::next(self.seen.take(), lease, Instant::now()));
        }
        let Some(seen) = &self.seen else { return Ok(RETRY_PERIOD) };
        let started = Instant::now();
        match self.candidate.decide(seen, started, Timestamp::now()) {
            Step::Wait(pause) => {
                self.set(None);
                Ok(pause)
            }
            Step::Replace(lease) => {
                let params = PostParams::default();
                match bounded(self.api.replace(&self.candidate.name, &params, &lease)).await {
                    Ok(lease) => {
                        self.won(lease, started);
                        Ok(RETRY_PERIOD)
                    }
                    Err(Error::Api(kube::Error::Api(status)))
                        if status.is_conflict() || status.is_not_found() =>
                    {
                        self.look_again();
                        Ok(RACE_PAUSE)
                    }
                    Err(error) => {
                        self.look_again();
                        Err(error)
                    }
                }
            }
        }
    }

    async fn create(&mut self) -> Result<Duration, Error> {
        let started = Instant::now();
        let first = self.candidate.first(Timestamp::now());
        match bounded(self.api.create(&PostParams::default(), &first)).await {
            Ok(created) => {
                self.won(created, started);
                Ok(RETRY_PERIOD)
            }
            Err(Error::Api(kube::Error::Api(status))) if status.is_already_exists() => {
                Ok(RACE_PAUSE)
            }
            Err(error) => Err(error),
        }
    }

    /// The record may have changed under us: the next round reads it first. Whatever we held goes
    /// on until its deadline.
    fn look_again(&mut self) {
        if self.hold.borrow().is_some() {
            self.seen = None;
        }
    }

    fn won(&mut self, lease: Lease, started: Instant) {
        self.seen = Some(Observed::next(self.seen.take(), lease, started));
        self.set(Some(started + RENEW_DEADLINE));
    }

    fn expire(&mut self) {
        let until = *self.hold.borrow();
        if until.is_some_and(|until| until <= Instant::now()) {
            self.set(None);
        }
    }

    fn set(&mut self, until: Option<Instant>) {
        let before = self.hold.send_replace(until);
        match (before.is_some(), until.is_some()) {
            (false, true) => info!(lease = %self.candidate.name, "Leading"),
            (true, false) => info!(lease = %self.candidate.name, "Leading no longer"),
            _ => {}
        }
        self.gauge.set(i64::from(until.is_some()));
    }

    async fn release(&mut self) {
        match tokio::time::timeout(RELEASE_TIMEOUT, self.give_up()).await {
            Ok(Ok(true)) => info!(lease = %self.candidate.name, "Lease released"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => warn!(error = %error, "Lease not released"),
            Err(_) => warn!("Lease not released: the API server did not answer"),
        }
    }

    /// Empties the record if it names us. The end may have cut off a write that the API server did
    /// all the same: what we saw last need not be what it holds.
    async fn give_up(&mut self) -> kube::Result<bool> {
        let (name, params) = (&self.candidate.name, PostParams::default());
        let mut looked = false;
        loop {
            if self.seen.is_none() {
                let Some(lease) = self.api.get_opt(name).await? else { return Ok(false) };
                self.seen = Some(Observed::next(None, lease, Instant::now()));
                looked = true;
            }
            let seen = self.seen.as_ref();
            let free = seen.and_then(|seen| self.candidate.released(seen, Timestamp::now()));
            let Some(free) = free else { return Ok(false) };
            match self.api.replace(name, &params, &free).await {
                Ok(_) => return Ok(true),
                Err(kube::Error::Api(status)) if status.is_conflict() && !looked => {
                    self.seen = None;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

async fn bounded<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Error::Timeout),
    }
}
