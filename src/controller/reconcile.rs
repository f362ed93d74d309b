//! The loop around [`Compiler`]: changes and Secrets in, snapshots out.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{
    compiler::Compiler,
    event::Events,
    ledger::Ledger,
    metrics::Metrics,
    source::{Change, Kind, SecretSource},
};
use crate::{
    api::TargetKey,
    registry::{Changes, Moment, Publisher, Registry, Snapshot},
    routing::RouteSettings,
};

/// Changes that wait to be taken in.
pub const WAITING_CHANGES: usize = 1_024;
/// Requests to read a target's Secrets again that wait to be taken in.
const WAITING_REQUESTS: usize = 1_024;
/// Changes taken in before anything else is looked at.
const BATCH: usize = 256;

/// Asks for a fresh look at a target's Secrets: after a 401, 403, 404 or 410. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SecretRefresh(mpsc::Sender<TargetKey>);

/// What the loop is set to.
#[derive(Clone, Debug)]
pub struct ReconcileSettings {
    /// What compiling a route depends on.
    pub routes: RouteSettings,
    /// Namespaces that are listed one by one; empty if all are listed at once.
    pub namespaces: Vec<Arc<str>>,
}

/// Takes in changes and publishes snapshots: the registry's one writer.
#[derive(Debug)]
pub struct Reconciler<S> {
    compiler: Compiler,
    source: Arc<S>,
    refresh: mpsc::Receiver<TargetKey>,
    needs_namespaces: watch::Sender<bool>,
    events: Option<Events>,
    metrics: Metrics,
}

/// What the loop hands out.
#[derive(Clone, Debug)]
pub struct Handles {
    /// The configuration. Its `complete` says that both first lists are in.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// Asks for a fresh look at a target's Secrets.
    pub refresh: SecretRefresh,
    /// Whether some target selects namespaces by label.
    pub needs_namespaces: watch::Receiver<bool>,
}

// === impl SecretRefresh ===

impl SecretRefresh {
    /// Asks for a fresh look at the Secrets of `target`. Never waits; a storm of requests is
    /// thinned out, and one that finds the queue full is covered by the regular look within a minute.
    pub fn refresh(&self, target: &TargetKey) {
        let _ = self.0.try_send(target.clone());
    }
}

// === impl Reconciler ===

impl<S: SecretSource> Reconciler<S> {
    /// A loop that reads Secrets from `source`. Targets whose status changes without a new snapshot
    /// are marked in `changes`.
    #[must_use]
    pub fn new(
        settings: ReconcileSettings,
        source: Arc<S>,
        changes: Arc<Changes>,
        metrics: Metrics,
    ) -> (Self, Handles) {
        Self::with_ledger(settings, source, changes, (Ledger::default(), metrics))
    }

    pub(super) fn with_ledger(
        settings: ReconcileSettings,
        source: Arc<S>,
        changes: Arc<Changes>,
        (ledger, metrics): (Ledger, Metrics),
    ) -> (Self, Handles) {
        let publisher = Publisher::new(Registry::new(changes));
        let snapshots = publisher.subscribe();
        let (sender, refresh) = mpsc::channel(WAITING_REQUESTS);
        let (needs_namespaces, needed) = watch::channel(false);
        let ReconcileSettings { routes, namespaces } = settings;
        let now = Instant::now();
        let compiler = Compiler::new(publisher, routes, namespaces, (ledger, metrics.clone()), now);
        let handles =
            Handles { snapshots, refresh: SecretRefresh(sender), needs_namespaces: needed };
        (Self { compiler, source, refresh, needs_namespaces, events: None, metrics }, handles)
    }

    pub(super) fn tell_events(&mut self, events: Events) {
        self.events = Some(events);
    }

    /// Works until `token` is cancelled or `changes` ends.
    pub async fn run(mut self, mut changes: mpsc::Receiver<Change>, token: CancellationToken) {
        let mut reads = JoinSet::new();
        let mut batch = Vec::with_capacity(BATCH);
        let mut publish_at: Option<Instant> = None;
        loop {
            let reads_at = self.begin_reads(&mut reads);
            let wakes = [reads_at, publish_at, self.compiler.next_deadline()];
            let wake = wakes.into_iter().flatten().min();
            tokio::select! {
                () = token.cancelled() => return,
                count = changes.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    let now = moment();
                    batch.drain(..).for_each(|change| self.take(change, now));
                }
                Some(target) = self.refresh.recv() => self.compiler.refresh(&target, Instant::now()),
                Some(read) = reads.join_next() => match read {
                    Ok((id, result)) => {
                        self.compiler.known_as(self.source.account());
                        self.compiler.arrived(&id, result, moment(), fastrand::f64());
                    }
                    Err(error) => error!(error = %error, "Reading a Secret ended abnormally"),
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            let now = moment();
            self.compiler.overdue(now);
            let at = *publish_at.get_or_insert(now.mono + Publisher::COALESCE);
            if at <= now.mono {
                publish_at = None;
                self.publish();
            }
        }
    }

    fn take(&mut self, change: Change, now: Moment) {
        let kind = match &change {
            Change::Target(_) => Some(Kind::PublishTarget),
            Change::Route(_) => Some(Kind::AlertRoute),
            Change::Namespace(_) => None,
        };
        let started = Instant::now();
        self.compiler.take(change, now);
        if let Some(kind) = kind {
            self.metrics.taken_in(kind, started.elapsed());
        }
    }

    fn begin_reads(
        &mut self,
        reads: &mut JoinSet<(super::MaterialId, Result<super::Material, super::ReadError>)>,
    ) -> Option<Instant> {
        loop {
            match self.compiler.next_read(Instant::now()) {
                Ok(id) => {
                    let read = self.source.read(&id);
                    reads.spawn(async move { (id, read.await) });
                }
                Err(later) => return later,
            }
        }
    }

    fn publish(&mut self) {
        let notes = self.compiler.publish();
        if let Some(events) = &self.events {
            for (key, note) in notes {
                events.tell(&key, note);
            }
        }
        let needed = self.compiler.needs_namespaces();
        self.needs_namespaces.send_if_modified(|shown| std::mem::replace(shown, needed) != needed);
    }
}

fn moment() -> Moment {
    Moment { mono: Instant::now(), wall: Timestamp::now() }
}
