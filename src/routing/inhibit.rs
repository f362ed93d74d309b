//! Which alerts keep others quiet.

use super::Matchers;
use crate::alert::Labels;

/// Alertmanager's inhibition rule: while an alert fires that `source` takes, those that `target` takes and
/// that agree with it in all labels of `equal` are not notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InhibitRule {
    /// Alerts that keep others quiet.
    pub source: Matchers,
    /// Alerts that are kept quiet.
    pub target: Matchers,
    /// Labels in which both must agree; a missing one counts as empty. Sorted, each once.
    pub equal: Box<[Box<str>]>,
}

// === impl InhibitRule ===

impl InhibitRule {
    /// Whether both have the same values in all labels of `equal`.
    #[must_use]
    pub fn agrees(&self, source: &Labels, target: &Labels) -> bool {
        self.equal.iter().all(|name| source.get(name) == target.get(name))
    }
}
