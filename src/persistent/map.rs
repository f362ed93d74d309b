//! The tree: all leaves at one depth, entries in the leaves only.

use std::{borrow::Borrow, fmt, mem, ops::Index, sync::Arc};

use super::{Change, Iter};

/// Most entries of a leaf, and most children of a branch.
pub(super) const WIDTH: usize = 32;
/// A node with fewer is joined with its neighbour if both fit into one.
const SPARSE: usize = WIDTH / 4;

/// A sorted map whose clones share all that none of them changed.
#[derive(Clone)]
pub struct Map<K, V> {
    pub(super) root: Option<Arc<Node<K, V>>>,
    len: usize,
}

/// A sorted set whose clones share all that none of them changed.
#[derive(Clone)]
pub struct Set<K>(Map<K, ()>);

#[derive(Clone)]
pub(super) enum Node<K, V> {
    Leaf(Vec<(K, V)>),
    /// No key of a child is less than the one that stands with it; what stands with the first is not
    /// looked at.
    Branch(Vec<(K, Arc<Self>)>),
}

/// The right half of a node that became too wide, and its least key.
type Split<K, V> = Option<(K, Arc<Node<K, V>>)>;

// === impl Map ===

impl<K, V> Map<K, V> {
    /// Number of entries.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries, sorted.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, V> {
        self.iter_from(|_| false)
    }

    /// The entries from the first one that is not `before` what is looked for.
    pub fn iter_from(&self, before: impl Fn(&K) -> bool) -> Iter<'_, K, V> {
        Iter::new(self.root.as_deref(), self.len, before)
    }

    /// The keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values, sorted by key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Calls `visit` with every entry, sorted; allocates nothing.
    pub fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        if let Some(root) = &self.root {
            root.for_each(&mut visit);
        }
    }

    /// Whether both are one allocation, and therefore equal.
    #[must_use]
    pub fn shares(&self, other: &Self) -> bool {
        match (&self.root, &other.root) {
            (None, None) => true,
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl<K: Ord, V> Map<K, V> {
    /// The value of `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let mut node = self.root.as_deref()?;
        loop {
            match node {
                Node::Branch(children) => node = &children[child(children, key)].1,
                Node::Leaf(entries) => return find(entries, key).ok().map(|at| &entries[at].1),
            }
        }
    }

    /// Whether there is an entry of that name.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// What differs from an earlier form, sorted by key; values that are the `same` do not. Costs as much
    /// as is not shared.
    pub fn changes_since<'a>(
        &'a self,
        before: &'a Self,
        same: impl Fn(&V, &V) -> bool,
    ) -> Vec<Change<'a, K, V>> {
        super::changes::between(before.root.as_ref(), self.root.as_ref(), same)
    }
}

impl<K: Clone + Ord, V: Clone> Map<K, V> {
    /// Adds or replaces an entry; answers the value that was there.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Some(root) = &mut self.root else {
            self.root = Some(Arc::new(Node::Leaf(vec![(key, value)])));
            self.len = 1;
            return None;
        };
        let (old, split) = Node::insert(root, key, value);
        if let Some((key, right)) = split {
            let left = (key.clone(), root.clone());
            *root = Arc::new(Node::Branch(vec![left, (key, right)]));
        }
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes an entry; answers its value.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        // What is not there must not cost a copy of the way to it.
        if !self.contains_key(key) {
            return None;
        }
        let root = self.root.as_mut()?;
        let old = Node::remove(root, key);
        match &**root {
            Node::Leaf(entries) if entries.is_empty() => self.root = None,
            Node::Branch(children) if children.len() == 1 => *root = children[0].1.clone(),
            _ => {}
        }
        self.len -= usize::from(old.is_some());
        old
    }

    /// The value of `key`, to change it.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        if !self.contains_key(key) {
            return None;
        }
        let mut node = self.root.as_mut()?;
        loop {
            match Arc::make_mut(node) {
                Node::Branch(children) => {
                    let at = child(children, key);
                    node = &mut children[at].1;
                }
                Node::Leaf(entries) => {
                    return find(entries, key).ok().map(|at| &mut entries[at].1);
                }
            }
        }
    }
}

// === impl Node ===

/// The child that holds `key` if any does.
fn child<K: Borrow<Q>, V, Q: Ord + ?Sized>(children: &[(K, Arc<Node<K, V>>)], key: &Q) -> usize {
    children[1..].partition_point(|(least, _)| least.borrow() <= key)
}

fn find<K: Borrow<Q>, V, Q: Ord + ?Sized>(entries: &[(K, V)], key: &Q) -> Result<usize, usize> {
    entries.binary_search_by(|(known, _)| known.borrow().cmp(key))
}

impl<K, V> Node<K, V> {
    fn for_each(&self, visit: &mut impl FnMut(&K, &V)) {
        match self {
            Self::Leaf(entries) => entries.iter().for_each(|(key, value)| visit(key, value)),
            Self::Branch(children) => children.iter().for_each(|(_, child)| child.for_each(visit)),
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Branch(children) => children.len(),
        }
    }
}

impl<K: Clone + Ord, V: Clone> Node<K, V> {
    fn insert(node: &mut Arc<Self>, key: K, value: V) -> (Option<V>, Split<K, V>) {
        match Arc::make_mut(node) {
            Self::Leaf(entries) => match find(entries, &key) {
                Ok(at) => (Some(mem::replace(&mut entries[at].1, value)), None),
                Err(at) => {
                    entries.insert(at, (key, value));
                    (None, halve(entries, Self::Leaf))
                }
            },
            Self::Branch(children) => {
                let at = child(children, &key);
                let (old, split) = Self::insert(&mut children[at].1, key, value);
                if let Some(right) = split {
                    children.insert(at + 1, right);
                }
                (old, halve(children, Self::Branch))
            }
        }
    }

    fn remove<Q: Ord + ?Sized>(node: &mut Arc<Self>, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        match Arc::make_mut(node) {
            Self::Leaf(entries) => find(entries, key).ok().map(|at| entries.remove(at).1),
            Self::Branch(children) => {
                let at = child(children, key);
                let old = Self::remove(&mut children[at].1, key);
                match children[at].1.width() {
                    0 => {
                        children.remove(at);
                    }
                    width if width < SPARSE => join(children, at),
                    _ => {}
                }
                old
            }
        }
    }

    /// Adds what stands right of it; `least` is the least key there.
    fn append(&mut self, least: &K, right: &Self) {
        match (self, right) {
            (Self::Leaf(entries), Self::Leaf(more)) => entries.extend_from_slice(more),
            (Self::Branch(children), Self::Branch(more)) => {
                let first = children.len();
                children.extend_from_slice(more);
                children[first].0 = least.clone();
            }
            _ => unreachable!("all leaves are at one depth"),
        }
    }
}

/// Splits off the right half of what became too wide.
fn halve<K: Clone, V, T>(
    all: &mut Vec<(K, T)>,
    node: impl Fn(Vec<(K, T)>) -> Node<K, V>,
) -> Split<K, V> {
    (all.len() > WIDTH).then(|| {
        let right = all.split_off(all.len() / 2);
        (right[0].0.clone(), Arc::new(node(right)))
    })
}

/// Joins the child with a neighbour if both fit into one.
fn join<K: Clone + Ord, V: Clone>(children: &mut Vec<(K, Arc<Node<K, V>>)>, at: usize) {
    let left = at.min(children.len().saturating_sub(2));
    let [(_, first), (least, second)] = &mut children[left..][..2] else { return };
    if first.width() + second.width() <= WIDTH {
        Arc::make_mut(first).append(least, second);
        children.remove(left + 1);
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self { root: None, len: 0 }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Clone + Ord, V: Clone> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Ord + Borrow<Q>, Q: Ord + ?Sized, V> Index<&Q> for Map<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("there is an entry of that name")
    }
}

// === impl Set ===

impl<K> Set<K> {
    /// Number of members.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    /// The members from the first one that is not `before` what is looked for.
    pub fn iter_from(&self, before: impl Fn(&K) -> bool) -> impl Iterator<Item = &K> {
        self.0.iter_from(before).map(|(key, ())| key)
    }

    /// Calls `visit` with every member, sorted; allocates nothing.
    pub fn for_each(&self, mut visit: impl FnMut(&K)) {
        self.0.for_each(|key, ()| visit(key));
    }
}

impl<K: Clone + Ord> Set<K> {
    /// Whether it is there.
    pub fn contains(&self, member: &K) -> bool {
        self.0.contains_key(member)
    }

    /// Adds a member; answers whether it is new.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Removes a member; answers whether it was there.
    pub fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self(Map::default())
    }
}

impl<K: fmt::Debug> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Clone + Ord> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(members: I) -> Self {
        Self(members.into_iter().map(|member| (member, ())).collect())
    }
}
