//! Dead letters back to work.
//!
//! A dead letter whose alert is still owed to the target needs no copy: its present state is tried at
//! once. Anything else is queued as it was, with the same id. The dead letter goes in the commit that
//! puts something in its place.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{desk::Shared, router::Router};
use crate::{
    api::TargetKey,
    clock::Moment,
    delivery::Transport,
    dispatch::{Fact, Origin, Queued},
    publish::{BoxFuture, MAX_REPLAY, Replay, ReplayError, ReplayOutcome, Replayed, Waiting},
    registry::{Snapshot, TargetEntry},
    store::{DeadLetter, DeadLetterId, Op, Seq},
};

/// Dead letters in memory, and put back under one lock, at a time.
const PART: usize = 64;
/// Bytes that a replayed notification takes, roughly.
const RECORD: usize = 2_048;

// === impl Router ===

impl<T: Transport> Replay for Router<T> {
    fn replay(&self, ids: Vec<u64>) -> BoxFuture<'_, Result<Vec<Replayed>, ReplayError>> {
        Box::pin(async move { self.0.replay(&ids).await })
    }

    fn waiting(&self) -> Vec<(TargetKey, Waiting)> {
        self.0.waiting()
    }
}

// === impl Shared ===

impl<T: Transport> Shared<T> {
    async fn replay(&self, ids: &[u64]) -> Result<Vec<Replayed>, ReplayError> {
        if ids.len() > MAX_REPLAY {
            return Err(ReplayError::TooMany);
        }
        if self.stopping.is_cancelled() {
            return Err(ReplayError::ShuttingDown);
        }
        if !self.snapshot().complete {
            return Err(ReplayError::NotReady);
        }
        let store = self.backlog().store().clone();
        if store.room(0).is_err() {
            store.look_again().await;
        }
        store.room(ids.len() * RECORD).map_err(|_| ReplayError::Full)?;
        // One at a time, or the same dead letter could be taken twice.
        let _one = self.replaying.lock().await;
        let (mut outcomes, mut written) = (HashMap::new(), Seq::default());
        let mut wanted: Vec<_> = ids.iter().copied().map(DeadLetterId).collect();
        wanted.sort_unstable();
        wanted.dedup();
        for part in wanted.chunks(PART) {
            let (part, reader) = (part.to_vec(), store.clone());
            let reading = tokio::task::spawn_blocking(move || reader.dead_letters_by_id(&part));
            let Ok(Ok(found)) = reading.await else { return Err(ReplayError::StoreFailed) };
            let (part, seq) = self.put_back_to_work(found);
            outcomes.extend(part);
            written = written.max(seq);
        }
        store.durable(written).await.map_err(|_| ReplayError::StoreFailed)?;
        let outcome = |id| outcomes.get(&DeadLetterId(id)).copied();
        let replayed = ids.iter().map(|id| Replayed {
            id: *id,
            outcome: outcome(*id).unwrap_or(ReplayOutcome::NotFound),
        });
        Ok(replayed.collect())
    }

    fn put_back_to_work(
        &self,
        found: Vec<(DeadLetterId, DeadLetter)>,
    ) -> (Vec<(DeadLetterId, ReplayOutcome)>, Seq) {
        let now = Moment::now();
        let mut desk = self.desk();
        let snapshot = desk.snapshot.clone();
        let mut outcomes = Vec::with_capacity(found.len());
        let mut done = Vec::new();
        for (id, letter) in found {
            let owed = letter.route.as_ref().is_some_and(|route| {
                let labels = &letter.notification.group_labels;
                desk.state.try_again(&letter.target, route, labels, now)
            });
            let outcome = if owed {
                self.lanes.wake(&letter.target);
                ReplayOutcome::Owed
            } else if let Some(queued) = queued(&snapshot, letter, now.wall) {
                desk.outcomes.push(Op::Fact(Fact::Enqueue(queued)));
                ReplayOutcome::Queued
            } else {
                ReplayOutcome::UnknownTarget
            };
            if outcome != ReplayOutcome::UnknownTarget {
                done.push(id);
            }
            outcomes.push((id, outcome));
        }
        if !done.is_empty() {
            desk.outcomes.push(Op::DropDeadLetters(done));
        }
        let seq = self.submit(&mut desk, false);
        (outcomes, seq)
    }

    fn waiting(&self) -> Vec<(TargetKey, Waiting)> {
        let mut waiting: std::collections::BTreeMap<TargetKey, Waiting> =
            std::collections::BTreeMap::new();
        for (target, owed) in self.desk().state.owed() {
            let entry = waiting.entry(target).or_default();
            entry.owed = owed.total();
            entry.oldest = owed.oldest;
        }
        for (target, _, size) in self.backlog().store().queues() {
            let entry = waiting.entry(target).or_default();
            entry.queued += usize::try_from(size.records).unwrap_or(usize::MAX);
            entry.oldest = entry.oldest.into_iter().chain(size.oldest).min();
        }
        waiting.retain(|_, waiting| waiting.owed + waiting.queued > 0);
        waiting.into_iter().collect()
    }
}

/// The letter as a record of the queue of the target that has its name now; its age begins anew.
fn queued(snapshot: &Snapshot, letter: DeadLetter, now: Timestamp) -> Option<Queued> {
    let (uid, limit) = match snapshot.targets.get(&letter.target)? {
        TargetEntry::Accepted(target) => (target.uid.clone(), target.policy.queue),
        TargetEntry::Rejected(target) => {
            let known = target.policies.as_ref().map(|(policy, _)| policy.queue);
            (target.uid.clone(), known.unwrap_or_default())
        }
    };
    Some(Queued {
        target: letter.target,
        uid,
        origin: Origin::Replay(letter.route),
        notification: letter.notification,
        accepted_at: now,
        attempts: 0,
        limit,
    })
}
