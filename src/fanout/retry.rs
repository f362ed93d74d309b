//! `options.retry`: what a publish could not send is queued on disk, and tried until it is delivered
//! or given up.

use std::sync::Arc;

use jiff::Timestamp;
use tracing::warn;

use super::{
    courier::Courier,
    notice::Notice,
    policy::uid,
    run::{Addressee, Open},
};
use crate::{
    alert::Notification,
    api::{DeliveryPolicy, TargetKey},
    dispatch::{Fact, Origin, Queued},
    publish::{Options, PublishResult, TargetResult},
    store::Op,
};

/// Roughly what a record takes beside the texts of its alert.
const RECORD: usize = 512;

/// Queues what may be sent later and says so in the results. A publish that stands behind an earlier
/// one is queued even if nobody asked for retries: sent at once, it would overtake.
pub(super) fn queue<T>(
    courier: &Courier<T>,
    (result, open): (&mut PublishResult, &[Open]),
    (notice, options): (&Notice, &Options),
) -> Vec<Op> {
    let now = Timestamp::now();
    let mut ops = Vec::new();
    if open.is_empty() {
        return ops;
    }
    let snapshot = courier.snapshot();
    for Open { at, to, behind } in open {
        let entry = &mut result.results[*at];
        let policy = to.policy();
        let given_up = policy.retry.max_attempts.is_some_and(|most| entry.attempts >= most);
        if given_up || !(options.retry || *behind) {
            continue;
        }
        let exists = |entry| uid(entry) == to.uid();
        if !snapshot.targets.get(to.key()).is_some_and(exists) {
            add(entry, "it was not queued: the target was deleted or made anew meanwhile");
            continue;
        }
        if let Err(full) = courier.backlog().store().room(RECORD + notice.bytes()) {
            warn!(to = %to.key(), error = %full, "A publish could not be queued");
            add(entry, &format!("it was not queued: {full}"));
            continue;
        }
        entry.queued = true;
        add(entry, "it is queued and sent when the target takes it");
        if let Addressee::Unread(target) = to {
            courier.refresh(&target.key);
        }
        ops.push(Op::Fact(Fact::Enqueue(Queued {
            target: to.key().clone(),
            uid: to.uid().clone(),
            origin: Origin::Publish,
            notification: to.notification(notice),
            accepted_at: now,
            attempts: entry.attempts,
            limit: policy.queue,
        })));
    }
    ops
}

fn add(entry: &mut TargetResult, what: &str) {
    entry.error = Some(match entry.error.take() {
        Some(error) => format!("{error}; {what}"),
        None => what.to_owned(),
    });
}

// === impl Addressee ===

impl Addressee {
    fn key(&self) -> &TargetKey {
        match self {
            Self::Usable(target) => &target.key,
            Self::Unread(target) => &target.key,
        }
    }

    fn uid(&self) -> &Arc<str> {
        match self {
            Self::Usable(target) => &target.uid,
            Self::Unread(target) => &target.uid,
        }
    }

    fn policy(&self) -> DeliveryPolicy {
        match self {
            Self::Usable(target) => target.policy.clone(),
            Self::Unread(target) => {
                target.policies.as_ref().map(|(policy, _)| policy.clone()).unwrap_or_default()
            }
        }
    }

    fn notification(&self, notice: &Notice) -> Arc<Notification> {
        match self {
            Self::Usable(target) => notice.to(target),
            Self::Unread(target) => notice.addressed(&target.uid, target.key.to_string().into()),
        }
    }
}
