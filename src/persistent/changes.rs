//! The difference of two trees, without looking at what they share.
//!
//! Two cursors walk the trees in step. Where both stand before the same node it is skipped; where not, the
//! taller one goes down. Nothing depends on where nodes begin and end: that only decides how much is
//! skipped.

use std::{cmp::Ordering, sync::Arc};

use super::map::Node;

/// One entry that is another than before; one of the two values is there at least.
#[derive(Debug, PartialEq, Eq)]
pub struct Change<'a, K, V> {
    /// The key.
    pub key: &'a K,
    /// The value before; `None`: it is new.
    pub before: Option<&'a V>,
    /// The value now; `None`: it is gone.
    pub after: Option<&'a V>,
}

/// What a cursor still has before it, the next last.
struct Cursor<'a, K, V>(Vec<Part<'a, K, V>>);

enum Part<'a, K, V> {
    Tree(&'a Arc<Node<K, V>>),
    Entries(&'a [(K, V)]),
}

pub(super) fn between<'a, K: Ord, V>(
    before: Option<&'a Arc<Node<K, V>>>,
    after: Option<&'a Arc<Node<K, V>>>,
    same: impl Fn(&V, &V) -> bool,
) -> Vec<Change<'a, K, V>> {
    let mut changes = Vec::new();
    let [mut old, mut new] =
        [before, after].map(|root| Cursor(root.into_iter().map(Part::Tree).collect()));
    loop {
        let (from_old, from_new) = match (old.0.last(), new.0.last()) {
            (None, None) => return changes,
            (Some(Part::Tree(a)), Some(Part::Tree(b))) => {
                if Arc::ptr_eq(a, b) {
                    old.0.pop();
                    new.0.pop();
                } else {
                    match a.height().cmp(&b.height()) {
                        Ordering::Greater => old.open(),
                        Ordering::Less => new.open(),
                        Ordering::Equal => {
                            old.open();
                            new.open();
                        }
                    }
                }
                continue;
            }
            (Some(Part::Entries(a)), Some(Part::Entries(b))) => match a[0].0.cmp(&b[0].0) {
                Ordering::Less => (true, false),
                Ordering::Greater => (false, true),
                Ordering::Equal => (true, true),
            },
            // A whole node is left whole as long as what stands before it is not used up: it may be shared.
            (Some(Part::Entries(a)), Some(Part::Tree(b))) if b.is_after(&a[0].0) => (true, false),
            (Some(Part::Tree(a)), Some(Part::Entries(b))) if a.is_after(&b[0].0) => (false, true),
            (Some(Part::Entries(_)), None) => (true, false),
            (None, Some(Part::Entries(_))) => (false, true),
            (Some(Part::Tree(_)), _) => {
                old.open();
                continue;
            }
            (_, Some(Part::Tree(_))) => {
                new.open();
                continue;
            }
        };
        let gone = from_old.then(|| old.take()).flatten();
        let come = from_new.then(|| new.take()).flatten();
        match (gone, come) {
            (Some((_, before)), Some((_, after))) if same(before, after) => {}
            (Some((key, _)), _) | (None, Some((key, _))) => {
                let [before, after] = [gone, come].map(|entry| entry.map(|(_, value)| value));
                changes.push(Change { key, before, after });
            }
            (None, None) => {}
        }
    }
}

// === impl Cursor ===

impl<'a, K, V> Cursor<'a, K, V> {
    /// Replaces the tree that comes next by its parts.
    fn open(&mut self) {
        match self.0.pop() {
            Some(Part::Tree(node)) => match &**node {
                Node::Leaf(entries) => self.0.push(Part::Entries(entries)),
                Node::Branch(children) => {
                    self.0.extend(children.iter().rev().map(|(_, child)| Part::Tree(child)));
                }
            },
            other => self.0.extend(other),
        }
    }

    /// The next entry, if it is not in a tree.
    fn take(&mut self) -> Option<(&'a K, &'a V)> {
        let Some(Part::Entries(entries)) = self.0.last_mut() else { return None };
        let ((key, value), rest) = entries.split_first()?;
        *entries = rest;
        if rest.is_empty() {
            self.0.pop();
        }
        Some((key, value))
    }
}

// === impl Node ===

impl<K, V> Node<K, V> {
    fn height(&self) -> usize {
        match self {
            Self::Leaf(_) => 0,
            Self::Branch(children) => 1 + children[0].1.height(),
        }
    }

    fn first(&self) -> &K {
        match self {
            Self::Leaf(entries) => &entries[0].0,
            Self::Branch(children) => children[0].1.first(),
        }
    }

    fn is_after(&self, key: &K) -> bool
    where
        K: Ord,
    {
        self.first() > key
    }
}
