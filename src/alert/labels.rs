//! Label sets and their fingerprint.

use std::{fmt, sync::Arc};

/// FNV-1a 64 over a label set, as Prometheus' common library computes it: for each label in byte
/// order of names: name, `0xFF`, value, `0xFF`. An index, never an identity: on a hit compare the labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub u64);

/// An immutable set of name/value pairs, sorted by name, without empty values. Clones share memory.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Box<str>, Box<str>)]>);

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
        Self(Arc::new([]))
    }

    /// Value of the label `name`, empty if it is missing.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        match self.0.binary_search_by(|(key, _)| key.as_ref().cmp(name)) {
            Ok(at) => &self.0[at].1,
            Err(_) => "",
        }
    }

    /// Value of `alertname`, cut to a length that fits everywhere; empty if it is missing.
    #[must_use]
    pub fn alert_name(&self) -> &str {
        cut_name(self.get("alertname"))
    }

    /// All pairs, sorted by name in byte order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// Number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fingerprint; one pass over all bytes.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut hash = OFFSET;
        let mut feed = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        for (name, value) in self.iter() {
            name.bytes().for_each(&mut feed);
            feed(SEPARATOR);
            value.bytes().for_each(&mut feed);
            feed(SEPARATOR);
        }
        Fingerprint(hash)
    }
}

/// Collects pairs: sorts them, drops empty values, and keeps the last of equal names.
impl<N: Into<Box<str>>, V: Into<Box<str>>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<(Box<str>, Box<str>)> =
            pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        pairs.reverse();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, kept| later.0 == kept.0);
        pairs.retain(|(_, value)| !value.is_empty());
        Self(pairs.into())
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
