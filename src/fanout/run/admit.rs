//! What keeps a publish from a target at the moment when it would be sent: an earlier one of the same
//! labels, a pause, an open circuit, the target's own rate.

use std::sync::Arc;

use tokio::{sync::SemaphorePermit, time::Instant};

use super::{Addressee, Open, Progress, Run};
use crate::{
    clock::Moment,
    delivery::Transport,
    fanout::{
        gate::{self, Pass, seconds},
        plan::Planned,
    },
    publish::{ErrorType, SkipReason},
    registry::{Admission, Target, Trial},
};

// === impl Run ===

impl<'a, T: Transport> Run<'a, T> {
    /// Whether nothing may be sent because something of the same labels waits for the target, or
    /// because the far end asked for a pause (429) that lasts. The result says so. `clear`: nothing waits for any
    /// target.
    pub(super) fn holds_off(&mut self, index: usize, clear: bool, now: Instant) -> bool {
        let target = self.sends[index].target;
        if !clear && self.courier.backlog().stands_before(&target.key, self.notice.group_key()) {
            let why = "an earlier publish of the same labels waits for the target".to_owned();
            self.left(index, (ErrorType::NotAttempted, why), now);
            if let Some(open) = self.open.last_mut() {
                open.behind = true;
            }
            return true;
        }
        let Some(until) = target.live.paused_until(now) else { return false };
        let why = format!(
            "the target asked for a pause (429) that lasts another {} s; send again after it",
            seconds(until, now)
        );
        self.left(index, (ErrorType::RateLimited, why), now);
        true
    }

    /// Those whose Secret has not been read yet may get it later.
    pub(super) fn leave_unread(&mut self) {
        let (backlog, group_key) = (self.courier.backlog(), self.notice.group_key());
        for (at, target) in self.unread {
            let behind = backlog.stands_before(&target.key, group_key);
            let to = Addressee::Unread(Arc::clone(target));
            self.open.push(Open { at: *at, to, behind });
        }
    }

    /// Asks the circuit and the target's own rate. Refused, the result says so.
    pub(super) fn admit(
        &mut self,
        index: usize,
        permit: SemaphorePermit<'a>,
        now: Moment,
    ) -> Option<Pass<SemaphorePermit<'a>>> {
        let target = self.sends[index].target;
        let trial = match self.circuit(target, now) {
            Ok(trial) => trial,
            Err(until) => {
                self.skip_open(index, until, now.mono);
                return None;
            }
        };
        if let Err(until) = gate::token(target, now.mono) {
            let why = format!(
                "the target's own rate limit (flow.rateLimit) allows the next one in {} s",
                seconds(until, now.mono)
            );
            self.left(index, (ErrorType::RateLimited, why), now.mono);
            return None;
        }
        Some(Pass { permit, trial })
    }

    fn circuit(&self, target: &Target, now: Moment) -> Result<Option<Trial>, Instant> {
        if !self.options.enable_circuit_breaker {
            return Ok(None);
        }
        match target.live.admit(&target.policy.breaker, now) {
            Admission::Go => Ok(None),
            Admission::Trial(trial) => Ok(Some(trial)),
            Admission::Refused { until } => Err(until),
        }
    }

    /// The circuit is open: skipped, or left for later.
    fn skip_open(&mut self, index: usize, until: Instant, now: Instant) {
        if self.options.retry {
            let why = format!(
                "the target's circuit is open; the next trial is in {} s",
                seconds(until, now)
            );
            self.left(index, (ErrorType::NotAttempted, why), now);
        } else {
            let result = &mut self.results[self.sends[index].at];
            result.error_type = None;
            result.skipped = Some(SkipReason::CircuitOpen);
            self.progress[index] = Progress::Done;
        }
    }

    /// Nothing was sent to a target, but may be later.
    fn left(&mut self, index: usize, (error_type, why): (ErrorType, String), now: Instant) {
        let duration = self.spent(index, now);
        let Planned { at, target, .. } = self.sends[index];
        let result = &mut self.results[at];
        result.duration = duration;
        result.error_type = Some(error_type);
        result.error = Some(why);
        self.open.push(Open::new(at, target));
        self.progress[index] = Progress::Done;
    }
}
