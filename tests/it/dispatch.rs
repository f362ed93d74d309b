//! What is owed to whom: the rules one by one, and against a model.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod digest;
mod disk;
mod edits;
mod endings;
mod every;
mod fallback;
mod groups;
mod health;
mod histories;
mod hours;
mod inhibition;
mod listing;
mod model;
mod quiet;
mod quota;
mod restarts;
mod retries;
mod rules;
mod scale;
mod senders;
mod silenced;
mod silences;
mod turning;
mod world;
