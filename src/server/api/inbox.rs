//! `GET /api/v1/inbox`: what Log targets received last, newest first.

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};

use crate::{
    alert::{Labels, Member},
    server::Server,
};

/// Notifications shown.
const SHOWN: usize = 100;

pub(super) async fn recent(State(server): State<Server>) -> Json<Value> {
    let items: Vec<_> = server
        .inbox
        .recent(SHOWN)
        .iter()
        .map(|entry| {
            json!({
                "target": entry.target.to_string(),
                "at": entry.at,
                "status": entry.notification.status.as_str(),
                "alerts": entry.notification.members.iter().map(member).collect::<Vec<_>>(),
            })
        })
        .collect();
    Json(json!({ "items": items }))
}

fn member(member: &Member) -> Value {
    json!({
        "status": member.status.as_str(),
        "labels": map(&member.alert.labels),
        "annotations": map(&member.alert.annotations),
        "startsAt": member.alert.starts_at,
        "fingerprint": member.alert.labels.fingerprint().to_string(),
    })
}

/// Labels or annotations as an object.
pub(super) fn map(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}
