//! Targets: what they name is read first, then they are compiled.

use std::sync::Arc;

use tracing::info;

use super::{Compiler, PATIENCE, Shown, TargetObject, unreadable};
use crate::{
    api::{HealthState, NamespacesFrom, PublishTargetSpec, Reason, TargetKey},
    controller::{
        ledger::{ObjectKey, Status, older},
        material::wanted,
        metrics::Verdict,
        source::{Kind, Meta, Object},
        transition::Note,
    },
    delivery,
    registry::{Allowed, Moment, RejectedTarget, Restored},
};

impl Compiler {
    pub(super) fn apply_target(&mut self, object: Object<PublishTargetSpec>, now: Moment) {
        self.ledger.observe(&object, now.mono);
        let Object { key, meta, spec, status } = object;
        let known = self.targets.get_mut(&key).filter(|known| known.meta.uid == meta.uid);
        let (mut restore, mut shown, mut read) = (None, Shown::Nothing, true);
        if let Some(known) = known {
            if older(&meta.resource_version, &known.meta.resource_version) {
                return;
            }
            let same_spec = known.spec == spec;
            if same_spec && known.meta.same_but_version(&meta) {
                known.meta = meta;
                return;
            }
            read = !same_spec || known.meta.reconcile != meta.reconcile;
            (restore, shown) = (known.restore.take(), known.shown);
        } else if let Status::Target(status) = &*status {
            restore = Some(Box::new(Restored::from_status(status, meta.generation)));
        }
        if read {
            match &spec {
                Ok(spec) => self.materials.want(&key, wanted(&key.namespace, spec), now.mono),
                Err(_) => self.materials.forget(&key),
            }
        }
        let from = spec.as_ref().ok().map(|spec| spec.allowed_from());
        if from == Some(NamespacesFrom::Selector) {
            self.selecting.insert(key.clone());
        } else {
            self.selecting.remove(&key);
        }
        if shown == Shown::Nothing {
            self.unshown.insert(key.clone());
        }
        self.targets.insert(key.clone(), TargetObject { meta, spec, restore, shown });
        self.compile_target(&key, false, now);
    }

    pub(super) fn compile_target(&mut self, key: &TargetKey, rotated: bool, now: Moment) {
        let Some(object) = self.targets.get_mut(key) else { return };
        let TargetObject { meta, spec, restore, shown } = object;
        let compiled = match spec {
            Err(message) => Err(Box::new(RejectedTarget {
                key: key.clone(),
                uid: Arc::clone(&meta.uid),
                generation: meta.generation,
                kind: None,
                labels: Arc::clone(&meta.labels),
                reason: Reason::InvalidSpec,
                message: unreadable(Kind::PublishTarget, message),
                allowed: Allowed::Same,
                policies: None,
                suspended: false,
                health: HealthState::Unknown,
                permanent: true,
            })),
            Ok(spec) => {
                if !self.materials.settled(key) {
                    let in_use = matches!(shown, Shown::Accepted(_));
                    let until = self.waiting.until(key);
                    let overdue = until.is_some_and(|until| now.mono >= until);
                    if in_use || !overdue || !self.materials.attempted(key) {
                        if until.is_none() || overdue {
                            self.waiting.set(key, now.mono + PATIENCE);
                        }
                        return;
                    }
                }
                delivery::compile(
                    form(key, meta, spec),
                    &self.materials.lookup(&key.namespace),
                    now,
                )
                .map_err(|rejected| with_health(rejected, restore.as_deref()))
            }
        };
        self.ledger.settled(key);
        self.waiting.remove(key);
        self.unshown.remove(key);
        let verdict = match &compiled {
            Ok(target) => {
                if let Some(known) = restore.take() {
                    target.live.restore(*known, now.mono);
                }
                if rotated {
                    let note = Note::normal(
                        Reason::SecretRotated,
                        "a Secret changed; the new content is in use",
                    );
                    self.notes.push((ObjectKey::Target(key.clone()), note));
                    info!(to = %key, "Secret changed: the new content is in use");
                }
                Shown::Accepted(target.generation)
            }
            Err(rejected) => Shown::Rejected(rejected.generation, rejected.reason),
        };
        if verdict != std::mem::replace(shown, verdict) {
            let message = compiled.as_ref().err().map(|rejected| rejected.message.as_str());
            verdict.tell(&ObjectKey::Target(key.clone()), message);
        }
        self.metrics.reconciled(Kind::PublishTarget, verdict.verdict());
        self.publisher.registry().apply_target(compiled);
    }

    /// Shows the targets of the first list whose Secrets are still to be read: not usable yet, but what they
    /// are owed can be told from what nobody is owed. Their statuses wait for the real verdict.
    pub(super) fn show_unread(&mut self, now: Moment) {
        for key in &self.unshown {
            let Some(TargetObject { meta, spec: Ok(spec), restore, .. }) = self.targets.get(key)
            else {
                continue;
            };
            let materials = self.materials.lookup(&key.namespace);
            if let Err(pending) = delivery::compile(form(key, meta, spec), &materials, now) {
                self.ledger.unsettled(key);
                let pending = with_health(pending, restore.as_deref());
                self.publisher.registry().apply_target(Err(pending));
            }
        }
    }

    pub(super) fn delete_target(&mut self, key: &TargetKey) {
        self.ledger.gone(&ObjectKey::Target(key.clone()));
        if self.targets.remove(key).is_none() {
            return;
        }
        self.waiting.remove(key);
        self.unshown.remove(key);
        self.selecting.remove(key);
        self.materials.forget(key);
        self.publisher.registry().remove_target(key);
        self.metrics.reconciled(Kind::PublishTarget, Verdict::Deleted);
        info!(to = %key, "Target deleted");
    }
}

/// A target that can't be used yet, with what its status showed of its health.
fn with_health(mut rejected: Box<RejectedTarget>, known: Option<&Restored>) -> Box<RejectedTarget> {
    rejected.health = known.map_or(HealthState::Unknown, Restored::health);
    rejected
}

fn form(key: &TargetKey, meta: &Meta, spec: &Arc<PublishTargetSpec>) -> delivery::Object {
    delivery::Object {
        key: key.clone(),
        uid: Arc::clone(&meta.uid),
        generation: meta.generation,
        labels: Arc::clone(&meta.labels),
        spec: Arc::clone(spec),
    }
}
