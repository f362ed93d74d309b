//! What only an alert has that was over before: there are few.

use std::sync::Arc;

use jiff::Timestamp;

use super::Held;
use crate::alert::Alert;

#[derive(Debug, Default)]
pub(super) struct Past {
    /// End of the last resolve that a sender sent.
    pub(super) last_end: Option<Timestamp>,
    pub(super) doubt: Option<Doubt>,
}

/// The alert fires again, but with a start before its last end: perhaps a slower sender.
#[derive(Debug)]
pub(super) struct Doubt {
    pub(super) until: Timestamp,
    pub(super) resolved: Arc<Alert>,
}

// === impl Past ===

impl Past {
    pub(super) fn restore(
        last_end: Option<Timestamp>,
        doubt: Option<(Timestamp, Arc<Alert>)>,
    ) -> Option<Box<Self>> {
        let any = last_end.is_some() || doubt.is_some();
        let doubt = doubt.map(|(until, resolved)| Doubt { until, resolved });
        any.then(|| Box::new(Self { last_end, doubt }))
    }
}

// === impl Held ===

impl Held {
    pub(super) fn doubt(&self) -> Option<&Doubt> {
        self.past.as_ref()?.doubt.as_ref()
    }

    /// What it says is doubted no more.
    pub(super) fn believe(&mut self) {
        if let Some(past) = &mut self.past {
            past.doubt = None;
        }
    }
}
