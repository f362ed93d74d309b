//! What holds in a route when a field is absent.

use std::time::Duration as StdDuration;

use super::{PRIORITY, REPEAT_INTERVAL};
use crate::api::{
    AlertRouteSpec, Duration, MatchType, Matcher, Scope, TargetRef, WhenDegraded, WhenUnhealthy,
};

// === impl AlertRouteSpec ===

impl AlertRouteSpec {
    /// Which alerts the route sees.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope.unwrap_or(Scope::Namespace)
    }

    /// Order among the routes of a namespace.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.priority.unwrap_or(PRIORITY)
    }

    /// True if lower routes of the namespace do not see the alerts that this one matched.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.final_.unwrap_or(false)
    }

    /// What happens while a target is unhealthy.
    #[must_use]
    pub fn when_unhealthy(&self) -> WhenUnhealthy {
        self.when_unhealthy.unwrap_or(WhenUnhealthy::Hold)
    }

    /// What happens while a target is degraded.
    #[must_use]
    pub fn when_degraded(&self) -> WhenDegraded {
        self.when_degraded.unwrap_or(WhenDegraded::Send)
    }

    /// Time after which a notification is sent again while its alert fires.
    #[must_use]
    pub fn repeat_interval(&self) -> StdDuration {
        self.repeat_interval.map_or(REPEAT_INTERVAL, Duration::get)
    }

    /// The spec with every default written out: what the read API shows.
    #[must_use]
    pub fn effective(&self) -> Self {
        let mut spec = self.clone();
        spec.scope = Some(self.scope());
        spec.priority = Some(self.priority());
        spec.final_ = Some(self.is_final());
        spec.when_unhealthy = Some(self.when_unhealthy());
        spec.when_degraded = Some(self.when_degraded());
        spec.repeat_interval = Some(Duration(self.repeat_interval()));
        for matcher in &mut spec.matchers {
            matcher.match_type = Some(matcher.match_type());
        }
        for target in &mut spec.targets {
            target.send_resolved = Some(target.send_resolved());
        }
        spec
    }
}

// === impl Matcher ===

impl Matcher {
    /// Comparison.
    #[must_use]
    pub fn match_type(&self) -> MatchType {
        self.match_type.unwrap_or(MatchType::Equal)
    }
}

// === impl TargetRef ===

impl TargetRef {
    /// True if the target also hears that an alert is over.
    #[must_use]
    pub fn send_resolved(&self) -> bool {
        self.send_resolved.unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn effective_spec_writes_out_what_holds() {
        let spec: AlertRouteSpec = serde_json::from_value(json!({
            "matchers": [{"name": "severity", "value": "critical"}],
            "targets": [{"name": "t"}]
        }))
        .unwrap();
        assert_eq!(
            serde_json::to_value(spec.effective()).unwrap(),
            json!({
                "suspend": false, "scope": "Namespace", "priority": 0, "final": false,
                "matchers": [{"name": "severity", "matchType": "=", "value": "critical"}],
                "targets": [{"name": "t", "namespace": "", "sendResolved": true}],
                "whenUnhealthy": "Hold", "whenDegraded": "Send", "repeatInterval": "4h"
            })
        );
    }
}
