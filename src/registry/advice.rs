//! How to mend it: one sentence per reason, with the names of this very target.

use super::Target;
use crate::api::{AuthType, PublishTargetSpec, Reason, SecretKeyRef};

/// What to do about `reason`; `None` where the fault says it all or there is nothing to do.
pub(super) fn advice(reason: Reason, target: &Target) -> Option<String> {
    let text = match reason {
        Reason::AuthenticationFailed => return Some(rotate(target)),
        Reason::Timeout => {
            "Check that it is up and that NetworkPolicy lets this pod reach it, or raise \
             spec.healthCheck.timeout"
        }
        Reason::ConnectFailed => {
            "Check that it listens there and that NetworkPolicy lets this pod reach it"
        }
        Reason::DNSFailed => "Check the host name and the cluster's DNS",
        Reason::TLSFailed => "Check its certificate, or name its CA in spec.connection.tls",
        Reason::ServerError => "Look at the receiver's own log",
        Reason::ClientError | Reason::UnexpectedAnswer => {
            "Check that the address is that of the receiver, or set spec.healthCheck"
        }
        Reason::AddressBlocked => {
            "Use another address, or let the operator reach it with --allow-cidr"
        }
        Reason::Redirect => "Give the target the final address",
        Reason::Gone => "Give the target a new address or delete it",
        Reason::Slow => "Look at the receiver, or raise spec.healthCheck.degradedLatency",
        Reason::LocalNetworkFault => {
            "Check the operator's own network, DNS and NetworkPolicy; verdicts follow when targets \
             answer again"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn rotate(target: &Target) -> String {
    match credential(&target.spec) {
        Some(SecretKeyRef { name, key }) => {
            let namespace = &target.key.namespace;
            format!("Rotate Secret {namespace}/{name} key {key:?}")
        }
        None => "Give the target a credential: spec.connection.auth or a header".to_owned(),
    }
}

/// The Secret key that proves to the far end who we are.
fn credential(spec: &PublishTargetSpec) -> Option<&SecretKeyRef> {
    let vendor = || {
        let slack = spec.slack.as_ref().map(|slack| &slack.webhook_url_secret_ref);
        let pager_duty = spec.pager_duty.as_ref().map(|one| &one.routing_key_secret_ref);
        let rootly = spec.rootly.as_ref();
        let rootly =
            rootly.map(|one| one.token_secret_ref.as_ref().unwrap_or(&one.webhook_url_secret_ref));
        slack.or(pager_duty).or(rootly)
    };
    let auth = || {
        let auth = spec.connection.as_ref()?.auth.as_ref()?;
        match auth.type_ {
            AuthType::Bearer => auth.bearer.as_ref().map(|one| &one.token_secret_ref),
            AuthType::Basic => auth.basic.as_ref().map(|one| &one.password_secret_ref),
            AuthType::None => None,
        }
    };
    let url = || spec.webhook.as_ref()?.url_secret_ref.as_ref();
    vendor().or_else(auth).or_else(url)
}
