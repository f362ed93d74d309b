//! Label sets and their fingerprint.
//!
//! A set is held in one piece: there are as many as alerts, and most texts are short. `packed` says how.

mod packed;

use std::{cmp::Ordering, fmt, sync::Arc};

pub use packed::LabelsBuilder;
use packed::Pairs;

/// FNV-1a 64 over a label set, as Prometheus' common library computes it: for each label in byte
/// order of names: name, `0xFF`, value, `0xFF`. An index, never an identity: on a hit compare the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

/// An immutable set of name/value pairs, sorted by name, without empty values. Clones share memory.
///
/// Equal sets are packed alike, so that they are compared and hashed without being unpacked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<str>);

/// Longest name of an alert where it only names it, in bytes.
const LONGEST_NAME: usize = 100;

const OFFSET: u64 = 14_695_981_039_346_656_037;
const PRIME: u64 = 1_099_511_628_211;
const SEPARATOR: u8 = 0xFF;

/// A name of an alert as [`Labels::alert_name`] gives it.
#[must_use]
pub fn cut_name(name: &str) -> &str {
    let end = (0..=name.len().min(LONGEST_NAME)).rev().find(|end| name.is_char_boundary(*end));
    &name[..end.unwrap_or(0)]
}

// === impl Labels ===

impl Labels {
    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::default())
    }

    /// Value of the label `name`, empty if it is missing.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// Value of `alertname`, cut to a length that fits everywhere; empty if it is missing.
    #[must_use]
    pub fn alert_name(&self) -> &str {
        cut_name(self.get("alertname"))
    }

    /// All pairs, sorted by name in byte order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        Pairs::of(&self.0)
    }

    /// Bytes that the set takes, as its clones share them.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fingerprint; one pass over all bytes.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        // By value: a hash behind a reference is stored and loaded again for each byte.
        let feed = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        let text = |hash: u64, text: &str| feed(text.bytes().fold(hash, feed), SEPARATOR);
        Fingerprint(self.iter().fold(OFFSET, |hash, (name, value)| text(text(hash, name), value)))
    }
}

/// Collects pairs: sorts them, drops empty values, and keeps the last of equal names.
impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let pairs = pairs.into_iter();
        let mut labels = LabelsBuilder::with_capacity(pairs.size_hint().0);
        for (name, value) in pairs {
            labels.push(name.as_ref(), value.as_ref());
        }
        labels.finish()
    }
}

/// Pair by pair.
impl Ord for Labels {
    fn cmp(&self, other: &Self) -> Ordering {
        self.iter().cmp(other.iter())
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

/// `{a="b", c="d"}` with Go's quoting left to the wire forms; for logs and tests.
impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

// === impl Fingerprint ===

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vectors_match() {
        assert_eq!(Labels::empty().fingerprint().to_string(), "cbf29ce484222325");
        let pairs = [("name", "garland, briggs"), ("fear", "love is not enough")];
        assert_eq!(Labels::from_iter(pairs).fingerprint().to_string(), "507a62d79ee76c9a");
    }

    #[test]
    fn last_of_equal_names_wins_and_empty_values_go() {
        let labels = Labels::from_iter([("a", "1"), ("b", ""), ("a", "2")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "2")]);
        assert_eq!(labels.get("b"), "");
    }
}
