//! Writes status: only the Lease holder, only what changed, never over something newer.
//!
//! Every write is a server-side apply that carries the resourceVersion last seen; if somebody was
//! faster it is projected again from what the watch shows then. The budget is shared by all
//! objects. A target's first status waits for its first verdict, two seconds at most, and a route's for
//! its targets, one second.
//!
//! An object that was stored under a looser schema and lacks a field or has one of a wrong type can't
//! be given a status at all: the API server refuses apply (500, 422) and patch (422) alike. An event
//! tells about it instead.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::{
    task::JoinError,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    bucket::Bucket,
    election::Leadership,
    event::Events,
    ledger::{Ledger, ObjectKey, Seen, Status},
    metrics::{Metrics, Written},
    projection::{self, differing},
    queue::Queue,
    source::{Kind, Object, Watched},
    transition::{Note, transitions},
    under_way::UnderWay,
    unread::Unread,
};
use crate::{
    api::{AlertRouteSpec, GROUP, PublishTargetSpec, VERSION},
    registry::{About, Changes, Follower, Moment, Notice, Snapshot},
};

/// Owns what is written.
const FIELD_MANAGER: &str = "fanfare-status";
/// Writes per second, and at once.
const BUDGET: (f64, f64) = (200.0, 1_000.0);
/// Writes under way at the same time.
const MAX_WRITES: usize = 16;
/// How long one write may take.
const TIMEOUT: Duration = Duration::from_secs(8);
/// A write is not begun when the Lease is ours for less than this.
const LEAST_LEASE: Duration = Duration::from_millis(500);
/// Shortest and longest pause after somebody else was faster.
const CONFLICT_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The same after the API server refused a status.
const REFUSED_PAUSES: (Duration, Duration) = (Duration::from_secs(15), Duration::from_mins(10));
/// The same after any other failure.
const FAILED_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What the writer is connected to.
pub(super) struct Wiring {
    pub(super) client: Client,
    pub(super) ledger: Ledger,
    pub(super) snapshots: Follower,
    pub(super) changes: Arc<Changes>,
    pub(super) leadership: Leadership,
    pub(super) events: Events,
    pub(super) metrics: Metrics,
}

/// Writes status.
pub(super) struct Writer {
    wiring: Wiring,
    last: Arc<Snapshot>,
    queue: Queue,
    bucket: Bucket,
    writes: UnderWay<Finished>,
    leading: bool,
    /// The last write that was not refused or in conflict failed.
    failing: bool,
}

struct Finished {
    before: Arc<Status>,
    after: Status,
    result: Result<(), Failure>,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the object changed meanwhile")]
    Conflict,
    #[error("the object is gone")]
    Gone,
    #[error("the API server refuses the status: {0}")]
    Refused(kube::Error),
    #[error("the API server did not answer in time")]
    Timeout,
    #[error(transparent)]
    Api(kube::Error),
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(wiring: Wiring) -> Self {
        Self {
            wiring,
            last: Arc::default(),
            queue: Queue::default(),
            bucket: Bucket::new(BUDGET.0, BUDGET.1, Instant::now()),
            writes: UnderWay::new(),
            leading: false,
            failing: false,
        }
    }

    /// Writes until `token` is cancelled.
    pub(super) async fn run(mut self, token: CancellationToken) {
        loop {
            let now = Instant::now();
            let wake = self.pump(now);
            let wiring = &mut self.wiring;
            tokio::select! {
                () = token.cancelled() => return,
                changed = wiring.snapshots.next() => {
                    let Ok(snapshot) = changed else { return };
                    let began = Instant::now();
                    self.take_snapshot(snapshot);
                    self.wiring.snapshots.took_since(began);
                }
                targets = wiring.changes.drain() => {
                    let routes = projection::routes_reaching(&self.last, &targets);
                    self.mark(targets.into_iter().map(ObjectKey::Target).chain(routes));
                }
                notices = wiring.changes.notices().drain(), if self.leading => self.pass_on(notices),
                keys = wiring.ledger.drain() => self.mark(keys),
                alive = wiring.leadership.changed() => {
                    if !alive {
                        return;
                    }
                }
                Some((key, finished)) = self.writes.next() => self.finish(&key, finished),
                () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
            }
        }
    }

    fn take_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        let keys = differing(&self.last, &snapshot);
        self.last = snapshot;
        self.mark(keys);
    }

    fn mark(&mut self, keys: impl IntoIterator<Item = ObjectKey>) {
        // Without the Lease nothing is kept: becoming leader looks at everything.
        if self.leading {
            let now = Instant::now();
            for key in keys {
                self.queue.mark(&key, now);
            }
        }
    }

    /// Begins what may begin. Answers when to look again.
    fn pump(&mut self, now: Instant) -> Option<Instant> {
        let until = self.wiring.leadership.until(now);
        if self.leading != until.is_some() {
            self.leading = until.is_some();
            self.queue.clear();
            let everything: BTreeSet<_> = projection::keys(&self.last).collect();
            self.mark(everything);
        }
        let until = until?;
        while self.writes.len() < MAX_WRITES {
            if until.saturating_duration_since(now) < LEAST_LEASE {
                // Renewal or loss of the Lease wakes the loop.
                return None;
            }
            let Some(key) = self.queue.pop(now) else { return self.queue.next_due() };
            if let Some((seen, status)) = self.changed(&key, now) {
                if let Err(wait) = self.bucket.take(now) {
                    self.queue.mark(&key, now);
                    return Some(now + wait);
                }
                self.queue.begin(&key);
                let limit = TIMEOUT.min(until.saturating_duration_since(now));
                let client = self.wiring.client.clone();
                let ledger = self.wiring.ledger.clone();
                let write = write(client, ledger, (key.clone(), seen, status), now + limit);
                self.writes.begin(key, write);
            }
        }
        None
    }

    /// The object's new status, if it differs from what the API server holds.
    fn changed(&mut self, key: &ObjectKey, now: Instant) -> Option<(Seen, Status)> {
        let Some(seen) = self.wiring.ledger.get(key) else {
            self.queue.done(key);
            return None;
        };
        if self.wiring.ledger.any_unsettled(projection::depends_on(&self.last, key)) {
            // A verdict marks the object again.
            self.queue.done(key);
            return None;
        }
        let moment = Moment { mono: now, wall: Timestamp::now() };
        let projected = projection::project(&self.last, key, &seen, moment)?;
        let deadline = seen.first + projected.patience;
        if seen.status.observed_generation().is_none() && now < deadline {
            self.queue.mark(key, deadline);
            return None;
        }
        if projected.status == *seen.status {
            self.wiring.metrics.status_write(key.kind(), Written::Unchanged);
            self.queue.done(key);
            return None;
        }
        Some((seen, projected.status))
    }

    fn finish(&mut self, key: &ObjectKey, finished: Result<Finished, JoinError>) {
        let now = Instant::now();
        let metrics = &self.wiring.metrics;
        let Finished { before, after, result } = match finished {
            Ok(finished) => finished,
            Err(error) => {
                error!(object = %key, error = %error, "Writing the status failed within");
                metrics.status_write(key.kind(), Written::Error);
                self.queue.failed(key, FAILED_PAUSES, now);
                return;
            }
        };
        match result {
            Ok(()) => {
                metrics.status_write(key.kind(), Written::Done);
                self.queue.done(key);
                if std::mem::take(&mut self.failing) {
                    info!("Status writes work again");
                }
                self.tell(key, &before, &after);
            }
            Err(Failure::Gone) => self.queue.done(key),
            Err(Failure::Conflict) => {
                metrics.status_write(key.kind(), Written::Conflict);
                self.queue.failed(key, CONFLICT_PAUSES, now);
            }
            Err(Failure::Refused(error)) => {
                metrics.status_write(key.kind(), Written::Error);
                if self.queue.failed(key, REFUSED_PAUSES, now) {
                    warn!(object = %key, error = %error, "API server refuses the status");
                    self.tell(key, &before, &after);
                }
            }
            Err(error) => {
                metrics.status_write(key.kind(), Written::Error);
                self.queue.failed(key, FAILED_PAUSES, now);
                if std::mem::replace(&mut self.failing, true) {
                    debug!(object = %key, error = %error, "Status not written");
                } else {
                    warn!(object = %key, error = %error, "Status not written, retrying");
                }
            }
        }
    }

    /// Has notices told as events. Without the Lease they wait for it.
    fn pass_on(&self, notices: Vec<Notice>) {
        for Notice { about, reason, message } in notices {
            let key = match about {
                About::Target(key) => ObjectKey::Target(key),
                About::Route(key) => ObjectKey::Route(key),
            };
            self.wiring.events.tell(&key, Note::warning(reason, &message));
        }
        self.wiring.metrics.events_lost(self.wiring.changes.notices().take_dropped());
    }

    fn tell(&self, key: &ObjectKey, before: &Status, after: &Status) {
        for note in transitions(before, after) {
            self.wiring.events.tell(key, note);
        }
    }
}

async fn write(
    client: Client,
    ledger: Ledger,
    (key, seen, after): (ObjectKey, Seen, Status),
    deadline: Instant,
) -> Finished {
    let apply = async {
        match key.kind() {
            Kind::PublishTarget => {
                let object = patch::<PublishTargetSpec>(client, &key, &seen, &after).await?;
                ledger.written(&object);
            }
            Kind::AlertRoute => {
                let object = patch::<AlertRouteSpec>(client, &key, &seen, &after).await?;
                ledger.written(&object);
            }
        }
        Ok::<(), kube::Error>(())
    };
    let result = match tokio::time::timeout_at(deadline, apply).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failure::from(error)),
        Err(_) => Err(Failure::Timeout),
    };
    Finished { before: seen.status, after, result }
}

async fn patch<S: Watched>(
    client: Client,
    key: &ObjectKey,
    seen: &Seen,
    status: &Status,
) -> kube::Result<Object<S>> {
    let api: Api<Unread<S>> = Api::namespaced(client, key.namespace());
    let body = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": S::KIND.as_str(),
        "metadata": {
            "name": key.name(),
            "namespace": key.namespace(),
            "resourceVersion": seen.resource_version,
        },
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    Ok(api.patch_status(key.name(), &params, &Patch::Apply(body)).await?.into())
}

// === impl Failure ===

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.is_conflict() => Self::Conflict,
            kube::Error::Api(status) if status.is_not_found() => Self::Gone,
            kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422 | 500) => {
                Self::Refused(error)
            }
            _ => Self::Api(error),
        }
    }
}
