//! Somebody who silences two alerts now and then, and keeps a record of what was acknowledged.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use fastrand::Rng;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::receivers::{AUDIT, Receivers};
use crate::support::{
    http::{get, try_send},
    operator::Operator,
};

/// The alerts that are silenced now and then.
const SILENCED: [&str; 2] = ["Alert3", "Alert8"];
/// A silence stops what is owed within this time.
const EFFECT: Duration = Duration::from_secs(1);
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// See the module.
#[derive(Default)]
pub(super) struct Silencer {
    /// The silence that holds, and since when it is acknowledged.
    active: Option<(String, Instant)>,
    /// Whether each acknowledged silence holds; `None`: nobody knows.
    states: BTreeMap<String, Option<bool>>,
    /// While the alerts were surely silenced.
    spans: Vec<(Instant, Instant)>,
}

pub(super) fn is_silenced(alert: &str) -> bool {
    SILENCED.contains(&alert)
}

// === impl Silencer ===

impl Silencer {
    /// Silences, or ends the silence, or does neither.
    pub(super) async fn act(&mut self, operator: &Operator, rng: &mut Rng) {
        match self.active.take() {
            Some((id, since)) if rng.u8(0..3) == 0 => self.end(operator, id, since).await,
            None if rng.bool() => self.begin(operator).await,
            active => self.active = active,
        }
    }

    async fn begin(&mut self, operator: &Operator) {
        let end = Timestamp::now() + Duration::from_hours(1);
        let pattern = SILENCED.join("|");
        let silence = json!({
            "matchers": [{"name": "alertname", "value": pattern, "isRegex": true}],
            "startsAt": Timestamp::now().to_string(), "endsAt": end.to_string(),
            "createdBy": "silencer", "comment": "quiet",
        });
        let url = operator.api_url("/api/v2/silences");
        let answer = try_send(Method::POST, &url, &JSON, silence.to_string().into()).await;
        if let Ok(answer) = answer
            && answer.status.is_success()
        {
            let id = answer.json()["silenceID"].as_str().expect("an id").to_owned();
            self.states.insert(id.clone(), Some(true));
            self.active = Some((id, Instant::now()));
        }
    }

    async fn end(&mut self, operator: &Operator, id: String, since: Instant) {
        self.spans.push((since, Instant::now()));
        self.states.insert(id.clone(), None);
        let url = operator.api_url(&format!("/api/v2/silence/{id}"));
        let answer = try_send(Method::DELETE, &url, &[], Bytes::new()).await;
        if answer.is_ok_and(|answer| answer.status.is_success()) {
            self.states.insert(id, Some(false));
        }
    }

    /// Ends every silence. Returns what is wrong with those that are there.
    pub(super) async fn finish(&mut self, operator: &Operator) -> Vec<String> {
        let list = get(&operator.api_url("/api/v2/silences")).await.json();
        let held: BTreeMap<&str, bool> = list
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| (one["id"].as_str().expect("an id"), is_active(one)))
            .collect();
        let mut faults = Vec::new();
        for (id, known) in &self.states {
            let holds = held.get(id.as_str()).copied();
            if holds.is_none() || known.is_some_and(|known| holds != Some(known)) {
                faults.push(format!("silence {id}: acknowledged {known:?}, found {holds:?}"));
            }
        }
        if let Some((_, since)) = self.active.take() {
            self.spans.push((since, Instant::now()));
        }
        for (id, _) in held.into_iter().filter(|(_, active)| *active) {
            let url = operator.api_url(&format!("/api/v2/silence/{id}"));
            let answer = try_send(Method::DELETE, &url, &[], Bytes::new()).await;
            assert!(answer.is_ok_and(|answer| answer.status.is_success()), "silence {id}");
        }
        faults
    }

    /// What was told of silenced alerts. Who needs every transition gets those of before the silence during it.
    pub(super) fn faults(&self, receivers: &Receivers) -> Vec<String> {
        let mut faults = Vec::new();
        for (receiver, all) in receivers.notified().into_iter().filter(|(name, _)| *name != AUDIT) {
            for one in all {
                let silenced =
                    self.spans.iter().any(|(from, to)| *from + EFFECT < one.at && one.at < *to);
                let loud = one.members.iter().find(|member| is_silenced(&member.alert));
                if let Some(loud) = loud.filter(|_| silenced) {
                    faults.push(format!("{receiver}: {loud:?} came while it was silenced"));
                }
            }
        }
        faults
    }

    /// How often the alerts were silenced.
    pub(super) fn times(&self) -> usize {
        self.spans.len()
    }
}

fn is_active(silence: &Value) -> bool {
    silence["status"]["state"] == "active"
}
