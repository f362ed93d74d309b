//! What is owed to whom: the rules one by one, and against a model.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod edits;
mod model;
mod rules;
mod senders;
mod world;
