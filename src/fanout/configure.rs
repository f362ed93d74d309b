//! Taking over a new picture of the configuration.

use std::{collections::BTreeSet, sync::Arc};

use tracing::{debug, info};

use super::{
    desk::{Desk, Shared},
    policy::{recipients, uid},
};
use crate::{
    api::{CircuitState, TargetKey},
    clock::Moment,
    delivery::Transport,
    registry::{Snapshot, TargetEntry},
    store::{DeadReason, Op},
};

/// How targets changed from one picture to the next.
#[derive(Debug, Default)]
struct Turns {
    /// Another endpoint or other credentials: what failed is worth a try at once.
    renewed: BTreeSet<TargetKey>,
    /// No longer suspended, or usable again.
    resumed: Vec<TargetKey>,
}

// === impl Shared ===

impl<T: Transport> Shared<T> {
    /// Takes over the registry's present picture. One that is not complete says nothing: what is
    /// missing in it may exist.
    pub(super) fn configure(&self) {
        let snapshot = self.courier.snapshot();
        if !snapshot.complete {
            return;
        }
        let now = Moment::now();
        let mut desk = self.desk();
        let Desk { plan, snapshot: before, limits, .. } = &mut *desk;
        *plan = Arc::new(recipients(plan, (before, &snapshot), limits));
        let plan = plan.clone();
        let turns = Turns::between(&desk.snapshot, &snapshot);
        let owed = desk.state.reconfigure(plan, now);
        // Asks what waits on disk, so before any of it is dropped.
        self.note_ended(&mut desk);
        self.drop_orphans(&snapshot);
        debug!(generation = snapshot.generation, owed = owed.len(), "Routes taken over");
        // Before anything can be seen: a lane compares.
        desk.snapshot = snapshot;
        let Snapshot { targets, .. } = &*desk.snapshot.clone();
        desk.trials.retain(|key, _| targets.contains_key(key));
        desk.digests.retain(|key, _| targets.contains_key(key));
        desk.resumed.retain(|key, _| targets.contains_key(key));
        for key in &turns.resumed {
            desk.resumed.insert(key.clone(), now.wall);
        }
        let renewed = desk.state.recovered(&turns.renewed);
        self.submit(&mut desk, true);
        self.release(&mut desk, owed);
        self.follow_circuits(&mut desk);
        self.count_held(&mut desk);
        self.ask_for_secrets(&desk);
        drop(desk);
        self.listed.cancel();
        for key in renewed.iter().chain(&turns.resumed) {
            self.lanes.wake(key);
        }
        for (key, _) in self.backlog().targets() {
            self.lanes.wake(&key);
        }
        for key in &turns.renewed {
            self.lanes.stir(key);
        }
    }

    /// Targets that are owed something and wait for a Secret come first.
    fn ask_for_secrets(&self, desk: &Desk) {
        let owed = desk.state.owed().into_iter().map(|(key, _)| key);
        let queued = self.backlog().targets().into_iter().map(|(key, _)| key);
        for key in owed.chain(queued) {
            if let Some(TargetEntry::Rejected(rejected)) = desk.snapshot.targets.get(&key)
                && rejected.is_unread()
            {
                self.courier.refresh(&key);
            }
        }
    }

    /// What waits for targets that are gone, or were made anew, is given up.
    fn drop_orphans(&self, snapshot: &Snapshot) {
        let mut ops = Vec::new();
        for (target, of) in self.backlog().targets() {
            let exists = snapshot.targets.get(&target).is_some_and(|entry| **uid(entry) == *of);
            if !exists {
                info!(to = %target, "What waits for a target that is gone goes to the dead letters");
                self.backlog().forget(&target);
                let reason = DeadReason::TargetDeleted;
                ops.push(Op::DropQueue { target, uid: of, reason });
            }
        }
        if !ops.is_empty() {
            self.backlog().submit(ops, true);
        }
    }

    /// Tells the state which circuits are open, as far as a fallback depends on them.
    pub(super) fn follow_circuits(&self, desk: &mut Desk) {
        let watched: Vec<TargetKey> = desk.state.watched().cloned().collect();
        let (snapshot, now) = (desk.snapshot.clone(), Moment::now());
        for key in watched {
            let Some(target) = snapshot.target(&key) else { continue };
            let open = target.live.circuit() == CircuitState::Open;
            let owed = desk.state.circuit(&key, open, now);
            self.release(desk, owed);
        }
    }

    /// Targets are well again, or their circuit turned.
    pub(super) fn recover(&self, keys: &BTreeSet<TargetKey>) {
        let mut desk = self.desk();
        let closed = |key: &&TargetKey| {
            let target = desk.snapshot.target(key);
            target.is_some_and(|it| it.live.circuit() == CircuitState::Closed)
        };
        let well: BTreeSet<TargetKey> = keys.iter().filter(closed).cloned().collect();
        self.follow_circuits(&mut desk);
        let work = desk.state.recovered(&well);
        for key in &well {
            desk.trials.remove(key);
        }
        drop(desk);
        if !work.is_empty() {
            info!(targets = work.len(), "Targets are back: trying what they are owed");
        }
        for key in &work {
            self.lanes.wake(key);
        }
        for key in keys {
            self.lanes.stir(key);
        }
        self.touch();
    }
}

// === impl Turns ===

impl Turns {
    fn between(before: &Snapshot, after: &Snapshot) -> Self {
        let mut turns = Self::default();
        for change in after.targets.changes_since(&before.targets, TargetEntry::is) {
            let key = change.key;
            let Some(TargetEntry::Accepted(new)) = change.after else { continue };
            let Some(old) = change.before else { continue };
            match old {
                TargetEntry::Accepted(old) => {
                    if old.suspended() && !new.suspended() {
                        turns.resumed.push(key.clone());
                    }
                    if old.uid == new.uid && !Arc::ptr_eq(&old.live, &new.live) {
                        turns.renewed.insert(key.clone());
                    }
                }
                TargetEntry::Rejected(old) if old.uid == new.uid && !new.suspended() => {
                    turns.resumed.push(key.clone());
                    turns.renewed.insert(key.clone());
                }
                TargetEntry::Rejected(_) => {}
            }
        }
        turns
    }
}
