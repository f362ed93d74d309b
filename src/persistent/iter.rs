//! Walking a map in order.

use std::{slice, sync::Arc};

use super::map::Node;

type Children<'a, K, V> = slice::Iter<'a, (K, Arc<Node<K, V>>)>;

/// Entries of a [`Map`](super::Map), sorted by key.
pub struct Iter<'a, K, V> {
    /// What is left of each branch on the way to the leaf.
    branches: Vec<Children<'a, K, V>>,
    leaf: slice::Iter<'a, (K, V)>,
    /// Entries of the whole map: no more than so many are left.
    most: usize,
}

// === impl Iter ===

impl<'a, K, V> Iter<'a, K, V> {
    pub(super) fn new(
        root: Option<&'a Node<K, V>>,
        most: usize,
        before: impl Fn(&K) -> bool,
    ) -> Self {
        let mut iter = Self { branches: Vec::new(), leaf: [].iter(), most };
        let mut next = root;
        while let Some(node) = next.take() {
            match node {
                Node::Leaf(entries) => {
                    let first = entries.partition_point(|(key, _)| before(key));
                    iter.leaf = entries[first..].iter();
                }
                Node::Branch(children) => {
                    let at = children[1..].partition_point(|(least, _)| before(least));
                    iter.branches.push(children[at + 1..].iter());
                    next = Some(&children[at].1);
                }
            }
        }
        iter
    }

    fn descend(&mut self, mut node: &'a Node<K, V>) {
        loop {
            match node {
                Node::Leaf(entries) => {
                    self.leaf = entries.iter();
                    return;
                }
                Node::Branch(children) => {
                    let mut children = children.iter();
                    let Some((_, first)) = children.next() else { return };
                    self.branches.push(children);
                    node = first;
                }
            }
        }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.leaf.next() {
                return Some((key, value));
            }
            match self.branches.last_mut()?.next() {
                Some((_, node)) => self.descend(node),
                None => {
                    self.branches.pop();
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.leaf.len(), Some(self.most))
    }
}
