//! Digests: when what a target is owed goes out as one message, and what its outcome means.

use std::{sync::Arc, time::Duration};

use super::{desk::Desk, gate, lane::View, policy::decide};
use crate::{
    alert::Notification,
    clock::Moment,
    dispatch::{Settled, Settlement, Ticket, Verdict},
    registry::Target,
};

/// Alerts in one digest at most.
const MOST: usize = 1_000;
/// Pause before the parts of a digest that was refused are sent again.
const PAUSE: Duration = Duration::from_secs(1);

// === impl Desk ===

impl Desk {
    /// Sums up what the route owes the target, if this was the last that the rate limit lets through.
    pub(super) fn sum_up(
        &mut self,
        first: (Arc<Notification>, Ticket),
        View { snapshot, target, now, .. }: View<'_>,
    ) -> (Arc<Notification>, Vec<Ticket>) {
        if !gate::sums_up(target, now.mono) {
            return (first.0, vec![first.1]);
        }
        let most = self.digests.get(&target.key).copied().unwrap_or(MOST);
        self.state.next_digest(first, most, now, &mut |route, _| {
            snapshot.route(route).map_or(Verdict::Hold, |route| decide(route, target))
        })
    }

    /// Settles everything that an attempt was about. One refusal may be due to a single alert: smaller
    /// digests find out which.
    pub(super) fn settle_all(
        &mut self,
        target: &Target,
        tickets: Vec<Ticket>,
        mut settled: Settled,
        now: Moment,
    ) -> Settlement {
        let parts = tickets.len();
        if settled == Settled::Delivered {
            if let Some(most) = self.digests.get_mut(&target.key) {
                *most *= 2;
            }
            self.digests.retain(|_, most| *most < MOST);
        } else if settled == Settled::Rejected && parts > 1 {
            self.digests.insert(target.key.clone(), parts / 2);
            settled = Settled::Failed { maybe_told: false, retry_in: PAUSE };
        }
        let mut all = Settlement::default();
        for ticket in tickets {
            let Settlement { ended, work } = self.state.settle(ticket, settled, now);
            all.ended.extend(ended);
            all.work |= work;
        }
        all
    }
}
