//! From an alert to its entries.

use super::{
    AlertId, Slot,
    entry::{Desk, Entry},
    fallback::turn,
    held::Held,
    link::Link,
    notice::Content,
};
use crate::clock::Moment;

// === impl Held ===

impl Held {
    /// Does something with every entry.
    pub(super) fn each(
        &mut self,
        (id, now): (AlertId, Moment),
        desk: &mut Desk,
        mut rule: impl FnMut(&mut Entry<'_>),
    ) {
        let content = Content::of(self);
        let says = content.as_ref().map(|content| (content.says, content.changed_at));
        let Self { links, dirty, unconfirmed, .. } = self;
        for Link { route, matches, muted, delivery, told, .. } in links {
            for (at, member) in delivery.members.iter().enumerate() {
                let turn = turn((delivery, told, at), says);
                rule(&mut Entry {
                    slot: Slot { target: member.id, route: *route, subject: id.into() },
                    matches: *matches,
                    muted: *muted,
                    delivery,
                    member,
                    turn,
                    told: &mut told[at],
                    group: None,
                    content: content.as_ref(),
                    confirmed: *unconfirmed == 0,
                    dirty,
                    desk,
                    now,
                });
            }
        }
    }

    /// Does something with one entry, if there is one.
    pub(super) fn one<R>(
        &mut self,
        (slot, now): (Slot, Moment),
        desk: &mut Desk,
        rule: impl FnOnce(&mut Entry<'_>) -> R,
    ) -> Option<R> {
        let content = Content::of(self);
        let Self { links, dirty, unconfirmed, .. } = self;
        let Link { matches, muted, delivery, told, .. } =
            links.iter_mut().find(|link| link.route == slot.route)?;
        let at = delivery.find(slot.target)?;
        let says = content.as_ref().map(|content| (content.says, content.changed_at));
        let turn = turn((delivery, told, at), says);
        Some(rule(&mut Entry {
            slot,
            matches: *matches,
            muted: *muted,
            delivery,
            member: &delivery.members[at],
            turn,
            told: &mut told[at],
            group: None,
            content: content.as_ref(),
            confirmed: *unconfirmed == 0,
            dirty,
            desk,
            now,
        }))
    }
}
