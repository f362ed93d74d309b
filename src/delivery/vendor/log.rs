//! Log: the operator's own log and a bounded in-memory inbox. For trying out, and for tests.

use jiff::Timestamp;

use super::{Address, Reader, Refusal, Rendered, Vendor};
use crate::{
    alert::Notification,
    api::{PublishTargetSpec, TargetType},
    registry::{HttpMethod, ProbePlan, Target},
};

/// See the module.
pub(super) struct Log;

impl Vendor for Log {
    fn kind(&self) -> TargetType {
        TargetType::Log
    }

    fn address(&self, _: &PublishTargetSpec, _: &Reader) -> Result<Address, Refusal> {
        Ok(Address {
            endpoints: Vec::new(),
            method: HttpMethod::Post,
            headers: http::HeaderMap::new(),
            body_credential: None,
        })
    }

    fn auto_probe(&self) -> ProbePlan {
        ProbePlan::Always
    }

    fn render(&self, _: &Target, _: &Notification, _: Timestamp) -> Rendered {
        Rendered::Inbox
    }
}
