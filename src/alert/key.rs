//! Names of groups, incidents and notifications on the wire.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{Labels, Status, quote::push_labels};
use jiff::Timestamp;

/// Group key in Alertmanager's form: `namespace/name` of the route, `:`, the group's labels.
#[must_use]
pub fn group_key(route: &str, labels: &Labels) -> String {
    let mut key = String::with_capacity(route.len() + 32 * (labels.len() + 1));
    key.push_str(route);
    key.push(':');
    push_labels(&mut key, labels);
    key
}

/// Key of the incident downstream: lower-case hex SHA-256 of the group key.
#[must_use]
pub fn incident_key(group_key: &str) -> String {
    hex(&Sha256::digest(group_key))
}

/// Id of a message that sums others up: the same as long as theirs are, in whatever order.
#[must_use]
pub fn digest_id<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    let mut hash = Sha256::new();
    for id in ids {
        feed(&mut hash, id.as_bytes());
    }
    hex(&hash.finalize()[..16])
}

/// What a notification's id is made of: the same over retries and restarts, another one at the
/// next firing and at each repeat.
#[derive(Debug)]
pub struct NotificationId<'a> {
    /// UID of the target.
    pub target_uid: &'a str,
    /// Key of the group.
    pub group_key: &'a str,
    /// Notifications of this group that the target was told before.
    pub told_before: u32,
    hash: Sha256,
}

/// What the ids of one publish's notifications are made of: one id for each target, the same if the publish
/// is repeated.
#[derive(Clone, Copy, Debug)]
pub struct PublishId([u8; 16]);

// === impl PublishId ===

impl PublishId {
    /// `unique` is the publish's own.
    #[must_use]
    pub fn new(unique: &str) -> Self {
        let mut half = [0; 16];
        half.iter_mut().zip(Sha256::digest(unique)).for_each(|(to, from)| *to = from);
        Self(half)
    }

    /// The id for one target: 32 hex digits. With a UID of the usual length this is one block of the hash.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "hex digits are ASCII")]
    pub fn of(&self, target_uid: &str) -> Arc<str> {
        let hash = Sha256::new().chain_update(self.0).chain_update(target_uid).finalize();
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(hash) {
            pair.copy_from_slice(&digits_of(byte));
        }
        str::from_utf8(&digits).expect("hex digits are ASCII").into()
    }
}

// === impl NotificationId ===

impl<'a> NotificationId<'a> {
    /// Starts an id; add the members sorted by labels.
    #[must_use]
    pub fn new(target_uid: &'a str, group_key: &'a str, told_before: u32) -> Self {
        Self { target_uid, group_key, told_before, hash: Sha256::new() }
    }

    /// Adds a member. `incident_start` is the start of the incident when it was first seen: a
    /// merge that moves the start makes no other notification of it.
    #[must_use]
    pub fn member(mut self, labels: &Labels, status: Status, incident_start: Timestamp) -> Self {
        for (name, value) in labels.iter() {
            feed(&mut self.hash, name.as_bytes());
            feed(&mut self.hash, value.as_bytes());
        }
        feed(&mut self.hash, status.as_str().as_bytes());
        feed(&mut self.hash, &incident_start.as_nanosecond().to_be_bytes());
        self
    }

    /// The id: 32 hex digits.
    #[must_use]
    pub fn finish(mut self) -> String {
        feed(&mut self.hash, self.target_uid.as_bytes());
        feed(&mut self.hash, self.group_key.as_bytes());
        feed(&mut self.hash, &self.told_before.to_be_bytes());
        hex(&self.hash.finalize()[..16])
    }
}

/// Length first, so that no two sequences of fields hash the same bytes.
fn feed(hash: &mut Sha256, field: &[u8]) {
    hash.update((field.len() as u64).to_be_bytes());
    hash.update(field);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| digits_of(*byte)).map(char::from).collect()
}

/// Two lower-case hex digits.
fn digits_of(byte: u8) -> [u8; 2] {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_key_has_the_form_of_alertmanager() {
        let labels = Labels::from_iter([("b", "2"), ("a", "x\"y")]);
        assert_eq!(group_key("prod/all", &labels), r#"prod/all:{a="x\"y", b="2"}"#);
    }

    #[test]
    fn ids_of_a_publish_differ_by_publish_and_target() {
        let id = |unique, uid| PublishId::new(unique).of(uid);
        let base = id("p", "u");
        assert_eq!(base, id("p", "u"));
        assert_eq!(base.len(), 32);
        assert!(base.bytes().all(|digit| digit.is_ascii_digit() || digit.is_ascii_lowercase()));
        assert_ne!(base, id("q", "u"));
        assert_ne!(base, id("p", "v"));
    }

    #[test]
    fn ids_differ_by_everything_that_makes_a_notification() {
        let labels = Labels::from_iter([("a", "b")]);
        let id = |uid: &str, status, start: i64, told| {
            let start = Timestamp::from_second(start).unwrap();
            NotificationId::new(uid, "g", told).member(&labels, status, start).finish()
        };
        let base = id("u", Status::Firing, 1, 0);
        assert_eq!(base, id("u", Status::Firing, 1, 0));
        assert_eq!(base.len(), 32);
        for other in [
            id("v", Status::Firing, 1, 0),
            id("u", Status::Resolved, 1, 0),
            id("u", Status::Firing, 2, 0),
            id("u", Status::Firing, 1, 1),
        ] {
            assert_ne!(base, other);
        }
    }
}
