//! Sorted maps and sets that share what did not change. A leaf.
//!
//! A clone costs one counter; a change of a clone copies the nodes from the root to one leaf, some
//! hundred entries however many there are, and leaves all others shared with whoever holds an earlier
//! form. Of two forms that share, [`Map::changes_since`] looks only at what they don't share.
//!
//! # Why not a crate
//!
//! Of those with a licence that we can use none tells the difference of two maps without walking both,
//! and that is what every reader of a new snapshot asks for.

mod changes;
mod iter;
mod map;

pub use changes::Change;
pub use iter::Iter;
pub use map::{Map, Set};

#[cfg(test)]
mod tests;
