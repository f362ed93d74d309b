//! Dead letters in JSON, and finding those that a request is about.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::inbox::map;
use crate::{
    alert::Member,
    store::{DeadLetter, DeadLetterFilter, DeadLetterId, Failed, Store},
};

/// Dead letters read at a time: each may be as large as an alert.
pub(super) const CHUNK: usize = 4;

/// The dead letters that a condition names.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The oldest ones, oldest first.
    pub(super) ids: VecDeque<DeadLetterId>,
    /// How many there are besides.
    pub(super) remaining: usize,
    /// All were seen before time was up.
    pub(super) complete: bool,
}

pub(super) fn show((id, letter): &(DeadLetterId, DeadLetter)) -> Value {
    let notification = &letter.notification;
    json!({
        "id": id.0.to_string(),
        "at": letter.at,
        "target": letter.target.to_string(),
        "route": letter.route.as_ref().map(ToString::to_string),
        "reason": letter.reason.as_str(),
        "message": letter.message,
        "status_code": letter.status_code,
        "attempts": letter.attempts,
        "accepted_at": letter.accepted_at,
        "notification": {
            "id": &*notification.id,
            "group_key": &*notification.group_key,
            "status": notification.status.as_str(),
            "alerts": notification.members.iter().map(alert).collect::<Vec<_>>(),
        },
    })
}

fn alert(member: &Member) -> Value {
    let alert = &member.alert;
    json!({
        "fingerprint": alert.labels.fingerprint().to_string(),
        "status": member.status.as_str(),
        "labels": map(&alert.labels),
        "annotations": map(&alert.annotations),
        "starts_at": alert.starts_at,
        "ends_at": alert.ends_at,
        "generator_url": &*alert.generator_url,
    })
}

/// The oldest `filter.limit` of the dead letters that `filter` names and that are newer than `after`.
pub(super) fn oldest(
    store: &dyn Store,
    filter: &DeadLetterFilter,
    after: Option<DeadLetterId>,
    deadline: Instant,
) -> Result<Found, Failed> {
    let mut found = Found { complete: true, ..Found::default() };
    let mut part = DeadLetterFilter { limit: CHUNK, ..filter.clone() };
    loop {
        let page = store.dead_letters(&part)?;
        for (id, _) in page.items {
            if after.is_some_and(|after| id <= after) {
                return Ok(found);
            }
            found.ids.push_front(id);
            if found.ids.len() > filter.limit {
                found.ids.pop_back();
                found.remaining += 1;
            }
        }
        let Some(next) = page.next else { return Ok(found) };
        if Instant::now() >= deadline {
            found.complete = false;
            return Ok(found);
        }
        part.before = Some(DeadLetterId(next));
    }
}

/// Which of these exist, and which do not.
pub(super) fn existing(
    store: &dyn Store,
    ids: &[DeadLetterId],
) -> Result<(Vec<DeadLetterId>, Vec<DeadLetterId>), Failed> {
    let mut known = Vec::with_capacity(ids.len());
    for part in ids.chunks(CHUNK) {
        known.extend(store.dead_letters_by_id(part)?.into_iter().map(|(id, _)| id));
    }
    known.sort_unstable();
    let unknown = ids.iter().filter(|id| known.binary_search(id).is_err()).copied().collect();
    Ok((known, unknown))
}
