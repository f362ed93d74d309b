//! What every record is wrapped in: format version, kind, CRC-32C over key and all, body.
//!
//! The checksum covers the key too, so that a record that stands in another one's place is found.

use super::{
    codec::{Encoder, Malformed},
    crc32c::Crc32c,
};

/// Format of all records and of the file as a whole. A change of what any record means or holds
/// makes it the next one, and a file of every earlier format must still be read.
///
/// 2: blocks of the history have the names of alerts. 3: of all alerts of a group.
pub(super) const FORMAT: u32 = 3;

/// Version, kind, checksum.
const HEADER: usize = 6;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Name = 1,
    Alert = 2,
    Told = 3,
    Queued = 4,
    QueueSize = 5,
    DeadLetter = 6,
    History = 7,
    Key = 8,
    SetAside = 9,
    Totals = 10,
    Group = 11,
    Silence = 12,
}

/// Why a record can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// The checksum is wrong.
    #[error("its checksum is wrong")]
    Checksum,
    /// Intact, but of a format that is not known.
    #[error("its format {0} is not known")]
    Version(u8),
    /// Intact, but not what it should be.
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

/// Starts a record; the body goes in behind, then [`seal`].
pub(super) fn begin(kind: Kind) -> Encoder {
    begin_in(Vec::with_capacity(256), kind)
}

/// The same in the place of an earlier record.
pub(super) fn begin_in(mut place: Vec<u8>, kind: Kind) -> Encoder {
    place.clear();
    let mut encoder = Encoder(place);
    #[expect(clippy::cast_possible_truncation, reason = "a byte until format 255")]
    encoder.0.extend_from_slice(&[FORMAT as u8, kind as u8, 0, 0, 0, 0]);
    encoder
}

/// Writes the checksum into the header.
pub(super) fn seal(key: &[u8], mut record: Encoder) -> Vec<u8> {
    let sum = checksum(key, &record.0).to_le_bytes();
    record.0[2..HEADER].copy_from_slice(&sum);
    record.0
}

/// The body of a record of a kind that is the same in all formats, if it is intact and of that kind.
pub(super) fn open<'a>(key: &[u8], kind: Kind, record: &'a [u8]) -> Result<&'a [u8], Unusable> {
    open_of_format(key, kind, record).map(|(_, body)| body)
}

/// The same with the format that the body has.
pub(super) fn open_of_format<'a>(
    key: &[u8],
    kind: Kind,
    record: &'a [u8],
) -> Result<(u32, &'a [u8]), Unusable> {
    let Some(([version, found, sum @ ..], body)) = record.split_first_chunk::<HEADER>() else {
        return Err(Malformed("shorter than a header").into());
    };
    if checksum(key, record) != u32::from_le_bytes(*sum) {
        return Err(Unusable::Checksum);
    }
    let format = u32::from(*version);
    if !(1..=FORMAT).contains(&format) {
        return Err(Unusable::Version(*version));
    }
    if *found != kind as u8 {
        return Err(Malformed("a record of another kind").into());
    }
    Ok((format, body))
}

/// Over key, version, kind and body.
fn checksum(key: &[u8], record: &[u8]) -> u32 {
    Crc32c::new().update(key).update(&record[..2]).update(&record[HEADER..]).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Vec<u8> {
        let mut record = begin(Kind::Alert);
        record.text("body");
        seal(b"key", record)
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let record = record();
        assert_eq!(open(b"key", Kind::Alert, &record), Ok(b"\x04body".as_slice()));
        for bit in 0..8 * record.len() {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(b"key", Kind::Alert, &damaged), Err(Unusable::Checksum), "{bit}");
        }
    }

    #[test]
    fn record_of_another_key_or_kind_is_refused() {
        assert_eq!(open(b"kez", Kind::Alert, &record()), Err(Unusable::Checksum));
        let record = record();
        let other = open(b"key", Kind::Told, &record);
        assert_eq!(other, Err(Unusable::Malformed(Malformed("a record of another kind"))));
    }

    #[test]
    fn cut_record_is_refused() {
        let record = record();
        for end in 0..record.len() {
            assert!(open(b"key", Kind::Alert, &record[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn intact_record_of_another_format_says_which() {
        let mut record = begin(Kind::Alert);
        record.0[0] = 9;
        let record = seal(b"key", record);
        assert_eq!(open(b"key", Kind::Alert, &record), Err(Unusable::Version(9)));
    }
}
