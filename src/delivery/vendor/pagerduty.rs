//! PagerDuty: Events API v2. The incident key is the `dedup_key`, so repeats join the open alert.

use jiff::Timestamp;
use serde_json::Value;

use super::{Address, Answer, Reader, Refusal, Rendered, Vendor, Verdict, member_missing};
use crate::{
    alert::Notification,
    api::{PublishTargetSpec, TargetType},
    delivery::{
        classify::by_status,
        credentials::{endpoint, extend_path, parse_url},
    },
    registry::{ProbePlan, Target},
};

mod event;

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
        Rendered::json(event::render(target, notification).into())
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
