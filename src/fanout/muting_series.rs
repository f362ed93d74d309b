//! What is muted, in figures.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    dispatch::{Mute, State},
    publish::SilenceState,
};

type Labels = [(&'static str, &'static str); 1];

/// Series of silences, inhibition, hours and suspended routes.
#[derive(Debug)]
pub(crate) struct MutingSeries {
    suppressed: [Counter; Mute::ALL.len()],
    silences: [Gauge; SilenceState::ALL.len()],
    alerts: [Gauge; Mute::ALL.len()],
}

// === impl MutingSeries ===

impl MutingSeries {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let suppressed = Family::<Labels, Counter>::default();
        let silences = Family::<Labels, Gauge>::default();
        let alerts = Family::<Labels, Gauge>::default();
        let reason = |mute: Mute| [("reason", mute.as_str())];
        let series = Self {
            suppressed: Mute::ALL.map(|mute| suppressed.get_or_create_owned(&reason(mute))),
            silences: SilenceState::ALL
                .map(|state| silences.get_or_create_owned(&[("state", state.as_str())])),
            alerts: Mute::ALL.map(|mute| alerts.get_or_create_owned(&reason(mute))),
        };
        registry.register(
            "notifications_suppressed",
            "Notifications of routed alerts that were not sent because the alert is muted, by reason",
            suppressed,
        );
        registry.register("silences", "Silences, by state", silences);
        registry.register(
            "alerts_muted",
            "Alerts held that some route does not tell, by reason",
            alerts,
        );
        series
    }

    /// Brings the figures up to date.
    pub(super) fn show(&self, state: &State) {
        for (counter, total) in self.suppressed.iter().zip(state.suppressed()) {
            counter.inc_by(total.saturating_sub(counter.get()));
        }
        let gauges = self.silences.iter().zip(state.silence_counts());
        for (gauge, count) in gauges.chain(self.alerts.iter().zip(state.muted_alerts())) {
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}
