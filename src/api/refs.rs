//! Every Secret and `ConfigMap` that a target names, with the path of the field that names it.

use std::borrow::Cow;

use super::{ConfigMapKeyRef, PublishTargetSpec, SecretKeyRef};

/// A reference and the field that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a, R> {
    /// Path of the field, for example `spec.slack.webhookURLSecretRef`.
    pub path: Cow<'static, str>,
    /// The reference.
    pub reference: &'a R,
}

// === impl PublishTargetSpec ===

impl PublishTargetSpec {
    /// Every Secret key that the spec names, in the order of the documentation.
    #[must_use]
    pub fn secret_refs<'a>(&'a self) -> Vec<Named<'a, SecretKeyRef>> {
        let mut refs = Vec::new();
        let mut add = |path: &'static str, reference: Option<&'a SecretKeyRef>| {
            if let Some(reference) = reference {
                refs.push(Named { path: Cow::Borrowed(path), reference });
            }
        };
        add(
            "spec.webhook.urlSecretRef",
            self.webhook.as_ref().and_then(|webhook| webhook.url_secret_ref.as_ref()),
        );
        add(
            "spec.slack.webhookURLSecretRef",
            self.slack.as_ref().map(|slack| &slack.webhook_url_secret_ref),
        );
        add(
            "spec.pagerDuty.routingKeySecretRef",
            self.pager_duty.as_ref().map(|pager_duty| &pager_duty.routing_key_secret_ref),
        );
        add(
            "spec.rootly.webhookURLSecretRef",
            self.rootly.as_ref().map(|rootly| &rootly.webhook_url_secret_ref),
        );
        add(
            "spec.rootly.tokenSecretRef",
            self.rootly.as_ref().and_then(|rootly| rootly.token_secret_ref.as_ref()),
        );
        let auth = self.connection.as_ref().and_then(|connection| connection.auth.as_ref());
        add(
            "spec.connection.auth.bearer.tokenSecretRef",
            auth.and_then(|auth| auth.bearer.as_ref()).map(|bearer| &bearer.token_secret_ref),
        );
        let basic = auth.and_then(|auth| auth.basic.as_ref());
        add(
            "spec.connection.auth.basic.usernameSecretRef",
            basic.map(|basic| &basic.username_secret_ref),
        );
        add(
            "spec.connection.auth.basic.passwordSecretRef",
            basic.map(|basic| &basic.password_secret_ref),
        );
        let tls = self.connection.as_ref().and_then(|connection| connection.tls.as_ref());
        add("spec.connection.tls.caSecretRef", tls.and_then(|tls| tls.ca_secret_ref.as_ref()));
        let headers = self.connection.iter().flat_map(|c| c.headers.iter());
        for (index, header) in headers.enumerate() {
            if let Some(source) = &header.value_from {
                refs.push(Named {
                    path: Cow::Owned(format!(
                        "spec.connection.headers[{index}].valueFrom.secretKeyRef"
                    )),
                    reference: &source.secret_key_ref,
                });
            }
        }
        refs
    }

    /// Every `ConfigMap` key that the spec names.
    #[must_use]
    pub fn config_map_refs(&self) -> Vec<Named<'_, ConfigMapKeyRef>> {
        self.connection
            .as_ref()
            .and_then(|connection| connection.tls.as_ref())
            .and_then(|tls| tls.ca_config_map_ref.as_ref())
            .map(|reference| Named {
                path: Cow::Borrowed("spec.connection.tls.caConfigMapRef"),
                reference,
            })
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(value: serde_json::Value) -> PublishTargetSpec {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_secret_reference_in_a_spec_is_listed() {
        let reference = |name: &str| json!({"name": name, "key": "k"});
        let spec = spec(json!({
            "type": "Webhook",
            "webhook": {"urlSecretRef": reference("a")},
            "slack": {"webhookURLSecretRef": reference("b")},
            "pagerDuty": {"routingKeySecretRef": reference("c")},
            "rootly": {"webhookURLSecretRef": reference("d"), "tokenSecretRef": reference("e")},
            "connection": {
                "headers": [
                    {"name": "X-Plain", "value": "v"},
                    {"name": "X-Secret", "valueFrom": {"secretKeyRef": reference("j")}}
                ],
                "auth": {
                    "type": "Basic",
                    "bearer": {"tokenSecretRef": reference("f")},
                    "basic": {"usernameSecretRef": reference("g"), "passwordSecretRef": reference("h")}
                },
                "tls": {"caSecretRef": reference("i"), "caConfigMapRef": reference("m")}
            }
        }));
        let text = serde_json::to_string(&spec).unwrap();
        let refs = spec.secret_refs();
        let names: String = refs.iter().map(|r| r.reference.name.as_str()).collect();
        assert_eq!(names, "abcdefghij");
        assert_eq!(refs[9].path, "spec.connection.headers[1].valueFrom.secretKeyRef");
        assert_eq!(refs.len() + 1, text.matches(r#""key":"#).count());
        assert_eq!(spec.config_map_refs()[0].path, "spec.connection.tls.caConfigMapRef");
    }

    #[test]
    fn a_log_target_names_no_secret() {
        assert!(spec(json!({"type": "Log"})).secret_refs().is_empty());
    }
}
