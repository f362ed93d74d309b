//! Slack: Block Kit through an incoming webhook, whose address is the credential.

use jiff::Timestamp;
use serde_json::Value;

use super::{Address, Answer, Reader, Refusal, Rendered, Vendor, Verdict, json, member_missing};
use crate::{
    alert::Notification,
    api::{PublishTargetSpec, TargetType},
    delivery::{classify::by_status, credentials::endpoint},
    registry::{ProbePlan, Target},
};

mod message;

/// Longest answer that can be one of Slack's words.
const MAX_CODE: usize = 64;
/// What most messages take.
const ROOM: usize = 2_048;

/// See the module.
pub(super) struct Slack;

impl Vendor for Slack {
    fn kind(&self) -> TargetType {
        TargetType::Slack
    }

    fn address(&self, spec: &PublishTargetSpec, reader: &Reader) -> Result<Address, Refusal> {
        let member = spec.slack.as_ref();
        let member = member.ok_or_else(|| member_missing(self.kind(), "slack"))?;
        let url = reader.address(&member.webhook_url_secret_ref)?;
        Ok(Address::post(endpoint(url)?))
    }

    /// Whatever is posted to the address may appear in the channel: only the connection can be tried.
    fn auto_probe(&self) -> ProbePlan {
        ProbePlan::Connect
    }

    fn render(&self, _: &Target, notification: &Notification, _: Timestamp) -> Rendered {
        Rendered::json(json(&message::render(notification), ROOM).into())
    }

    /// Slack says in the body what went wrong; some texts come with more than one status.
    fn judge(&self, answer: &Answer<'_>) -> Verdict {
        let body = answer.body.trim_ascii();
        match code(body) {
            Some(known) => match known {
                "invalid_token"
                | "no_service"
                | "no_service_id"
                | "no_active_hooks"
                | "no_team"
                | "team_disabled"
                | "invalid_auth"
                | "action_prohibited"
                | "posting_to_general_channel_denied" => answer.credential_refused(known),
                "channel_not_found" => answer.not_found(known),
                "channel_is_archived" => answer.gone(known),
                "rate_limited" | "ratelimited" => answer.rate_limited(known),
                "rollup_error" | "internal_error" | "fatal_error" | "service_unavailable" => {
                    answer.server_error(known)
                }
                _ => answer.refused(known),
            },
            // A login page or a proxy's notice: whoever sent it has not posted anything.
            None if answer.status.is_success() && body.starts_with(b"<") => {
                answer.unexpected("with a web page, which is not Slack's answer; check the address")
            }
            None => by_status(answer),
        }
    }

    fn reads_success(&self) -> bool {
        true
    }
}

/// Slack's words for what went wrong, the only part of an answer that is ever shown.
const CODES: [&str; 24] = [
    "invalid_token",
    "no_service",
    "no_service_id",
    "no_active_hooks",
    "no_team",
    "team_disabled",
    "invalid_auth",
    "action_prohibited",
    "posting_to_general_channel_denied",
    "channel_not_found",
    "channel_is_archived",
    "rate_limited",
    "ratelimited",
    "rollup_error",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "invalid_payload",
    "no_text",
    "too_many_attachments",
    "user_not_found",
    "invalid_blocks",
    "msg_blocks_too_long",
    "msg_too_long",
];

/// The known word in a body: plain text, or `{"ok": false, "error": …}`.
fn code(body: &[u8]) -> Option<&'static str> {
    let known = |text: &str| CODES.into_iter().find(|code| *code == text);
    if body.first() == Some(&b'{') {
        let body: Value = serde_json::from_slice(body).ok()?;
        let failed = body.get("ok") == Some(&Value::Bool(false));
        return failed.then(|| body.get("error")?.as_str().and_then(known)).flatten();
    }
    (body.len() <= MAX_CODE).then(|| std::str::from_utf8(body).ok().and_then(known)).flatten()
}
