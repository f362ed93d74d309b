//! Bytes of record bodies: variable-length numbers, strings, times. Reading is bounded by what is
//! there, whatever the bytes claim.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

/// The bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) &'static str);

/// Bytes under construction.
#[derive(Debug, Default)]
pub(super) struct Encoder(pub(super) Vec<u8>);

/// Bytes yet to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoder<'a>(pub(super) &'a [u8]);

/// Numbers for a closed set of values, fixed for ever: what is on disk must not depend on the order in
/// which variants stand in the code.
macro_rules! codes {
    ($encode:ident, $decode:ident, $type:ident { $($variant:ident = $code:literal),+ $(,)? }) => {
        pub(in crate::store) const fn $encode(value: $type) -> u8 {
            match value {
                $($type::$variant => $code,)+
            }
        }

        pub(in crate::store) const fn $decode(code: u8) -> Result<$type, Malformed> {
            match code {
                $($code => Ok($type::$variant),)+
                _ => Err(Malformed(concat!("unknown ", stringify!($type)))),
            }
        }
    };
}
pub(super) use codes;

// === impl Encoder ===

impl Encoder {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    /// Seven bits a byte, lowest first.
    pub(super) fn number(&mut self, number: impl Into<u64>) {
        let mut rest = number.into();
        while rest >= 0x80 {
            #[expect(clippy::cast_possible_truncation, reason = "the low seven bits")]
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        self.0.push(rest as u8);
    }

    pub(super) fn length(&mut self, length: usize) {
        self.number(length as u64);
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.number((number << 1 ^ number >> 63).cast_unsigned());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(super) fn time(&mut self, time: Timestamp) {
        self.signed(time.as_second());
        self.signed(i64::from(time.subsec_nanosecond()));
    }

    pub(super) fn duration(&mut self, duration: Duration) {
        self.number(duration.as_secs());
        self.number(duration.subsec_nanos());
    }

    /// Whether there is a value, then the value.
    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

// === impl Decoder ===

impl<'a> Decoder<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed("cut short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed("neither yes nor no")),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed("number too large"))
    }

    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Result<T, Malformed> {
        T::try_from(self.number()?).map_err(|_| Malformed("number too large"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Malformed> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// How many items follow, each of which takes at least `least` bytes: a number that can't be true
    /// is refused before anything is allocated for it.
    pub(super) fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = self.small::<usize>()?;
        if count > self.0.len() / least {
            return Err(Malformed("cut short"));
        }
        Ok(count)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.small()?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("text is not UTF-8"))
    }

    pub(super) fn shared(&mut self) -> Result<Arc<str>, Malformed> {
        self.text().map(Arc::from)
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, Malformed> {
        let (second, nanosecond) = (self.signed()?, self.signed()?);
        let nanosecond = i32::try_from(nanosecond).map_err(|_| Malformed("not a time"))?;
        Timestamp::new(second, nanosecond).map_err(|_| Malformed("not a time"))
    }

    pub(super) fn duration(&mut self) -> Result<Duration, Malformed> {
        let (seconds, nanos) = (self.number()?, self.small()?);
        if nanos >= 1_000_000_000 {
            return Err(Malformed("not a duration"));
        }
        Ok(Duration::new(seconds, nanos))
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<T>, Malformed> {
        Ok(if self.flag()? { Some(read(self)?) } else { None })
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("longer than it should be")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_times_and_texts_come_back(
            number in any::<u64>(), signed in any::<i64>(), text in ".*",
            seconds in -377_705_000_000_i64..253_402_000_000, nanos in 0..1_000_000_000_i32,
        ) {
            let time = Timestamp::new(seconds, nanos).unwrap();
            let duration = Duration::new(number, nanos.unsigned_abs());
            let mut encoder = Encoder::default();
            encoder.number(number);
            encoder.signed(signed);
            encoder.text(&text);
            encoder.time(time);
            encoder.duration(duration);
            encoder.option(Some(number), Encoder::number);
            let mut decoder = Decoder(&encoder.0);
            prop_assert_eq!(decoder.number(), Ok(number));
            prop_assert_eq!(decoder.signed(), Ok(signed));
            prop_assert_eq!(decoder.text(), Ok(text.as_str()));
            prop_assert_eq!(decoder.time(), Ok(time));
            prop_assert_eq!(decoder.duration(), Ok(duration));
            prop_assert_eq!(decoder.option(Decoder::number), Ok(Some(number)));
            prop_assert_eq!(decoder.end(), Ok(()));
        }
    }

    #[test]
    fn numbers_of_more_than_64_bits_are_refused() {
        let most = [[0xFF; 9].as_slice(), &[0x01]].concat();
        assert_eq!(Decoder(&most).number(), Ok(u64::MAX));
        let more = [[0xFF; 9].as_slice(), &[0x02]].concat();
        assert_eq!(Decoder(&more).number(), Err(Malformed("number too large")));
        assert_eq!(Decoder(&[0x80; 11]).number(), Err(Malformed("number too large")));
    }

    #[test]
    fn counts_that_the_rest_can_not_hold_are_refused() {
        let mut encoder = Encoder::default();
        encoder.number(u64::MAX);
        assert_eq!(Decoder(&encoder.0).count(2), Err(Malformed("cut short")));
        assert_eq!(Decoder(&[3, 0, 0, 0, 0, 0, 0]).count(2), Ok(3));
        assert_eq!(Decoder(&[3, 0, 0, 0, 0, 0]).count(2), Err(Malformed("cut short")));
    }
}
