//! Fanfare against the real Alertmanager: the same questions, the same answers.

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
