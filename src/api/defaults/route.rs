//! What holds in a route when a field is absent.

use std::time::Duration as StdDuration;

use super::{FALLBACK_AFTER, GROUP_INTERVAL, GROUP_WAIT, PRIORITY, REPEAT_INTERVAL};
use crate::api::{
    AlertRouteSpec, Duration, Fallback, FallbackMode, Grouping, InhibitRule, MatchType, Matcher,
    Scope, TargetRef, TimeInterval, WhenDegraded, WhenUnhealthy,
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
        spec.matchers.iter_mut().for_each(Matcher::write_out);
        spec.targets.iter_mut().for_each(TargetRef::write_out);
        spec.grouping.iter_mut().for_each(Grouping::write_out);
        spec.fallback.iter_mut().for_each(Fallback::write_out);
        let intervals = spec.active_time_intervals.iter_mut().chain(&mut spec.mute_time_intervals);
        intervals.for_each(TimeInterval::write_out);
        spec.inhibit.iter_mut().for_each(InhibitRule::write_out);
        spec
    }
}

// === impl Grouping ===

impl Grouping {
    /// How long a new group waits before it is told.
    #[must_use]
    pub fn wait(&self) -> StdDuration {
        self.wait.map_or(GROUP_WAIT, Duration::get)
    }

    /// How long a group that was told waits before it is told what changed; more than zero.
    #[must_use]
    pub fn interval(&self) -> StdDuration {
        self.interval.map_or(GROUP_INTERVAL, Duration::get).max(StdDuration::from_millis(1))
    }

    fn write_out(&mut self) {
        self.wait = Some(Duration(self.wait()));
        self.interval = Some(Duration(self.interval()));
    }
}

// === impl Fallback ===

impl Fallback {
    /// How long an alert must have been told to nobody.
    #[must_use]
    pub fn after(&self) -> StdDuration {
        self.after.map_or(FALLBACK_AFTER, Duration::get)
    }

    /// What the other targets hear afterwards.
    #[must_use]
    pub fn mode(&self) -> FallbackMode {
        self.mode.unwrap_or_default()
    }

    fn write_out(&mut self) {
        self.targets.iter_mut().for_each(TargetRef::write_out);
        self.after = Some(Duration(self.after()));
        self.mode = Some(self.mode());
    }
}

// === impl TimeInterval ===

impl TimeInterval {
    /// IANA name of the time zone.
    #[must_use]
    pub fn location(&self) -> &str {
        self.location.as_deref().unwrap_or("UTC")
    }

    fn write_out(&mut self) {
        self.location = Some(self.location().to_owned());
    }
}

// === impl InhibitRule ===

impl InhibitRule {
    fn write_out(&mut self) {
        self.source.iter_mut().chain(&mut self.target).for_each(Matcher::write_out);
    }
}

// === impl Matcher ===

impl Matcher {
    /// Comparison.
    #[must_use]
    pub fn match_type(&self) -> MatchType {
        self.match_type.unwrap_or(MatchType::Equal)
    }

    fn write_out(&mut self) {
        self.match_type = Some(self.match_type());
    }
}

// === impl TargetRef ===

impl TargetRef {
    /// True if the target also hears that an alert is over.
    #[must_use]
    pub fn send_resolved(&self) -> bool {
        self.send_resolved.unwrap_or(true)
    }

    fn write_out(&mut self) {
        self.send_resolved = Some(self.send_resolved());
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

    #[test]
    fn what_a_route_adds_is_written_out_too() {
        let spec: AlertRouteSpec = serde_json::from_value(json!({
            "targets": [{"name": "t"}],
            "grouping": {"by": []},
            "fallback": {"targets": [{"name": "f"}]},
            "activeTimeIntervals": [{"weekdays": ["monday"]}],
            "muteTimeIntervals": [{"months": ["1"], "location": "Europe/Berlin"}],
            "inhibit": [{"source": [{"name": "a", "value": "b"}], "target": [{"name": "c", "value": ""}]}]
        }))
        .unwrap();
        let effective = spec.effective();
        let shown = serde_json::to_value(&effective).unwrap();
        assert_eq!(shown["grouping"], json!({"by": [], "wait": "30s", "interval": "5m"}));
        assert_eq!(
            shown["fallback"],
            json!({
                "targets": [{"name": "f", "namespace": "", "sendResolved": true}],
                "after": "2m", "mode": "Instead"
            })
        );
        let intervals = json!([{"weekdays": ["monday"], "location": "UTC"}]);
        assert_eq!(shown["activeTimeIntervals"], intervals);
        assert_eq!(shown["muteTimeIntervals"][0]["location"], "Europe/Berlin");
        assert_eq!(shown["inhibit"][0]["source"][0]["matchType"], "=");
        assert_eq!(shown["inhibit"][0]["target"][0]["matchType"], "=");
        assert_eq!(effective.effective(), effective);
    }
}
