//! Rootly: its Alertmanager alert source, which takes the webhook v4 body and resolves by itself.

use http::header::AUTHORIZATION;
use jiff::Timestamp;

use super::{Address, Reader, Refusal, Rendered, Vendor, member_missing};
use crate::{
    alert::{Notification, webhook},
    api::{NotifyType, PublishTargetSpec, RootlyNotify, TargetType},
    delivery::{
        compile::bearer_header,
        credentials::{endpoint, extend_path},
    },
    registry::{ProbePlan, Target},
};

/// See the module.
pub(super) struct Rootly;

impl Vendor for Rootly {
    fn kind(&self) -> TargetType {
        TargetType::Rootly
    }

    fn address(&self, spec: &PublishTargetSpec, reader: &Reader) -> Result<Address, Refusal> {
        let member = spec.rootly.as_ref();
        let member = member.ok_or_else(|| member_missing(self.kind(), "rootly"))?;
        let mut url = reader.address(&member.webhook_url_secret_ref)?;
        if let Some(RootlyNotify { type_, id }) = &member.notify {
            let kind = match type_ {
                NotifyType::User => "User",
                NotifyType::Group => "Group",
                NotifyType::EscalationPolicy => "EscalationPolicy",
                NotifyType::Service => "Service",
            };
            extend_path(&mut url, &["notify", kind, id]);
        }
        let mut address = Address::post(endpoint(url)?);
        if let Some(from) = &member.token_secret_ref {
            address.headers.insert(AUTHORIZATION, bearer_header(&reader.token(from)?)?);
        }
        Ok(address)
    }

    /// Any accepted POST makes an alert: only the connection can be tried.
    fn auto_probe(&self) -> ProbePlan {
        ProbePlan::Connect
    }

    fn render(&self, _: &Target, notification: &Notification, _: Timestamp) -> Rendered {
        Rendered::json(webhook::render(notification).into())
    }
}
