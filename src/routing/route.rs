//! One compiled route.

use std::{
    cmp,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{GroupBy, Grouping, Hours, InhibitRule, Matcher, Matchers};
use crate::{
    alert::Labels,
    api::{
        self, AlertRouteSpec, FallbackMode, MatchType, Reason, RouteKey, Scope, TargetKey,
        TargetRef, WhenDegraded, WhenUnhealthy,
    },
};

/// What compiling a route depends on besides its spec.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteSettings {
    /// The label that names an alert's namespace (`--scope-label`).
    pub scope_label: Box<str>,
    /// Namespaces whose routes may have `scope: Cluster`; `None` allows all (`--manifests` mode).
    pub cluster_namespaces: Option<Vec<String>>,
}

/// One compiled route.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub key: RouteKey,
    /// UID of the object.
    pub uid: Arc<str>,
    /// Generation of the spec this was compiled from.
    pub generation: i64,
    /// The spec.
    pub spec: Arc<AlertRouteSpec>,
    /// Which alerts it sees.
    pub scope: Scope,
    /// Higher first, ties by name; matters only for `final`.
    pub priority: i32,
    /// Lower routes of its namespace do not see what it matched.
    pub is_final: bool,
    /// Muted.
    pub suspend: bool,
    /// Targets by name, `""` already replaced by the route's own namespace.
    pub targets: Vec<TargetName>,
    /// Labels of further targets in the route's namespace.
    pub selector: Option<BTreeMap<String, String>>,
    /// What happens while a target is unhealthy.
    pub when_unhealthy: WhenUnhealthy,
    /// What happens while a target is degraded.
    pub when_degraded: WhenDegraded,
    /// Time after which a notification is sent again while its alert fires.
    pub repeat_interval: Duration,
    /// How alerts are put together; `None`: each is told on its own.
    pub grouping: Option<Arc<Grouping>>,
    /// Which alerts keep others quiet; the scope's implicit matcher is part of both sides.
    pub inhibit: Arc<[InhibitRule]>,
    /// When it notifies.
    pub hours: Arc<Hours>,
    /// Who is told when no target could be.
    pub fallback: Option<Fallback>,
    /// What an alert must carry, the scope's implicit matcher included.
    pub matchers: Matchers,
    /// The route's own matchers on one line, as Alertmanager prints them.
    pub matcher_summary: String,
}

/// A target that a route names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetName {
    /// The target.
    pub key: TargetKey,
    /// Whether it is told that an alert is over.
    pub send_resolved: bool,
}

/// Who is told when no target of a route could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    /// Targets by name, `""` already replaced by the route's own namespace.
    pub targets: Vec<TargetName>,
    /// How long an alert must have been told to nobody.
    pub after: Duration,
    /// What the other targets hear afterwards.
    pub mode: FallbackMode,
}

/// Why an object could not be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The condition's reason.
    pub reason: Reason,
    /// What happened, where, and how to fix it.
    pub message: String,
}

// === impl Route ===

impl Route {
    /// Compiles a spec. Whether its targets exist is not looked at.
    ///
    /// # Errors
    /// [`Rejection`] with `ScopeNotPermitted`, `InvalidMatcher` or `InvalidTimeInterval`.
    pub fn compile(
        key: RouteKey,
        uid: Arc<str>,
        generation: i64,
        spec: Arc<AlertRouteSpec>,
        settings: &RouteSettings,
    ) -> Result<Self, Rejection> {
        let scope = spec.scope();
        if scope == Scope::Cluster {
            check_scope(&key, settings)?;
        }
        let mut matchers = own_matchers(&spec)?;
        let matcher_summary = Matchers::sorted(matchers.clone()).to_string();
        let in_scope = match scope {
            Scope::Cluster => None,
            Scope::Namespace => Some(invalid(
                "scope",
                Matcher::new(MatchType::Equal, &settings.scope_label, &key.namespace),
            )?),
        };
        matchers.extend(in_scope.clone());
        let hours = Hours::compile(&spec.active_time_intervals, &spec.mute_time_intervals);
        let hours = hours.map_err(|error| Rejection {
            reason: Reason::InvalidTimeInterval,
            message: error.to_string(),
        })?;
        Ok(Self {
            uid,
            generation,
            scope,
            priority: spec.priority(),
            is_final: spec.is_final(),
            suspend: spec.suspend,
            targets: targets(&key, &spec.targets),
            selector: spec.target_selector.as_ref().map(|selector| selector.match_labels.clone()),
            when_unhealthy: spec.when_unhealthy(),
            when_degraded: spec.when_degraded(),
            repeat_interval: spec.repeat_interval(),
            grouping: spec.grouping.as_ref().map(|one| Arc::new(grouping(one))),
            inhibit: inhibit(&spec, in_scope.as_ref())?,
            hours: Arc::new(hours),
            fallback: spec.fallback.as_ref().map(|one| Fallback {
                targets: targets(&key, &one.targets),
                after: one.after(),
                mode: one.mode(),
            }),
            matchers: Matchers::sorted(matchers),
            matcher_summary,
            key,
            spec,
        })
    }

    /// Whether the route wants an alert with these labels, other routes left aside.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.matches(labels)
    }

    /// Every target that it names, as a target or as a fallback.
    pub fn named(&self) -> impl Iterator<Item = &TargetName> {
        self.targets.iter().chain(self.fallback.iter().flat_map(|fallback| &fallback.targets))
    }

    /// Evaluation order: by namespace, then priority (higher first), then name.
    #[must_use]
    pub fn order(&self, other: &Self) -> cmp::Ordering {
        self.key
            .namespace
            .cmp(&other.key.namespace)
            .then_with(|| other.priority.cmp(&self.priority))
            .then_with(|| self.key.name.cmp(&other.key.name))
    }
}

fn check_scope(key: &RouteKey, settings: &RouteSettings) -> Result<(), Rejection> {
    let namespace = &key.namespace;
    match &settings.cluster_namespaces {
        Some(allowed) if !allowed.iter().any(|one| **one == **namespace) => Err(Rejection {
            reason: Reason::ScopeNotPermitted,
            message: format!(
                "scope: Cluster is not allowed in namespace {namespace}; leave scope out to see only \
                 alerts of this namespace, or add {namespace} to --cluster-route-namespaces (Helm \
                 value clusterRouteNamespaces)"
            ),
        }),
        _ => Ok(()),
    }
}

fn own_matchers(spec: &AlertRouteSpec) -> Result<Vec<Matcher>, Rejection> {
    let mut matchers = listed("matchers", &spec.matchers)?;
    if let Some(text) = &spec.matcher_expr {
        let parsed = invalid("matcherExpr", Matchers::parse(text))?;
        if parsed.iter().any(|one| one.name.is_empty()) {
            return invalid("matcherExpr", Err("a label name is empty"));
        }
        matchers.extend(parsed);
    }
    Ok(matchers)
}

fn listed(place: &str, specs: &[api::Matcher]) -> Result<Vec<Matcher>, Rejection> {
    let mut matchers = Vec::with_capacity(specs.len() + 4);
    for (at, one) in specs.iter().enumerate() {
        let place = format!("{place}[{at}]");
        if one.name.is_empty() {
            return invalid(&place, Err("name is empty; write the name of a label"));
        }
        matchers.push(invalid(&place, Matcher::new(one.match_type(), &one.name, &one.value))?);
    }
    Ok(matchers)
}

/// The rules, each side within the route's scope: whoever may write routes in one namespace cannot have its
/// alerts, or look at those, of another.
fn inhibit(
    spec: &AlertRouteSpec,
    in_scope: Option<&Matcher>,
) -> Result<Arc<[InhibitRule]>, Rejection> {
    let rule = |(at, one): (usize, &api::InhibitRule)| {
        let side = |name: &str, specs| {
            let mut matchers = listed(&format!("inhibit[{at}].{name}"), specs)?;
            matchers.extend(in_scope.cloned());
            Ok(Matchers::sorted(matchers))
        };
        Ok(InhibitRule {
            source: side("source", &one.source)?,
            target: side("target", &one.target)?,
            equal: names(&one.equal),
        })
    };
    spec.inhibit.iter().enumerate().map(rule).collect()
}

fn grouping(spec: &api::Grouping) -> Grouping {
    let by = if spec.by.iter().any(|name| name == "...") {
        GroupBy::All
    } else {
        GroupBy::Labels(names(&spec.by))
    };
    Grouping { by, wait: spec.wait(), interval: spec.interval() }
}

/// Names of labels, sorted, each once.
fn names(written: &[String]) -> Box<[Box<str>]> {
    let names: BTreeSet<&str> = written.iter().map(String::as_str).collect();
    names.into_iter().map(Box::from).collect()
}

fn invalid<T>(place: &str, result: Result<T, impl ToString>) -> Result<T, Rejection> {
    result.map_err(|problem| Rejection {
        reason: Reason::InvalidMatcher,
        message: format!(
            "spec.{place}: {}; the syntax is that of Alertmanager (RE2, anchored)",
            problem.to_string()
        ),
    })
}

fn targets(key: &RouteKey, specs: &[TargetRef]) -> Vec<TargetName> {
    let mut targets: Vec<TargetName> = Vec::with_capacity(specs.len());
    for one in specs {
        let own = one.namespace.is_empty();
        let namespace = if own { key.namespace.clone() } else { one.namespace.as_str().into() };
        let target = TargetKey { namespace, name: one.name.as_str().into() };
        if targets.iter().all(|known| known.key != target) {
            targets.push(TargetName { key: target, send_resolved: one.send_resolved() });
        }
    }
    targets
}
