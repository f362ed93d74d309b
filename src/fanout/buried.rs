//! What the store gave up on its own is counted and told like everything else that was given up.

use super::{ended::words, metrics::Metrics};
use crate::{api::Reason, registry::Notices, store::Buried};

/// Counts it, and has it told: once per target and reason, see [`Notices`].
pub fn note_buried(metrics: &Metrics, notices: &Notices, buried: &Buried) {
    let Buried { target, reason, count, alert } = buried;
    let what = match (count, alert.is_empty()) {
        (1, true) => "a notification".to_owned(),
        (1, false) => alert.clone(),
        (_, true) => format!("{count} notifications"),
        (_, false) => format!("{count} notifications (the last one about {alert})"),
    };
    let verb = if *count == 1 { "was" } else { "were" };
    let text = if let Some(reason) = reason {
        metrics.buried(*reason, *count);
        format!(
            "{what} {verb} given up ({}) while waiting on disk: {}; GET /api/v1/deadletters lists what was given up, POST …/replay sends it again",
            reason.as_str(),
            words(*reason),
        )
    } else {
        format!(
            "{what} {verb} not sent: the store can't read it any more and set it aside; look at the log for the reason and check the disk of --data-dir"
        )
    };
    notices.note(target.clone(), Reason::DeadLettered, text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::TargetKey, store::DeadReason};

    async fn told(reason: Option<DeadReason>, count: u64, alert: &str) -> (String, String) {
        let mut registry = crate::telemetry::registry();
        let metrics = Metrics::register(&mut registry);
        let notices = Notices::default();
        let target = TargetKey::new("a", "t");
        let buried = Buried { target, reason, count, alert: alert.to_owned() };
        note_buried(&metrics, &notices, &buried);
        let told = notices.drain().await;
        assert_eq!((told.len(), told[0].reason), (1, Reason::DeadLettered));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        (told[0].message.clone(), text)
    }

    #[tokio::test]
    async fn what_the_store_gave_up_is_counted_and_told() {
        let (message, metrics) = told(Some(DeadReason::QueueFull), 3, "DiskFull").await;
        let says = "3 notifications (the last one about DiskFull) were given up (queue_full)";
        assert!(message.starts_with(says), "{message}");
        assert!(message.contains("flow.queue.maxNotifications"), "{message}");
        let line = "fanfare_dead_letters_total{reason=\"queue_full\"} 3";
        assert!(metrics.contains(line), "{metrics}");
    }

    #[tokio::test]
    async fn what_can_not_be_read_is_told_and_is_no_dead_letter() {
        let (message, metrics) = told(None, 1, "").await;
        assert!(message.starts_with("a notification was not sent"), "{message}");
        let counted = |line: &str| line.contains("dead_letters_total{") && !line.ends_with(" 0");
        assert!(!metrics.lines().any(counted), "{metrics}");
    }
}
