//! How a route puts alerts together into groups.

use std::time::Duration;

use crate::alert::Labels;

/// Alertmanager's `group_by`, `group_wait` and `group_interval`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Which labels make a group.
    pub by: GroupBy,
    /// How long a new group waits for company before its first notification. Zero: not at all.
    pub wait: Duration,
    /// How long a group that was notified waits before it is looked at again. More than zero.
    pub interval: Duration,
}

/// Which labels make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// All of them (`['...']`): every alert is a group of its own.
    All,
    /// These; none (`[]`) puts everything into one group.
    Labels(Box<[Box<str>]>),
}

// === impl GroupBy ===

impl GroupBy {
    /// The labels of the group that an alert belongs to. A label that the alert lacks is left out, as in
    /// Alertmanager.
    #[must_use]
    pub fn labels_of(&self, labels: &Labels) -> Labels {
        match self {
            Self::All => labels.clone(),
            Self::Labels(names) => names.iter().map(|name| (name, labels.get(name))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_that_is_missing_is_left_out_of_the_group() {
        let alert = Labels::from_iter([("alertname", "Down"), ("team", "a")]);
        let by = GroupBy::Labels(["alertname".into(), "zone".into()].into());
        assert_eq!(by.labels_of(&alert), Labels::from_iter([("alertname", "Down")]));
        assert_eq!(GroupBy::Labels([].into()).labels_of(&alert), Labels::empty());
        assert_eq!(GroupBy::All.labels_of(&alert), alert);
    }
}
