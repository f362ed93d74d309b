//! One warning per target and reason in a minute: a target that fails a thousand times is one fact.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hashbrown::HashMap;
use tokio::time::Instant;

use crate::api::{Reason, TargetKey};

/// Time between two warnings of one kind.
const EVERY: Duration = Duration::from_mins(1);
/// Kinds remembered before those that have nothing new to say are forgotten.
const MANY: usize = 4_096;

/// Decides which failures are worth a line in the log.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<HashMap<(TargetKey, Reason), Complaint>>);

#[derive(Debug)]
struct Complaint {
    last: Instant,
    silent: u64,
}

// === impl Complaints ===

impl Complaints {
    /// How many failures a warning now stands for; `None`: none is due.
    pub(crate) fn due(&self, target: &TargetKey, reason: Reason, now: Instant) -> Option<u64> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MANY {
            known.retain(|_, complaint| now.saturating_duration_since(complaint.last) < EVERY);
        }
        let Some(complaint) = known.get_mut(&(target.clone(), reason)) else {
            // A flood of kinds is a flood of lines: nothing is remembered, nothing is said.
            return (known.len() < MANY).then(|| {
                known.insert((target.clone(), reason), Complaint { last: now, silent: 0 });
                1
            });
        };
        complaint.silent += 1;
        if now.saturating_duration_since(complaint.last) < EVERY {
            return None;
        }
        complaint.last = now;
        Some(std::mem::take(&mut complaint.silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_warning_per_target_and_reason_in_a_minute_with_a_count() {
        let complaints = Complaints::default();
        let (a, b) = (TargetKey::new("ns", "a"), TargetKey::new("ns", "b"));
        let due = |target, reason| complaints.due(target, reason, Instant::now());
        assert_eq!(due(&a, Reason::Timeout), Some(1));
        for _ in 0..41 {
            assert_eq!(due(&a, Reason::Timeout), None);
        }
        assert_eq!(due(&b, Reason::Timeout), Some(1), "another target");
        assert_eq!(due(&a, Reason::ServerError), Some(1), "another reason");
        tokio::time::advance(EVERY).await;
        assert_eq!(due(&a, Reason::Timeout), Some(42), "the silent ones are counted");
        assert_eq!(due(&a, Reason::Timeout), None);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded() {
        let complaints = Complaints::default();
        for number in 0..2 * MANY {
            let target = TargetKey::new("ns", &number.to_string());
            complaints.due(&target, Reason::Timeout, Instant::now());
        }
        assert_eq!(complaints.0.lock().unwrap().len(), MANY);
        tokio::time::advance(EVERY).await;
        let due = complaints.due(&TargetKey::new("ns", "new"), Reason::Timeout, Instant::now());
        assert_eq!(due, Some(1));
        assert_eq!(complaints.0.lock().unwrap().len(), 1);
    }
}
