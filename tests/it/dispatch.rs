//! What is owed to whom: the rules one by one, and against a model.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod edits;
mod endings;
mod every;
mod health;
mod model;
mod restarts;
mod retries;
mod rules;
mod scale;
mod senders;
mod world;
