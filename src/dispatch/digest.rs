//! Digests: what one route owes a target beyond its rate limit goes out as one message.
//!
//! Every slot in a digest is in flight and has a ticket of its own. They are settled alike: delivered, each is
//! told exactly what the digest said of it; failed, each is tried again, in another digest or on its own.

use std::sync::Arc;

use super::{Slot, State, Ticket, Verdict, size::size};
use crate::{
    alert::{
        Labels, Member, Notification, NotificationReason, Status, digest_id, group_key,
        incident_key,
    },
    api::RouteKey,
    clock::Moment,
};

/// Alerts in one digest take at most so many bytes: every receiver has a limit.
const BYTES: usize = 1024 * 1024;
/// So many slots are looked at for every alert that may be in a digest: the queues hold those of other
/// routes too.
const LOOKS: usize = 4;

/// What a digest holds so far.
#[derive(Debug, Default)]
struct Load {
    members: usize,
    bytes: usize,
}

// === impl Load ===

impl Load {
    /// Adds a notification if it fits in.
    fn add(&mut self, notification: &Notification, most: usize) -> bool {
        let members = self.members + notification.members.len();
        let alerts = notification.members.iter();
        let bytes = self.bytes + alerts.map(|member| size(&member.alert)).sum::<usize>();
        let fits = members <= most && bytes <= BYTES;
        if fits {
            (self.members, self.bytes) = (members, bytes);
        }
        fits
    }
}

// === impl State ===

impl State {
    /// Joins what the same route owes the same target, and may be told now, to what [`State::next`] gave:
    /// one message, and a ticket for each part of it. At most `most` alerts; what does not fit in stays
    /// ready. A target that takes no digests gets what it was to get.
    pub fn next_digest(
        &mut self,
        (notification, ticket): (Arc<Notification>, Ticket),
        most: usize,
        now: Moment,
        decide: &mut dyn FnMut(&RouteKey, Status) -> Verdict,
    ) -> (Arc<Notification>, Vec<Ticket>) {
        let Slot { target, route, .. } = ticket.slot;
        let takes = self.with(ticket.slot, now, |entry| entry.member.recipient.limits.digest);
        let mut load = Load::default();
        if takes != Some(true) || !load.add(&notification, most) {
            return (notification, vec![ticket]);
        }
        let (mut tickets, mut others) = (vec![ticket], Vec::new());
        for _ in 0..LOOKS * most {
            if load.members >= most {
                break;
            }
            let Some(popped) = self.desk.lanes.pop(target) else { break };
            if popped.slot.route != route {
                others.push(popped);
                continue;
            }
            let Some((part, ticket)) = self.consider(popped, now, decide) else { continue };
            if !load.add(&part, most) {
                self.put_back(ticket, now);
                break;
            }
            tickets.push(ticket);
        }
        for popped in others.into_iter().rev() {
            self.desk.lanes.unpop(popped, now.mono);
        }
        if tickets.len() == 1 {
            return (notification, tickets);
        }
        (Arc::new(sum_up(&notification, &tickets)), tickets)
    }
}

/// One message of them all.
fn sum_up(first: &Notification, tickets: &[Ticket]) -> Notification {
    let parts = || tickets.iter().map(|ticket| &*ticket.notification);
    let fires = parts().any(|part| part.status == Status::Firing);
    let same = parts().all(|part| part.reason == first.reason);
    let key = group_key(&tickets[0].route.to_string(), &Labels::empty());
    let members = parts().flat_map(|part| part.members.iter().cloned());
    let (mut firing, resolved): (Vec<Member>, Vec<Member>) =
        members.partition(|member| member.status == Status::Firing);
    firing.extend(resolved);
    Notification {
        id: digest_id(parts().map(|part| &*part.id)).into(),
        incident_key: incident_key(&key).into(),
        group_key: key.into(),
        status: if fires { Status::Firing } else { Status::Resolved },
        members: firing,
        group_labels: Labels::empty(),
        reason: if same { first.reason } else { NotificationReason::NewAlerts },
        digest: true,
        ..first.clone()
    }
}
