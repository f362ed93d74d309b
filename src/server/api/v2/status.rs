//! `GET /api/v2/status` and `/api/v2/receivers`.

use axum::{
    Json,
    extract::State,
    http::{Uri, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use super::{
    config,
    params::{BadParam, Params},
    select::labels,
    write::time,
};
use crate::server::Server;

/// A cluster of its own kind of one: what Alertmanager says when its gossip is off.
pub(super) async fn status(State(server): State<Server>) -> Response {
    let (snapshot, started) = (server.snapshot.borrow().clone(), server.started);
    let original = tokio::task::spawn_blocking(move || config::original(&snapshot)).await;
    Json(json!({
        "cluster": { "peers": [], "status": "disabled" },
        "config": { "original": original.unwrap_or_default() },
        "uptime": time(started),
        "versionInfo": {
            "branch": "",
            "buildDate": "",
            "buildUser": "",
            "goVersion": "",
            "revision": "",
            "version": concat!("fanfare/", env!("CARGO_PKG_VERSION")),
        },
    }))
    .into_response()
}

/// One for each `PublishTarget`, usable or not.
pub(super) async fn receivers(State(server): State<Server>, uri: Uri) -> Response {
    let wanted = match Params::new(&uri).receivers() {
        Ok(wanted) => wanted,
        Err(bad) => return BadParam::into(bad),
    };
    let snapshot = server.snapshot.borrow().clone();
    let shown = snapshot.targets.keys().filter_map(|key| {
        let labels = labels(&snapshot, key);
        let map: serde_json::Map<String, Value> =
            labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        wanted.labelled(&labels).then(|| json!({ "labels": map, "name": key.to_string() }))
    });
    let body = format!("{}\n", Value::Array(shown.collect()));
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
