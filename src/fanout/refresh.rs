//! Alertmanagers forget: an alert whose `endsAt` passes is over for them. What they were told is
//! posted again every five minutes, so that it lasts there as long as it lasts here.
//!
//! A refresh is no notification: it is told to nobody as news, counted as no delivery, and settles
//! nothing. It takes one of the target's places in flight like everything that is sent there.

use std::{collections::HashMap, sync::Arc, time::Duration};

use fastrand::Rng;
use futures::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{desk::Shared, router::Router};
use crate::{
    alert::{Labels, Member, Notification, NotificationReason, Status},
    api::{CircuitState, TargetKey, TargetType},
    delivery::Transport,
    registry::{Snapshot, Target, TargetEntry},
};

/// Time between two refreshes of one target. An alert told to an Alertmanager ends there an hour
/// after it was last posted, so that ten refreshes in a row may fail.
const EVERY: Duration = Duration::from_mins(5);
/// The pause is this much shorter at random, so that targets do not stay in step.
const JITTER: f64 = 0.2;
/// How often it is looked who is due.
const LOOK: Duration = Duration::from_secs(1);

/// Who is refreshed next, and when.
#[derive(Debug)]
struct Timetable {
    due: HashMap<TargetKey, Instant>,
    rng: Rng,
}

// === impl Timetable ===

impl Timetable {
    fn new(rng: Rng) -> Self {
        Self { due: HashMap::new(), rng }
    }

    /// The targets whose time has come; each is due again later. Targets that are gone are forgotten.
    fn take_due(&mut self, snapshot: &Snapshot, now: Instant) -> Vec<Arc<Target>> {
        let alertmanagers = snapshot.targets.values().filter_map(|entry| match entry {
            TargetEntry::Accepted(target) if target.kind == TargetType::Alertmanager => {
                Some(target)
            }
            _ => None,
        });
        let mut due = Vec::new();
        let mut kept = HashMap::new();
        for target in alertmanagers {
            let pause = EVERY.mul_f64(1.0 - JITTER * self.rng.f64());
            let at = match self.due.get(&target.key) {
                Some(at) if *at > now => *at,
                Some(_) => {
                    due.push(Arc::clone(target));
                    now + pause
                }
                None => now + pause,
            };
            kept.insert(target.key.clone(), at);
        }
        self.due = kept;
        due
    }
}

// === impl Router ===

impl<T: Transport> Router<T> {
    /// Refreshes Alertmanager targets until `stop` is cancelled.
    pub async fn refresh(&self, stop: CancellationToken) {
        let shared = &self.0;
        let mut timetable = Timetable::new(Rng::new());
        let mut open = FuturesUnordered::new();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(()) = open.next() => {}
                _ = look.tick() => {
                    let due = timetable.take_due(&shared.snapshot(), Instant::now());
                    open.extend(due.into_iter().map(|target| shared.remind(target)));
                }
            }
        }
    }
}

impl<T: Transport> Shared<T> {
    async fn remind(&self, target: Arc<Target>) {
        let now = Timestamp::now();
        let members = self.reminders(&target.key, now);
        if members.is_empty() {
            return;
        }
        let Ok(permit) = Arc::clone(target.live.limit()).acquire_owned().await else { return };
        if target.live.circuit() != CircuitState::Closed
            || target.live.paused_until(Instant::now()).is_some()
        {
            return;
        }
        let count = members.len();
        let notification = Arc::new(reminder(&target, members, now));
        match self.courier.remind(&target, &notification, permit).await {
            Ok(()) => {
                debug!(to = %target.key, alerts = count, "Refreshed what the target was told");
            }
            Err(failure) => warn!(
                to = %target.key,
                alerts = count,
                reason = failure.reason.as_str(),
                error = failure.message,
                "Refreshing what the target was told failed; it is tried again in 5 minutes"
            ),
        }
    }
}

fn reminder(target: &Target, members: Vec<Member>, at: Timestamp) -> Notification {
    let fires = members.iter().any(|member| member.status == Status::Firing);
    let key: Arc<str> = "refresh".into();
    Notification {
        id: Arc::clone(&key),
        group_key: Arc::clone(&key),
        incident_key: key,
        receiver: target.key.to_string().into(),
        status: if fires { Status::Firing } else { Status::Resolved },
        members,
        group_labels: Labels::empty(),
        reason: NotificationReason::Repeat,
        external_url: "".into(),
        at,
        fallback: false,
        digest: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{HealthState, Reason},
        registry::{Allowed, RejectedTarget},
    };

    #[test]
    fn only_accepted_alertmanagers_have_a_time() {
        let key = TargetKey::new("ns", "broken");
        let rejected = TargetEntry::Rejected(Arc::new(RejectedTarget {
            key: key.clone(),
            uid: "u".into(),
            generation: 1,
            kind: Some(TargetType::Alertmanager),
            labels: Arc::default(),
            reason: Reason::InvalidSpec,
            message: String::new(),
            allowed: Allowed::Same,
            policies: None,
            suspended: false,
            health: HealthState::Unknown,
            permanent: true,
        }));
        let targets = Arc::new([(key, rejected)].into_iter().collect());
        let snapshot = Snapshot { targets, ..Snapshot::default() };
        let mut timetable = Timetable::new(Rng::with_seed(1));
        assert!(timetable.take_due(&snapshot, Instant::now()).is_empty());
        assert!(timetable.due.is_empty());
    }
}
