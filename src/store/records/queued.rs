//! A notification that waits in a target's queue. Which target stands in the key.

use std::sync::Arc;

use super::{
    name::{read_route, write_route},
    notification::{read_notification, write_notification},
};
use crate::{
    api::{QueueLimit, TargetKey, WhenFull},
    dispatch::{Origin, Queued},
    store::codec::{Decoder, Encoder, Malformed, codes},
};

codes!(when_full_code, when_full, WhenFull { DeadLetterOldest = 1, DeadLetterNewest = 2 });

/// The attempts come first and always take as many bytes, so that they can be replaced in place.
const ATTEMPTS: usize = size_of::<u32>();

pub(in crate::store) fn write_queued(to: &mut Encoder, queued: &Queued) {
    to.0.extend_from_slice(&queued.attempts.to_le_bytes());
    to.time(queued.accepted_at);
    match &queued.origin {
        Origin::Every(route) => {
            to.byte(1);
            write_route(to, route);
        }
        Origin::Publish => to.byte(2),
        Origin::Replay(None) => to.byte(3),
        Origin::Replay(Some(route)) => {
            to.byte(4);
            write_route(to, route);
        }
    }
    to.number(queued.limit.max_notifications);
    to.byte(when_full_code(queued.limit.when_full));
    write_notification(to, &queued.notification);
}

pub(in crate::store) fn read_queued(
    body: &[u8],
    target: &TargetKey,
    uid: &Arc<str>,
) -> Result<Queued, Malformed> {
    let mut from = Decoder(body);
    let queued = Queued {
        target: target.clone(),
        uid: uid.clone(),
        attempts: u32::from_le_bytes(from.array()?),
        accepted_at: from.time()?,
        origin: match from.byte()? {
            1 => Origin::Every(read_route(&mut from)?),
            2 => Origin::Publish,
            3 => Origin::Replay(None),
            4 => Origin::Replay(Some(read_route(&mut from)?)),
            _ => return Err(Malformed("unknown Origin")),
        },
        limit: QueueLimit { max_notifications: from.small()?, when_full: when_full(from.byte()?)? },
        notification: Arc::new(read_notification(&mut from)?),
    };
    from.end()?;
    Ok(queued)
}

/// When the record with this body was accepted; reads no further.
pub(in crate::store) fn peek_accepted(body: &[u8]) -> Result<jiff::Timestamp, Malformed> {
    Decoder(body.get(ATTEMPTS..).ok_or(Malformed("cut short"))?).time()
}

/// Writes another number of attempts into a body.
pub(in crate::store) fn set_attempts(body: &mut [u8], attempts: u32) -> Result<(), Malformed> {
    let place = body.first_chunk_mut::<ATTEMPTS>().ok_or(Malformed("cut short"))?;
    *place = attempts.to_le_bytes();
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::records::tests::{hostile, queued};

    proptest! {
        #[test]
        fn queued_record_comes_back(queued in queued(), attempts in any::<u32>()) {
            let mut to = Encoder::default();
            write_queued(&mut to, &queued);
            let back = read_queued(&to.0, &queued.target, &queued.uid).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{queued:?}"));
            prop_assert_eq!(peek_accepted(&to.0), Ok(queued.accepted_at));
            set_attempts(&mut to.0, attempts).unwrap();
            let back = read_queued(&to.0, &queued.target, &queued.uid).unwrap();
            prop_assert_eq!(format!("{back:?}"), format!("{:?}", Queued { attempts, ..queued }));
        }

        #[test]
        fn hostile_bytes_harm_nothing(mut bytes in hostile()) {
            let _ = read_queued(&bytes, &"a/b".parse().unwrap(), &"".into());
            let _ = peek_accepted(&bytes);
            let _ = set_attempts(&mut bytes, 1);
        }
    }
}
