//! Publishes Kubernetes events. Never waited for, never a reason to fail.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    bucket::Bucket,
    election::Leadership,
    ledger::{Ledger, ObjectKey},
    metrics::{Metrics, Published},
    transition::Note,
};
use crate::api::{GROUP, VERSION};

/// Events that wait for the API server.
const WAITING: usize = 2_048;
/// How long one event may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Events per second, and at once.
const BUDGET: (f64, f64) = (20.0, 200.0);
/// Events that are remembered, so that the next like one of them only counts it up. The recorder keeps each for
/// six minutes, at some 2 KiB, and walks all of them for each new one.
const REMEMBERED: usize = 400;
/// Longest note that the API takes, in bytes.
const LONGEST: usize = 1_000;

/// Where events are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Events {
    queue: mpsc::Sender<(ObjectReference, Note)>,
    leadership: Leadership,
    ledger: Ledger,
    metrics: Metrics,
}

/// Publishes what was handed in.
pub(super) struct Publisher {
    queue: mpsc::Receiver<(ObjectReference, Note)>,
    client: Client,
    reporter: Reporter,
    metrics: Metrics,
}

/// A place to hand events in, and the task that publishes them as `instance`.
pub(super) fn events(
    client: Client,
    instance: String,
    leadership: Leadership,
    (ledger, metrics): (Ledger, Metrics),
) -> (Events, Publisher) {
    let (sender, queue) = mpsc::channel(WAITING);
    let reporter = Reporter { controller: "fanfare".to_owned(), instance: Some(instance) };
    let publisher = Publisher { queue, client, reporter, metrics: metrics.clone() };
    (Events { queue: sender, leadership, ledger, metrics }, publisher)
}

// === impl Events ===

impl Events {
    /// Hands in an event about an object, if this process leads. The object may be gone: that is what
    /// some events are about. A full queue drops and counts it.
    pub(super) fn tell(&self, key: &ObjectKey, note: Note) {
        if self.leadership.until(Instant::now()).is_none() {
            return;
        }
        let seen = self.ledger.get(key);
        let reference = ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some(key.kind().as_str().to_owned()),
            namespace: Some(key.namespace().to_owned()),
            name: Some(key.name().to_owned()),
            uid: seen.map(|seen| seen.uid.to_string()),
            ..ObjectReference::default()
        };
        if self.queue.try_send((reference, note)).is_err() {
            self.metrics.event(Published::Error);
        }
    }
}

// === impl Publisher ===

impl Publisher {
    /// Publishes until `token` is cancelled or nobody can hand in events any more.
    pub(super) async fn run(mut self, token: CancellationToken) {
        let mut bucket = Bucket::new(BUDGET.0, BUDGET.1, Instant::now());
        let recorder = || Recorder::new(self.client.clone(), self.reporter.clone());
        let (mut remembering, mut remembered) = (recorder(), 0);
        loop {
            let next = tokio::select! {
                () = token.cancelled() => return,
                next = self.queue.recv() => next,
            };
            let Some((reference, note)) = next else { return };
            while let Err(wait) = bucket.take(Instant::now()) {
                tokio::time::sleep(wait).await;
            }
            let event = Event {
                type_: if note.warning { EventType::Warning } else { EventType::Normal },
                reason: note.reason.as_str().to_owned(),
                note: Some(shorten(note.text)),
                action: "Reconcile".to_owned(),
                secondary: None,
            };
            if remembered >= REMEMBERED {
                (remembering, remembered) = (recorder(), 0);
            }
            remembered += 1;
            let published =
                tokio::time::timeout(TIMEOUT, remembering.publish(&event, &reference)).await;
            if let Ok(Ok(())) = published {
                self.metrics.event(Published::Written);
            } else {
                self.metrics.event(Published::Error);
                let error = published.ok().and_then(Result::err).map(|error| error.to_string());
                debug!(reason = note.reason.as_str(), error, "Event not published");
            }
        }
    }
}

/// Cuts a note at a character's end.
fn shorten(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_notes_are_cut_at_a_character() {
        assert_eq!(shorten("short".to_owned()), "short");
        let cut = shorten("é".repeat(800));
        assert!(cut.len() <= LONGEST && cut.ends_with('…'), "{}", cut.len());
    }
}
