//! Pairs of texts in one piece: `count (name-length value-length name value)*`.
//!
//! Numbers are written six bits at a time, the lowest first; 0x40 says that more follow. So they are ASCII,
//! the whole is a text, and cutting one out of it is checked but never has to be validated again.

use std::sync::Arc;

use super::Labels;

/// Packs pairs: sorts them, drops empty values, and keeps the last of equal names. Can be used again and
/// again; then the set itself is all that it allocates.
#[derive(Debug, Default)]
pub struct LabelsBuilder {
    /// All names and values, one after the other.
    texts: String,
    spans: Vec<Span>,
    packed: String,
}

/// Where a pair stands.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    name: usize,
    value: usize,
}

/// What is left of a packed set.
#[derive(Clone, Debug)]
pub(super) struct Pairs<'a> {
    rest: &'a str,
    left: usize,
}

/// Expected length of a name and its value.
const USUAL: usize = 32;
const MORE: u8 = 0x40;

// === impl LabelsBuilder ===

impl LabelsBuilder {
    /// Room for so many pairs.
    #[must_use]
    pub fn with_capacity(pairs: usize) -> Self {
        Self {
            texts: String::with_capacity(USUAL * pairs),
            spans: Vec::with_capacity(pairs),
            packed: String::with_capacity(USUAL * pairs),
        }
    }

    /// Adds a pair.
    pub fn push(&mut self, name: &str, value: &str) {
        let start = self.texts.len();
        self.texts.push_str(name);
        self.texts.push_str(value);
        self.spans.push(Span { start, name: name.len(), value: value.len() });
    }

    /// The set of what was added; the next one begins empty.
    pub fn finish(&mut self) -> Labels {
        let Self { texts, spans, packed } = self;
        let name = |span: &Span| &texts[span.start..][..span.name];
        if !spans.is_sorted_by(|a, b| name(a) < name(b)) {
            spans.reverse();
            spans.sort_by(|a, b| name(a).cmp(name(b)));
            spans.dedup_by(|earlier, kept| name(earlier) == name(kept));
        }
        spans.retain(|span| span.value > 0);
        if !spans.is_empty() {
            push_number(packed, spans.len());
        }
        for Span { start, name, value } in spans.drain(..) {
            push_number(packed, name);
            push_number(packed, value);
            packed.push_str(&texts[start..][..name + value]);
        }
        let labels = Labels(Arc::from(packed.as_str()));
        texts.clear();
        packed.clear();
        labels
    }
}

fn push_number(text: &mut String, mut number: usize) {
    loop {
        let low = u8::try_from(number % usize::from(MORE)).expect("it is below 0x40");
        number /= usize::from(MORE);
        text.push(char::from(if number > 0 { low | MORE } else { low }));
        if number == 0 {
            return;
        }
    }
}

// === impl Pairs ===

impl<'a> Pairs<'a> {
    pub(super) fn of(packed: &'a str) -> Self {
        let mut pairs = Self { rest: packed, left: 0 };
        if !packed.is_empty() {
            pairs.left = pairs.number();
        }
        pairs
    }

    fn number(&mut self) -> usize {
        let (mut number, mut shift, mut at) = (0, 0, 0);
        loop {
            let byte = self.rest.as_bytes()[at];
            number |= usize::from(byte % MORE) << shift;
            at += 1;
            if byte & MORE == 0 {
                self.rest = &self.rest[at..];
                return number;
            }
            shift += 6;
        }
    }

    fn text(&mut self, length: usize) -> &'a str {
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        text
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (name, value) = (self.number(), self.number());
        Some((self.text(name), self.text(value)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_out(
            pairs in proptest::collection::vec((".{0,3}|.{60,70}", ".{0,90}|.{4090,4100}"), 0..8)
        ) {
            let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
            wanted.extend(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            wanted.retain(|_, value| !value.is_empty());

            let labels: Labels = pairs.iter().map(|(name, value)| (name, value)).collect();
            prop_assert_eq!(labels.len(), wanted.len());
            prop_assert!(labels.iter().eq(wanted.iter().map(|(name, value)| (*name, *value))));
            for (name, value) in wanted {
                prop_assert_eq!(labels.get(name), value);
            }
        }
    }

    #[test]
    fn builder_begins_anew_after_each_set() {
        let mut builder = LabelsBuilder::default();
        builder.push("a", "1");
        let first = builder.finish();
        builder.push("b", "2");
        assert_eq!(builder.finish(), Labels::from_iter([("b", "2")]));
        assert_eq!(first, Labels::from_iter([("a", "1")]));
        assert_eq!(builder.finish(), Labels::empty());
    }
}
