//! The JSON body of a publish, checked into a [`PublishRequest`].

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    alert,
    api::{self, TargetKey, TargetType},
    publish::{
        MAX_CONCURRENT, MAX_TIMEOUT, Options, PublishRequest, Selection, Strategy, TargetFilter,
    },
    server::error::ApiError,
};

/// Most names in `target_names`.
const MAX_NAMES: usize = 10_000;

/// Which of the three publish paths was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Named,
    All,
    Healthy,
}

/// The body as callers write it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    alert: Value,
    target_names: Option<Vec<String>>,
    namespace: Option<String>,
    options: Option<OptionsBody>,
    filter: Option<FilterBody>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionsBody {
    strategy: Option<StrategyBody>,
    check_health: Option<bool>,
    enable_circuit_breaker: Option<bool>,
    timeout: Option<api::Duration>,
    max_concurrent: Option<usize>,
    retry: Option<bool>,
}

#[derive(Clone, Copy, Deserialize)]
enum StrategyBody {
    SkipUnhealthy,
    SkipUnhealthyAndDegraded,
    PublishToAll,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct FilterBody {
    namespace: Option<String>,
    #[serde(rename = "type")]
    kind: Option<TargetType>,
    label_selector: Option<LabelSelector>,
}

/// `{"matchLabels": {...}}`, `{...}` or `"a=b,c=d"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum LabelSelector {
    Text(String),
    Object {
        #[serde(rename = "matchLabels")]
        match_labels: BTreeMap<String, String>,
    },
    Plain(BTreeMap<String, String>),
}

// === impl Kind ===

impl Kind {
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Named => "parallel",
            Self::All => "parallel/all",
            Self::Healthy => "parallel/healthy",
        }
    }
}

// === impl Body ===

impl Body {
    /// Reads the JSON. Unknown fields are refused: a misspelt option must not pass for its default.
    pub(super) fn parse(bytes: &[u8], kind: Kind) -> Result<Self, ApiError> {
        serde_json::from_slice(bytes).map_err(|error| {
            let example = match kind {
                Kind::Named => {
                    r#"{"alert": {"labels": {"alertname": "X"}}, "target_names": ["ns/name"]}"#
                }
                Kind::All | Kind::Healthy => r#"{"alert": {"labels": {"alertname": "X"}}}"#,
            };
            ApiError::invalid(format!(
                "the body is not a publish request: {error}; send for example {example}"
            ))
        })
    }

    /// Checks everything that can be checked without knowing the targets.
    pub(super) fn check(
        self,
        kind: Kind,
        settings: &alert::v2::Settings,
        now: Timestamp,
    ) -> Result<PublishRequest, ApiError> {
        let Self { alert, target_names, namespace, options, filter } = self;
        let selection = match kind {
            Kind::Named if filter.is_some() => {
                return Err(ApiError::invalid(
                    "filter belongs to /all and /healthy; leave it out or leave out target_names",
                ));
            }
            Kind::Named => Selection::Named(names(target_names, namespace.as_deref())?),
            Kind::All | Kind::Healthy if target_names.is_some() || namespace.is_some() => {
                return Err(ApiError::invalid(format!(
                    "target_names and namespace belong to /api/v1/publish/parallel; /{} takes filter",
                    kind.path()
                )));
            }
            Kind::All => Selection::All(filter.unwrap_or_default().check()?),
            Kind::Healthy => Selection::Healthy(filter.unwrap_or_default().check()?),
        };
        let options = options.unwrap_or_default().check(&selection)?;
        let alert = Arc::new(one_alert(&alert, settings, now)?);
        Ok(PublishRequest { alert, selection, options, idempotency: None })
    }
}

/// The alert, read by the same rules as `POST /api/v2/alerts`.
fn one_alert(
    alert: &Value,
    settings: &alert::v2::Settings,
    now: Timestamp,
) -> Result<alert::Alert, ApiError> {
    let bytes = serde_json::to_vec(&json!([alert]))
        .map_err(|error| ApiError::invalid(format!("alert: {error}")))?;
    let mut batch = alert::v2::parse(&bytes, now, settings)
        .map_err(|error| ApiError::invalid(format!("alert: {error}")))?;
    if let Some(invalid) = batch.invalid.first() {
        return Err(ApiError::invalid(format!("alert: {}", invalid.message)));
    }
    batch.alerts.pop().ok_or_else(|| ApiError::invalid("alert is missing"))
}

fn names(names: Option<Vec<String>>, namespace: Option<&str>) -> Result<Vec<TargetKey>, ApiError> {
    let names = names.unwrap_or_default();
    if names.is_empty() {
        return Err(ApiError::invalid(
            "target_names is empty: name the targets as namespace/name, or use /api/v1/publish/parallel/all",
        ));
    }
    if names.len() > MAX_NAMES {
        return Err(ApiError::invalid(format!("target_names holds more than {MAX_NAMES} names")));
    }
    names
        .iter()
        .map(|name| match (name.parse::<TargetKey>(), namespace) {
            (Ok(key), _) => Ok(key),
            (Err(_), Some(namespace)) if !name.is_empty() && !name.contains('/') => {
                Ok(TargetKey::new(namespace, name))
            }
            _ => Err(ApiError::invalid(format!(
                "target name {:?} is not namespace/name; write it in full or add \"namespace\" to the body",
                name.chars().take(100).collect::<String>()
            ))),
        })
        .collect()
}

// === impl OptionsBody ===

impl OptionsBody {
    fn check(self, selection: &Selection) -> Result<Options, ApiError> {
        let defaults = Options::default();
        let timeout = self.timeout.map_or(defaults.timeout, api::Duration::get);
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            return Err(ApiError::invalid("options.timeout must be more than 0s and at most 5m"));
        }
        let max_concurrent = self.max_concurrent.unwrap_or(defaults.max_concurrent);
        if !(1..=MAX_CONCURRENT).contains(&max_concurrent) {
            return Err(ApiError::invalid(format!(
                "options.max_concurrent must be 1 to {MAX_CONCURRENT}"
            )));
        }
        Ok(Options {
            strategy: self.strategy.map_or(selection.default_strategy(), Strategy::from),
            check_health: self.check_health.unwrap_or(defaults.check_health),
            enable_circuit_breaker: self
                .enable_circuit_breaker
                .unwrap_or(defaults.enable_circuit_breaker),
            timeout: Duration::min(timeout, MAX_TIMEOUT),
            max_concurrent,
            retry: self.retry.unwrap_or(defaults.retry),
        })
    }
}

impl From<StrategyBody> for Strategy {
    fn from(body: StrategyBody) -> Self {
        match body {
            StrategyBody::SkipUnhealthy => Self::SkipUnhealthy,
            StrategyBody::SkipUnhealthyAndDegraded => Self::SkipUnhealthyAndDegraded,
            StrategyBody::PublishToAll => Self::PublishToAll,
        }
    }
}

// === impl FilterBody ===

impl FilterBody {
    fn check(self) -> Result<TargetFilter, ApiError> {
        let labels = match self.label_selector {
            None => BTreeMap::new(),
            Some(LabelSelector::Object { match_labels: labels } | LabelSelector::Plain(labels)) => {
                labels
            }
            Some(LabelSelector::Text(text)) => selector(&text)?,
        };
        Ok(TargetFilter { namespace: self.namespace, kind: self.kind, labels })
    }
}

/// `a=b,c=d`, the part of kubectl's selectors that names exact values.
fn selector(text: &str) -> Result<BTreeMap<String, String>, ApiError> {
    text.split(',')
        .map(|pair| {
            let (name, value) = pair.split_once('=').map(|(n, v)| (n.trim(), v.trim_start_matches('=').trim()))
                .filter(|(name, _)| !name.is_empty() && !name.ends_with('!'))
                .ok_or_else(|| {
                    ApiError::invalid(
                        "filter.labelSelector takes name=value pairs separated by commas, for example tier=chat,team=sre",
                    )
                })?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}
