//! What is to be sent, whole: it must be sendable whatever happened to its alert since.

use std::sync::Arc;

use super::alert::{read_alert, read_labels, status, status_code, write_alert, write_labels};
use crate::{
    alert::{Member, Notification, NotificationReason},
    store::codec::{Decoder, Encoder, Malformed, codes},
};

codes!(reason_code, reason, NotificationReason {
    First = 1,
    NewAlerts = 2,
    SomeResolved = 3,
    AllResolved = 4,
    Repeat = 5,
});

/// Beside the reason: the notification goes to a fallback.
const FALLBACK: u8 = 0x40;
/// Beside the reason: it sums several groups up.
const DIGEST: u8 = 0x80;

/// Bytes that an alert takes at least, with its status.
const MEMBER: usize = 10;

pub(super) fn write_notification(to: &mut Encoder, notification: &Notification) {
    to.text(&notification.id);
    to.text(&notification.group_key);
    to.text(&notification.incident_key);
    to.text(&notification.receiver);
    to.byte(status_code(notification.status));
    let fallback = if notification.fallback { FALLBACK } else { 0 };
    let digest = if notification.digest { DIGEST } else { 0 };
    to.byte(reason_code(notification.reason) | fallback | digest);
    to.text(&notification.external_url);
    to.time(notification.at);
    write_labels(to, &notification.group_labels);
    to.length(notification.members.len());
    for member in &notification.members {
        to.byte(status_code(member.status));
        write_alert(to, &member.alert);
    }
}

pub(super) fn read_notification(from: &mut Decoder<'_>) -> Result<Notification, Malformed> {
    let id = from.shared()?;
    let group_key = from.shared()?;
    let incident_key = from.shared()?;
    let receiver = from.shared()?;
    let status = status(from.byte()?)?;
    let marks = from.byte()?;
    Ok(Notification {
        id,
        group_key,
        incident_key,
        receiver,
        status,
        reason: reason(marks & !(FALLBACK | DIGEST))?,
        fallback: marks & FALLBACK != 0,
        digest: marks & DIGEST != 0,
        external_url: from.shared()?,
        at: from.time()?,
        group_labels: read_labels(from)?,
        members: read_members(from)?,
    })
}

fn read_members(from: &mut Decoder<'_>) -> Result<Vec<Member>, Malformed> {
    let count = from.count(MEMBER)?;
    if count == 0 {
        return Err(Malformed("a notification of nothing"));
    }
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        let status = status(from.byte()?)?;
        members.push(Member { alert: Arc::new(read_alert(from)?), status });
    }
    Ok(members)
}
