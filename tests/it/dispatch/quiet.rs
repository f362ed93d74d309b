//! Silences of a small world, and alerts with labels of their own.

use fanfare::{
    alert::{Alert, Labels},
    api::MatchType,
    dispatch::{Mute, conditions},
    publish::{SilenceDraft, SilenceError, SilenceId, SilenceMatcher, Source},
};
use uuid::Uuid;

use super::world::{World, alert, at};

/// A silence of these conditions.
pub(super) fn draft(conditions: &[(&str, &str, &str)], (from, to): (i64, i64)) -> SilenceDraft {
    let matcher = |(name, operator, value): &(&str, &str, &str)| SilenceMatcher {
        name: (*name).into(),
        kind: match *operator {
            "=" => MatchType::Equal,
            "!=" => MatchType::NotEqual,
            "=~" => MatchType::Regex,
            "!~" => MatchType::NotRegex,
            other => panic!("{other}"),
        },
        value: (*value).into(),
    };
    SilenceDraft {
        id: None,
        matchers: conditions.iter().map(matcher).collect(),
        starts_at: at(from),
        ends_at: at(to),
        created_by: "somebody".into(),
        comment: "quiet, please".into(),
        annotations: [("ticket".into(), "17".into())].into(),
    }
}

// === impl World ===

impl World {
    pub(super) fn set(&mut self, draft: SilenceDraft) -> Result<SilenceId, SilenceError> {
        let fresh = SilenceId(Uuid::from_u128(self.disk.writes as u128 + 1));
        let conditions = conditions(&draft).unwrap_or_default();
        let reach = self.state.reach(&self.state.held(), &conditions, draft.id);
        let id = self.state.set_silence(draft, fresh, reach, self.moment())?;
        self.turn();
        Ok(id)
    }

    /// Silences alerts of this name for so long.
    pub(super) fn silence(&mut self, name: &str, seconds: i64) -> SilenceId {
        self.set(draft(&[("alertname", "=", name)], (self.now, self.now + seconds))).unwrap()
    }

    pub(super) fn unsilence(&mut self, id: SilenceId) {
        self.state.expire_silence(id, self.moment()).unwrap();
        self.turn();
    }

    /// Works through what silences mean for every alert; answers in how many steps.
    pub(super) fn turn(&mut self) -> usize {
        let mut steps = 0;
        while self.state.is_turning() {
            let owed = self.state.turn(self.moment());
            self.settle_accounts(owed);
            steps += 1;
        }
        self.commit();
        steps
    }

    /// An alert of these labels fires since now for a long time, or is over.
    pub(super) fn labelled(&self, labels: &[(&str, &str)], fires: bool) -> Alert {
        let end = if fires { self.now + 100_000_000 } else { self.now };
        let namespace = ("namespace", "prod");
        let labels: Labels = [namespace].into_iter().chain(labels.iter().copied()).collect();
        Alert { labels, ..alert("", self.now.min(end - 1), end, self.now) }
    }

    pub(super) fn takes(&mut self, labels: &[(&str, &str)], fires: bool) {
        let alert = self.labelled(labels, fires);
        self.accept(alert, Source::V2);
    }

    /// How many alerts are muted, and how many notifications were not told, for that reason.
    pub(super) fn muted(&self, mute: Mute) -> (usize, u64) {
        (self.state.muted_alerts()[mute as usize], self.state.suppressed()[mute as usize])
    }
}
