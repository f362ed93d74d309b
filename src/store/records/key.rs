//! What an `Idempotency-Key` was used for. The key itself is the record's key.

use std::sync::Arc;

use crate::store::{
    IdempotencyRecord,
    codec::{Decoder, Encoder, Malformed},
};

pub(in crate::store) fn write_key(to: &mut Encoder, record: &IdempotencyRecord) {
    to.time(record.at);
    to.0.extend_from_slice(&record.body);
    to.bytes(&record.result);
}

pub(in crate::store) fn read_key(
    body: &[u8],
    key: Arc<str>,
) -> Result<IdempotencyRecord, Malformed> {
    let mut from = Decoder(body);
    let record = IdempotencyRecord {
        key,
        at: from.time()?,
        body: from.array()?,
        result: from.bytes()?.to_vec(),
    };
    from.end()?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::records::tests::{hostile, time};

    proptest! {
        #[test]
        fn key_comes_back(
            key in ".{1,40}", at in time(), body in any::<[u8; 32]>(), result in hostile(),
        ) {
            let record = IdempotencyRecord { key: key.into(), body, at, result };
            let mut to = Encoder::default();
            write_key(&mut to, &record);
            prop_assert_eq!(read_key(&to.0, record.key.clone()), Ok(record));
        }

        #[test]
        fn hostile_bytes_harm_nothing(bytes in hostile()) {
            let _ = read_key(&bytes, "".into());
        }
    }
}
