//! Why a circuit is open.

use jiff::Timestamp;

use super::View;
use crate::{
    api::Reason,
    registry::{Depth, SampleFailure},
};

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::registry) enum Fault {
    Theirs,
    MaybeOurs,
    SurelyOurs,
}

/// A delivery that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) fault: Fault,
    pub(super) depth: Depth,
    reason: Reason,
    message: String,
}

/// Why it opened.
#[derive(Debug, Default)]
pub(super) struct Cause {
    pub(super) reason: Option<Reason>,
    pub(super) text: String,
    /// How deep the last failure was: what a check must reach to say anything.
    pub(super) depth: Option<Depth>,
    /// When it opened first; trials that fail do not move it.
    pub(super) opened: Option<Timestamp>,
}

// === impl Failed ===

impl Failed {
    pub(super) fn new(failure: &SampleFailure, fault: Fault) -> Self {
        let SampleFailure { reason, depth, message, .. } = failure;
        Self { fault, depth: *depth, reason: *reason, message: message.clone() }
    }
}

// === impl Cause ===

impl Cause {
    pub(super) fn new(why: String, last: Option<&Failed>, now: Timestamp) -> Self {
        let text = match last {
            Some(last) => format!("{why}, the last one: {}", last.message),
            None => why,
        };
        let (reason, depth) = (last.map(|last| last.reason), last.map(|last| last.depth));
        Self { reason, text, depth, opened: Some(now) }
    }

    /// What is known of it after a restart. Any check may end it.
    pub(super) fn restored(view: &View) -> Self {
        Self { reason: view.reason, text: view.message.clone(), depth: None, opened: view.since }
    }
}
