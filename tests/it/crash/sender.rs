//! Senders that behave as Prometheus does: they send a change until it is acknowledged, and keep a
//! record of what was.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::http::try_send;

/// Senders; each has an alert of its own that goes up and down.
const SENDERS: usize = 24;
const POST_AT_ONCE: usize = 6;
const TEAMS: usize = 4;

#[derive(Default)]
pub(super) struct Senders {
    pub(super) all: Vec<Sender>,
    next: usize,
}

/// One alert and what is known about it.
pub(super) struct Sender {
    pub(super) name: String,
    /// Alerts of one team are one group.
    team: usize,
    /// Every change that was ever sent, in order.
    pub(super) changes: Vec<Change>,
}

/// One state of an alert.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) starts_at: Timestamp,
    /// `None` while it fires.
    pub(super) ends_at: Option<Timestamp>,
    pub(super) acknowledged: bool,
}

// === impl Senders ===

impl Senders {
    /// Posts changes until the time is up; the last ones may be cut off by then.
    pub(super) async fn post_for(&mut self, url: &str, time: Duration) {
        self.fill();
        let end = Instant::now() + time;
        while Instant::now() < end {
            let turn: Vec<usize> =
                (0..POST_AT_ONCE).map(|step| (self.next + step) % SENDERS).collect();
            self.next = (self.next + POST_AT_ONCE) % SENDERS;
            for at in &turn {
                self.all[*at].change();
            }
            self.post(url, &turn).await;
        }
        // One more that nobody waits for: it is under way when the program is killed.
        let at = self.next;
        self.all[at].change();
        let body = Bytes::from(json!([self.all[at].wire()]).to_string());
        let url = url.to_owned();
        tokio::spawn(async move { try_send(Method::POST, &url, &JSON, body).await });
    }

    /// Sends what was not acknowledged, then every alert's end for half of them.
    pub(super) async fn finish(&mut self, url: &str) {
        self.fill();
        let all: Vec<usize> = (0..SENDERS).collect();
        for at in all.iter().step_by(2) {
            self.all[*at].end();
        }
        while self.all.iter().any(|sender| !sender.is_acknowledged()) {
            self.post(url, &all).await;
        }
    }

    /// Changes that were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        let changes = self.all.iter().flat_map(|sender| &sender.changes);
        changes.filter(|change| change.acknowledged).count()
    }

    fn fill(&mut self) {
        while self.all.len() < SENDERS {
            let number = self.all.len();
            let name = format!("Alert{number}");
            self.all.push(Sender { name, team: number % TEAMS, changes: Vec::new() });
        }
    }

    async fn post(&mut self, url: &str, which: &[usize]) {
        let with_state: Vec<usize> =
            which.iter().copied().filter(|at| !self.all[*at].changes.is_empty()).collect();
        let body: Vec<Value> = with_state.iter().map(|at| self.all[*at].wire()).collect();
        let body = Bytes::from(Value::from(body).to_string());
        let answer = try_send(Method::POST, url, &JSON, body).await;
        if answer.is_ok_and(|answer| answer.status.is_success()) {
            for at in with_state {
                self.all[at].acknowledge();
            }
        }
    }
}

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

// === impl Sender ===

impl Sender {
    /// Goes to the next state, if the present one is acknowledged: senders repeat a change until it is.
    fn change(&mut self) {
        // Payloads carry milliseconds.
        let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).expect("now");
        let next = match self.changes.last() {
            Some(last) if !last.acknowledged => return,
            Some(Change { starts_at, ends_at: None, .. }) => {
                Change { starts_at: *starts_at, ends_at: Some(now), acknowledged: false }
            }
            // Clearly after the end before: a new incident.
            Some(Change { ends_at: Some(end), .. }) => {
                let starts_at = now.max(*end + SignedDuration::from_millis(1));
                Change { starts_at, ends_at: None, acknowledged: false }
            }
            None => Change { starts_at: now, ends_at: None, acknowledged: false },
        };
        self.changes.push(next);
    }

    fn end(&mut self) {
        while self.changes.last().is_none_or(|last| last.ends_at.is_none()) {
            let before = self.changes.len();
            self.change();
            if self.changes.len() == before {
                // Not acknowledged yet: it ends without having been acknowledged.
                let last = self.changes.last_mut().expect("it has a state");
                last.acknowledged = true;
                self.change();
                let at = self.changes.len() - 2;
                self.changes[at].acknowledged = false;
            }
        }
    }

    fn acknowledge(&mut self) {
        if let Some(last) = self.changes.last_mut() {
            last.acknowledged = true;
        }
    }

    fn is_acknowledged(&self) -> bool {
        self.changes.last().is_none_or(|last| last.acknowledged)
    }

    fn wire(&self) -> Value {
        let last = self.changes.last().expect("only alerts with a state are sent");
        let mut alert = json!({
            "labels": {"alertname": self.name, "severity": "critical", "team": self.team.to_string()},
            "startsAt": last.starts_at.to_string(),
        });
        if let Some(end) = last.ends_at {
            alert["endsAt"] = json!(end.to_string());
        }
        alert
    }
}
