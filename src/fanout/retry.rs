//! `options.retry`: what a publish could not send is queued on disk, and tried until it is delivered
//! or given up.

use jiff::Timestamp;
use tracing::warn;

use super::{courier::Courier, notice::Notice, run::Open};
use crate::{
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
    for Open { at, target, behind } in open {
        let entry = &mut result.results[*at];
        let retry = &target.policy.retry;
        let given_up = retry.max_attempts.is_some_and(|most| entry.attempts >= most);
        if given_up || !(options.retry || *behind) {
            continue;
        }
        let notification = notice.to(target);
        if let Err(full) = courier.backlog().store().room(RECORD + notice.bytes()) {
            warn!(to = %target.key, error = %full, "A publish could not be queued");
            add(entry, &format!("it was not queued: {full}"));
            continue;
        }
        entry.queued = true;
        add(entry, "it is queued and sent when the target takes it");
        ops.push(Op::Fact(Fact::Enqueue(Queued {
            target: target.key.clone(),
            uid: target.uid.clone(),
            origin: Origin::Publish,
            notification,
            accepted_at: now,
            attempts: entry.attempts,
            limit: target.policy.queue,
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
