//! `GET /api/v1/deliveries`: the last attempts and outcomes, newest first: was this alert sent, to
//! whom, with what answer.

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::Uri, response::Response};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    fields::{self, List},
    page::{self, Want},
    query::Query,
};
use crate::{
    alert::{Fingerprint, Labels, cut_name},
    publish::ErrorType,
    server::{Server, error::ApiError},
    store::{AttemptRecord, DeliveryFilter},
};

const PARAMETERS: [&str; 7] =
    ["fingerprint", "labels", "alertname", "target", "since", "limit", "cursor"];

pub(super) async fn list(State(server): State<Server>, uri: Uri) -> Result<Response, ApiError> {
    let query = Query::parse(&uri, &PARAMETERS)?;
    let (filter, before) = conditions(&query, Timestamp::now())?;
    let json = server
        .reads
        .run(&server.store, move |store, deadline| {
            let want = Want { limit: filter.limit, chunk: filter.limit, before, deadline };
            let read = |before, limit| {
                store.deliveries(&DeliveryFilter { before, limit, ..filter.clone() })
            };
            page::write(want, read, show, |at| List::Deliveries.cursor(at))
        })
        .await?;
    Ok(page::answer(json))
}

fn conditions(query: &Query, now: Timestamp) -> Result<(DeliveryFilter, Option<u64>), ApiError> {
    let fingerprint = query.read("fingerprint", fields::fingerprint)?;
    let labels = query.read("labels", labels)?;
    if fingerprint.is_some() && labels.is_some() {
        return Err(ApiError::invalid(
            "fingerprint and labels both name the alert; give one of them",
        ));
    }
    let filter = DeliveryFilter {
        fingerprint: fingerprint.or(labels),
        alert: query.read("alertname", alert_name)?,
        target: query.read("target", fields::target)?,
        since: query.read("since", |text| fields::since(text, now))?,
        before: None,
        limit: query.read("limit", fields::limit)?.unwrap_or(fields::PAGE),
    };
    let alert = filter.fingerprint.is_some() || filter.alert.is_some();
    if !alert && filter.target.is_none() && filter.since.is_none() {
        return Err(ApiError::invalid(
            "say which deliveries: fingerprint= or labels= (an alert), alertname=, target=namespace/name, or since=1h",
        ));
    }
    let before = query.read("cursor", |text| List::Deliveries.read_cursor(text))?;
    Ok((filter, before))
}

/// A name as the history has it: cut.
fn alert_name(text: &str) -> Result<Arc<str>, ApiError> {
    if text.is_empty() {
        return Err(ApiError::invalid("alertname is empty; leave it out for alerts of any name"));
    }
    Ok(cut_name(text).into())
}

/// All labels of an alert, as a JSON object.
fn labels(text: &str) -> Result<Fingerprint, ApiError> {
    let labels: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| {
        ApiError::invalid(format!(
            "labels is not a JSON object of texts ({error}); give all labels of the alert: curl -G --data-urlencode 'labels={{\"alertname\": \"X\"}}'"
        ))
    })?;
    Ok(Labels::from_iter(labels).fingerprint())
}

fn show(record: &AttemptRecord) -> Value {
    json!({
        "at": record.at,
        "fingerprint": record.fingerprints.first().map(ToString::to_string),
        "alerts": record.alerts,
        "alertname": record.alert.as_deref(),
        "alertnames": record.names.iter().map(|name| &**name).collect::<Vec<&str>>(),
        "notification_id": &*record.notification,
        "status": record.status.as_str(),
        "target": record.target.to_string(),
        "route": record.route.as_ref().map(ToString::to_string),
        "attempt": record.attempt,
        "outcome": record.outcome.as_str(),
        "error_type": record.error_type.map(ErrorType::as_str),
        "status_code": record.status_code,
        "duration_ms": record.duration.as_millis(),
    })
}
