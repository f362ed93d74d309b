//! How a publish ends: what is said of targets without an answer, and what is counted.

use tokio::time::Instant;
use tracing::info;

use super::{Open, Progress, Run};
use crate::{
    clock::Moment,
    delivery::Transport,
    fanout::{
        metrics::{PublishOutcome, Tried},
        plan::Planned,
        records::About,
    },
    publish::{Counts, ErrorType, PublishResult},
    registry::{Target, TargetEntry},
    store::Op,
};

/// The publish as a whole, in the order of the API's status codes.
fn judge(counts: &Counts, timed_out: bool) -> PublishOutcome {
    match (counts.succeeded, counts.failed) {
        (0, _) if timed_out => PublishOutcome::Timeout,
        (0, 0) => PublishOutcome::Skipped,
        (0, _) => PublishOutcome::Failure,
        (_, 0) => PublishOutcome::Success,
        _ => PublishOutcome::PartialSuccess,
    }
}

/// Counts that a target was left out.
fn left_out(target: &Target) {
    target.live.skipped();
    if let Some(series) = target.live.series() {
        series.skipped.inc();
    }
}

// === impl Run ===

impl<T: Transport> Run<'_, T> {
    /// Says for every target that has no answer how far it came.
    pub(super) fn cut_short(&mut self, why: &str, now: Moment) {
        for index in 0..self.sends.len() {
            let duration = self.spent(index, now.mono);
            let Planned { at, target, .. } = self.sends[index];
            let result = &mut self.results[at];
            let (error_type, error) = match self.progress[index] {
                Progress::Done => continue,
                Progress::Running(_) => {
                    result.attempts = 1;
                    let error =
                        format!("{why} while the attempt ran; the target may have the alert");
                    (ErrorType::Cancelled, error)
                }
                Progress::Waiting(_) => (
                    ErrorType::NotAttempted,
                    format!(
                        "{why} while it waited for its turn: at most {} requests to it at a time \
                         (flow.maxInFlight)",
                        target.max_in_flight
                    ),
                ),
                Progress::InLine => (
                    ErrorType::NotAttempted,
                    format!(
                        "{why} before its turn; raise options.timeout or options.max_concurrent"
                    ),
                ),
            };
            result.duration = duration;
            result.error_type = Some(error_type);
            result.error = Some(error);
            self.progress[index] = Progress::Done;
            self.open.push(Open::new(at, target));
            if error_type == ErrorType::Cancelled {
                if let Some(series) = target.live.series() {
                    series.failure.inc();
                }
                let notification = &self.notice.to(target);
                let about = About { target: &target.key, route: None, notification };
                self.history.push(about.cut(1, duration, now.wall));
            }
        }
    }

    /// Counts the publish, once.
    pub(super) fn end(
        &mut self,
        (timed_out, outcome): (bool, Option<PublishOutcome>),
        now: Instant,
    ) -> PublishResult {
        self.ended = true;
        let result = PublishResult {
            results: std::mem::take(&mut self.results),
            timed_out,
            duration: now.saturating_duration_since(self.started.mono),
        };
        let (metrics, counts) = (self.courier.metrics(), result.counts());
        metrics.in_flight.dec();
        self.totals.end(&result, &counts, now);
        let outcome = outcome.unwrap_or_else(|| judge(&counts, timed_out));
        metrics.published(outcome, Some(result.duration));
        self.count_skips();
        let mut tried = Tried::default();
        for Planned { at, target, .. } in self.sends {
            let entry = &result.results[*at];
            if entry.skipped.is_some() {
                left_out(target);
            } else if entry.attempts > 0 {
                tried.add(target.kind);
            }
        }
        metrics.tried(&tried);
        result
    }

    /// What the plan left out, where each target counts it.
    fn count_skips(&self) {
        for entry in self.skips {
            match entry {
                TargetEntry::Accepted(target) => left_out(target),
                TargetEntry::Rejected(rejected) => {
                    if let Some(series) = self.courier.metrics().series.read().get(&rejected.key) {
                        series.skipped.inc();
                    }
                }
            }
        }
    }
}

impl<T: Transport> Drop for Run<'_, T> {
    fn drop(&mut self) {
        if !self.ended {
            let now = Moment::now();
            self.cut_short("the caller left", now);
            if !self.history.is_empty() {
                let history = Op::Attempts(std::mem::take(&mut self.history));
                self.courier.backlog().submit(vec![history], true);
            }
            let result = self.end((false, Some(PublishOutcome::Cancelled)), now.mono);
            info!(
                targets = result.results.len(),
                succeeded = result.success_count(),
                "Publish cancelled"
            );
        }
    }
}
