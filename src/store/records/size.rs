//! Sums, so that a start need not read what they are sums of.

use crate::store::{
    QueueSize,
    codec::{Decoder, Encoder, Malformed},
};

/// Bytes of what is bounded in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Totals {
    /// Of the dead letters.
    pub(in crate::store) dead_letters: u64,
    /// Of the history.
    pub(in crate::store) history: u64,
    /// Of the idempotency keys.
    pub(in crate::store) keys: u64,
}

pub(in crate::store) fn write_size(to: &mut Encoder, size: &QueueSize) {
    to.number(size.records);
    to.number(size.bytes);
    to.option(size.oldest, Encoder::time);
}

pub(in crate::store) fn read_size(body: &[u8]) -> Result<QueueSize, Malformed> {
    let mut from = Decoder(body);
    let size = QueueSize {
        records: from.number()?,
        bytes: from.number()?,
        oldest: from.option(Decoder::time)?,
    };
    from.end()?;
    Ok(size)
}

pub(in crate::store) fn write_totals(to: &mut Encoder, totals: Totals) {
    to.number(totals.dead_letters);
    to.number(totals.history);
    to.number(totals.keys);
}

pub(in crate::store) fn read_totals(body: &[u8]) -> Result<Totals, Malformed> {
    let mut from = Decoder(body);
    let totals =
        Totals { dead_letters: from.number()?, history: from.number()?, keys: from.number()? };
    from.end()?;
    Ok(totals)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::records::tests::{hostile, time};

    proptest! {
        #[test]
        fn sums_come_back(
            records in any::<u64>(), bytes in any::<u64>(), oldest in prop::option::of(time()),
        ) {
            let size = QueueSize { records, bytes, oldest };
            let mut to = Encoder::default();
            write_size(&mut to, &size);
            prop_assert_eq!(read_size(&to.0), Ok(size));
            let totals = Totals {
                dead_letters: records,
                history: bytes,
                keys: records,
            };
            let mut to = Encoder::default();
            write_totals(&mut to, totals);
            prop_assert_eq!(read_totals(&to.0), Ok(totals));
        }

        #[test]
        fn hostile_bytes_harm_nothing(bytes in hostile()) {
            let _ = read_size(&bytes);
            let _ = read_totals(&bytes);
        }
    }
}
