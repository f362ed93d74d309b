//! Durations as users write them: GEP-2257 (`500ms`, `10s`, `1m30s`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration in GEP-2257 form: one to four groups of up to five digits and a unit (`h`, `m`, `s`, `ms`).
///
/// Source: Gateway API GEP-2257, pattern `^([0-9]{1,5}(h|m|s|ms)){1,4}$`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Duration(pub std::time::Duration);

/// The text is not a GEP-2257 duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write a number and a unit, for example 500ms, 10s, 1m30s or 4h")]
pub struct ParseDurationError(pub String);

// === impl Duration ===

impl Duration {
    /// A whole number of seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// The standard library's value.
    #[must_use]
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl FromStr for Duration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || ParseDurationError(text.chars().take(40).collect());
        let mut rest = text;
        let mut millis: u64 = 0;
        let mut groups = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if !(1..=5).contains(&digits) {
                return Err(fail());
            }
            let number: u64 = rest[..digits].parse().map_err(|_| fail())?;
            rest = &rest[digits..];
            let (unit, length) = if rest.starts_with("ms") {
                (1, 2)
            } else if rest.starts_with('s') {
                (1_000, 1)
            } else if rest.starts_with('m') {
                (60_000, 1)
            } else if rest.starts_with('h') {
                (3_600_000, 1)
            } else {
                return Err(fail());
            };
            rest = &rest[length..];
            millis += number * unit;
            groups += 1;
        }
        if (1..=4).contains(&groups) {
            Ok(Self(std::time::Duration::from_millis(millis)))
        } else {
            Err(fail())
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if millis >= size {
                write!(f, "{}{unit}", millis / size)?;
                millis %= size;
            }
        }
        Ok(())
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": 24})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn millis(text: &str) -> Option<u128> {
        text.parse::<Duration>().ok().map(|duration| duration.get().as_millis())
    }

    #[test]
    fn durations_are_read_as_users_write_them() {
        for (text, expected) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("1h1m1s1ms", 3_661_001),
            ("0s", 0),
            ("00010s", 10_000),
            ("1s1s", 2_000),
            ("99999h99999h99999h99999h", 4 * 99_999 * 3_600_000),
        ] {
            assert_eq!(millis(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "+1s",
            "1 s",
            "1d",
            "1us",
            "123456s",
            "1s1s1s1s1s",
            "1S",
            "１s",
        ] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn the_error_shows_the_text_and_the_form() {
        let error = "ten seconds".parse::<Duration>().unwrap_err().to_string();
        assert!(error.contains("\"ten seconds\"") && error.contains("1m30s"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(millis in 0_u64..360_000_000) {
            let duration = Duration(std::time::Duration::from_millis(millis));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }

        #[test]
        fn the_parser_accepts_exactly_the_pattern(text in "[0-9]{0,6}[hms]{0,2}[0-9]{0,2}[ms.]{0,2}") {
            let pattern = regex::Regex::new("^([0-9]{1,5}(h|m|s|ms)){1,4}$").unwrap();
            prop_assert_eq!(text.parse::<Duration>().is_ok(), pattern.is_match(&text), "{}", text);
        }
    }
}
