//! How many alerts of one `alertname` fire, and how many may.

use hashbrown::HashMap;

use super::Phase;
use crate::alert::Labels;

/// Alerts that fire, by their `alertname`. Without a limit nothing is counted.
#[derive(Debug)]
pub(super) struct Quota {
    limit: usize,
    firing: HashMap<Box<str>, usize>,
}

// === impl Quota ===

impl Quota {
    /// At most `limit` alerts of one name; 0: as many as there are.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, firing: HashMap::new() }
    }

    /// Whether there may be one more with these labels. An alert without a name has the empty one.
    pub(super) fn admits(&self, labels: &Labels) -> bool {
        self.limit == 0 || self.firing.get(labels.get("alertname")).is_none_or(|n| *n < self.limit)
    }

    /// An alert passed from one phase to another; `None`: it is not held.
    pub(super) fn moved(&mut self, labels: &Labels, from: Option<Phase>, to: Option<Phase>) {
        let fires = to == Some(Phase::Firing);
        if self.limit == 0 || (from == Some(Phase::Firing)) == fires {
            return;
        }
        let name = labels.get("alertname");
        if fires {
            *self.firing.entry_ref(name).or_insert(0) += 1;
        } else if let Some(count) = self.firing.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.firing.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fire_no_more_take_no_memory() {
        let mut quota = Quota::new(1);
        let labels = Labels::from_iter([("alertname", "Down"), ("instance", "a")]);
        let (firing, over) = (Some(Phase::Firing), Some(Phase::Resolved));
        quota.moved(&labels, None, firing);
        assert!(!quota.admits(&labels) && quota.admits(&Labels::empty()));
        quota.moved(&labels, firing, over);
        quota.moved(&labels, over, None);
        assert!(quota.admits(&labels) && quota.firing.is_empty());
        let mut off = Quota::new(0);
        off.moved(&labels, None, firing);
        assert!(off.admits(&labels) && off.firing.is_empty());
    }
}
