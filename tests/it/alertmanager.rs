//! Fanfare against the real Alertmanager: the same questions, the same answers.
#![expect(clippy::unwrap_in_result, reason = "a test that can't go on fails")]

mod differences;
mod generate;
mod grouped;
mod hours;
mod labels;
mod life;
mod matchers;
mod muted;
mod oracle;
mod payload;
mod player;
mod quiet;
mod routes;
mod timeline;
