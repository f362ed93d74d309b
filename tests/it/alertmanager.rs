//! Fanfare against the real Alertmanager: the same questions, the same answers.

mod generate;
mod labels;
mod matchers;
mod oracle;
