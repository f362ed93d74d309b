//! Fanfare against the real Alertmanager: the same questions, the same answers.

mod generate;
mod grouped;
mod labels;
mod matchers;
mod oracle;
mod player;
mod timeline;
