//! What the store gives up on its own, and who hears of it.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

use super::{DeadLetter, DeadReason};
use crate::api::TargetKey;

/// Records of one target's queue that the store gave up on its own in one commit, for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buried {
    /// The target.
    pub target: TargetKey,
    /// Why they are among the dead letters; `None`: they can't be read, and were set aside instead.
    pub reason: Option<DeadReason>,
    /// How many.
    pub count: u64,
    /// Name of the last one's alert; empty if it has none or can't be read.
    pub alert: String,
}

/// The same, gathered while a commit is made: as many entries as there are targets and reasons.
#[derive(Debug, Default)]
pub(super) struct Gathered(BTreeMap<(TargetKey, Option<DeadReason>), (u64, String)>);

type Call = dyn Fn(Buried) + Send + Sync;

/// Called for what the store gave up on its own.
#[derive(Default)]
pub(super) struct OnBuried(OnceLock<Box<Call>>);

// === impl Gathered ===

impl Gathered {
    pub(super) fn letter(&mut self, letter: &DeadLetter) {
        let name = letter.notification.alert_name();
        self.add(&letter.target, Some(letter.reason), name);
    }

    pub(super) fn set_aside(&mut self, target: &TargetKey) {
        self.add(target, None, "");
    }

    fn add(&mut self, target: &TargetKey, reason: Option<DeadReason>, name: &str) {
        let (count, alert) = self.0.entry((target.clone(), reason)).or_default();
        *count += 1;
        name.clone_into(alert);
    }
}

// === impl OnBuried ===

impl OnBuried {
    pub(super) fn set(&self, call: Box<Call>) {
        let _ = self.0.set(call);
    }

    pub(super) fn tell(&self, Gathered(gathered): Gathered) {
        let Some(call) = self.0.get() else { return };
        for ((target, reason), (count, alert)) in gathered {
            call(Buried { target, reason, count, alert });
        }
    }
}

impl fmt::Debug for OnBuried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnBuried")
    }
}
