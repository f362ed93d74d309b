//! A notification that was given up. Names stand there in full: target and route may be gone.

use std::sync::Arc;

use super::{
    name::{read_route, read_target, write_route, write_target},
    notification::{read_notification, write_notification},
};
use crate::store::{
    DeadLetter, DeadReason,
    codec::{Decoder, Encoder, Malformed, codes},
};

codes!(dead_reason_code, dead_reason, DeadReason {
    Rejected = 1,
    MaxAge = 2,
    MaxAttempts = 3,
    QueueFull = 4,
    RouteDeleted = 5,
    TargetDeleted = 6,
    TargetRemoved = 7,
    NotPermitted = 8,
    Unusable = 9,
});

pub(in crate::store) fn write_dead_letter(to: &mut Encoder, letter: &DeadLetter) {
    to.time(letter.at);
    write_target(to, &letter.target);
    to.text(&letter.uid);
    to.option(letter.route.as_ref(), write_route);
    to.byte(dead_reason_code(letter.reason));
    to.text(&letter.message);
    to.option(letter.status_code, Encoder::number);
    to.number(letter.attempts);
    to.time(letter.accepted_at);
    write_notification(to, &letter.notification);
}

pub(in crate::store) fn read_dead_letter(body: &[u8]) -> Result<DeadLetter, Malformed> {
    let mut from = Decoder(body);
    let letter = DeadLetter {
        at: from.time()?,
        target: read_target(&mut from)?,
        uid: from.shared()?,
        route: from.option(read_route)?,
        reason: dead_reason(from.byte()?)?,
        message: from.text()?.to_owned(),
        status_code: from.option(Decoder::small)?,
        attempts: from.small()?,
        accepted_at: from.time()?,
        notification: Arc::new(read_notification(&mut from)?),
    };
    from.end()?;
    Ok(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::records::tests::{dead_letter, hostile};

    proptest! {
        #[test]
        fn dead_letter_comes_back(letter in dead_letter()) {
            let mut to = Encoder::default();
            write_dead_letter(&mut to, &letter);
            let back = read_dead_letter(&to.0).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{letter:?}"));
        }

        #[test]
        fn hostile_bytes_harm_nothing(bytes in hostile()) {
            let _ = read_dead_letter(&bytes);
        }
    }
}
