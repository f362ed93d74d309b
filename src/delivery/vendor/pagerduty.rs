//! PagerDuty: Events API v2. The incident key is the `dedup_key`, so repeats join the open alert.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Address, Answer, Reader, Refusal, Rendered, Vendor, Verdict, member_missing};
use crate::{
    alert::{Member, Notification, Status},
    api::{PagerDutySeverity, PublishTargetSpec, TargetType},
    delivery::{
        classify::by_status,
        credentials::{endpoint, extend_path, parse_url},
        text,
    },
    registry::{ProbePlan, Target},
};

/// Longest body that Alertmanager dares to send; the documentation says 512 KB.
const MAX_BODY: usize = 512_000;
/// Longest summary, in characters.
const MAX_SUMMARY: usize = 1_024;
/// Longest of the fields without a stated limit.
const MAX_FIELD: usize = 1_024;
/// Members whose labels and annotations are listed in the details.
const MAX_LISTED: usize = 100;
/// What stands in for details that make the event too large.
const DETAILS_DROPPED: &str = "details left out by Fanfare: the event would be larger than PagerDuty's limit of 512,000 bytes";

/// See the module.
pub(super) struct PagerDuty;

impl Vendor for PagerDuty {
    fn kind(&self) -> TargetType {
        TargetType::PagerDuty
    }

    fn address(&self, spec: &PublishTargetSpec, reader: &Reader) -> Result<Address, Refusal> {
        let member = spec.pager_duty.as_ref();
        let member = member.ok_or_else(|| member_missing(self.kind(), "pagerDuty"))?;
        let mut url = parse_url(member.endpoint()).map_err(|wrong| {
            Refusal::spec(format!("spec.pagerDuty.endpoint is not a usable URL: {wrong}"))
        })?;
        url.set_query(None);
        extend_path(&mut url, &["v2", "enqueue"]);
        let key = reader.token(&member.routing_key_secret_ref)?;
        if key.expose().len() != 32 || !key.expose().bytes().all(|b| b.is_ascii_alphanumeric()) {
            let name = reader.name(&member.routing_key_secret_ref);
            return Err(Refusal::content(format!(
                "{name} is not a routing key: PagerDuty's have 32 letters and digits; copy the Integration Key \
                 of an Events API v2 integration"
            )));
        }
        Ok(Address { body_credential: Some(key), ..Address::post(endpoint(url)?) })
    }

    /// The one request that would prove the key counts against the rate limit of real alerts.
    fn auto_probe(&self) -> ProbePlan {
        ProbePlan::Connect
    }

    fn render(&self, target: &Target, notification: &Notification, _: Timestamp) -> Rendered {
        let mut event = match notification.status {
            Status::Firing => trigger(target, notification),
            Status::Resolved => Map::from_iter([("event_action".to_owned(), json!("resolve"))]),
        };
        let key = target.body_credential.as_ref().map_or("", |key| key.expose());
        event.insert("routing_key".to_owned(), key.into());
        event.insert("dedup_key".to_owned(), (*notification.incident_key).into());
        let mut event = Value::Object(event);
        let mut body = event.to_string();
        if body.len() > MAX_BODY {
            event["payload"]["custom_details"] = json!({ "note": DETAILS_DROPPED });
            body = event.to_string();
        }
        Rendered::json_bytes(body.into())
    }

    /// A refused routing key is a 400 like any other; only its texts tell it apart.
    fn judge(&self, answer: &Answer<'_>) -> Verdict {
        if answer.status.as_u16() == 400 && refuses_key(answer.body) {
            return answer.credential_refused("the routing key is not accepted");
        }
        by_status(answer)
    }
}

fn refuses_key(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let errors = body.get("errors").and_then(Value::as_array);
    errors.into_iter().flatten().filter_map(Value::as_str).any(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("routing_key") || text.contains("routing key")
    })
}

fn trigger(target: &Target, notification: &Notification) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("event_action".to_owned(), json!("trigger"));
    event.insert("client".to_owned(), json!("Fanfare"));
    let Some(lead) = text::lead(notification) else { return event };
    let alert = &lead.alert;
    let links = text::links(notification);
    let source = links.iter().find(|(name, _)| *name == "Source").map(|(_, href)| href.clone());
    if let Some(home) = text::link(&notification.external_url).or(source) {
        event.insert("client_url".to_owned(), home.into());
    }
    let links = links.into_iter().map(|(text, href)| json!({ "href": href, "text": text }));
    event.insert("links".to_owned(), links.collect());

    let mut payload = Map::new();
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            payload.insert(name.to_owned(), text::cut(value, MAX_FIELD).into());
        }
    };
    field("summary", &text::cut(&text::headline(notification), MAX_SUMMARY));
    let origin = text::first_label(
        notification,
        &["instance", "pod", "node", "service", "namespace", "cluster"],
    );
    field("source", if origin.is_empty() { "fanfare" } else { origin });
    field("severity", severity(target, notification));
    let began = notification.firing().map(|member| member.alert.starts_at).min();
    field("timestamp", &text::time(began.unwrap_or(alert.starts_at)));
    field("component", text::first_label(notification, &["job", "service", "container"]));
    field("group", text::label(notification, "namespace"));
    field("class", text::label(notification, "alertname"));
    let mut details = details(notification, lead);
    if notification.fallback {
        details["fallback"] = text::FALLBACK.into();
    }
    payload.insert("custom_details".to_owned(), details);
    event.insert("payload".to_owned(), Value::Object(payload));
    event
}

/// The most severe of the firing members.
fn severity(target: &Target, notification: &Notification) -> &'static str {
    let of = |member: &Member| {
        let label = Some(member.alert.label("severity")).filter(|label| !label.is_empty());
        match &target.spec.pager_duty {
            Some(spec) => spec.severity(label),
            None => PagerDutySeverity::Error,
        }
    };
    let rank = |severity: &PagerDutySeverity| match severity {
        PagerDutySeverity::Critical => 3,
        PagerDutySeverity::Error => 2,
        PagerDutySeverity::Warning => 1,
        PagerDutySeverity::Info => 0,
    };
    match notification.firing().map(of).max_by_key(rank) {
        Some(PagerDutySeverity::Critical) => "critical",
        Some(PagerDutySeverity::Warning) => "warning",
        Some(PagerDutySeverity::Info) => "info",
        Some(PagerDutySeverity::Error) | None => "error",
    }
}

fn details(notification: &Notification, lead: &Member) -> Value {
    let describe = |member: &Member| {
        json!({
            "fingerprint": member.alert.labels.fingerprint().to_string(),
            "labels": text::object(member.alert.labels.iter()),
            "annotations": text::object(member.alert.annotations.iter()),
        })
    };
    if notification.members.len() == 1 {
        return describe(lead);
    }
    json!({
        "num_firing": notification.firing().count(),
        "num_resolved": notification.resolved().count(),
        "firing": notification.firing().take(MAX_LISTED).map(describe).collect::<Vec<_>>(),
        "resolved": notification.resolved().take(MAX_LISTED).map(describe).collect::<Vec<_>>(),
    })
}
