//! When an alert is muted, found the long way round; and from when on a group is told otherwise on purpose.

use std::collections::{BTreeMap, BTreeSet};

use fanfare::{
    alert::Labels,
    routing::{Hours, InhibitRule, Matchers},
};

use super::{
    life::{Life, MINUTE},
    player,
    timeline::{Sent, Timeline},
};

/// What a silence takes, from its first to its last moment.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) matchers: String,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// Everything that mutes in a timeline.
pub(super) struct Quiet<'a> {
    timeline: &'a Timeline,
    lives: Vec<(String, Labels, &'a Life)>,
    silences: Vec<(Matchers, &'a Span)>,
    hours: Vec<Hours>,
    rules: Vec<InhibitRule>,
}

/// A receiver and the labels of a group.
type Group = (String, BTreeMap<String, String>);

// === impl Quiet ===

impl<'a> Quiet<'a> {
    pub(super) fn new(timeline: &'a Timeline, lives: &'a [Life], silences: &'a [Span]) -> Self {
        let name = |life: &'a Life| {
            let labels = life.labels();
            (labels.fingerprint().to_string(), labels, life)
        };
        let silence = |span: &'a Span| (Matchers::parse(&span.matchers).unwrap(), span);
        Self {
            timeline,
            lives: lives.iter().map(name).collect(),
            silences: silences.iter().map(silence).collect(),
            hours: timeline.routes.iter().map(player::hours).collect(),
            rules: player::rules(timeline).to_vec(),
        }
    }

    /// Whether an alert is absent on a route at that moment.
    fn mutes(&self, route: usize, labels: &Labels, at: i64) -> bool {
        let silences = |(matchers, span): &(Matchers, &Span)| {
            (span.from..=span.to).contains(&at) && matchers.matches(labels)
        };
        self.silences.iter().any(silences)
            || !self.hours[route].is_active(player::wall(at))
            || self.rules.iter().any(|rule| self.inhibits(rule, labels, at))
    }

    /// An alert on both sides is not kept quiet by another one on both sides.
    fn inhibits(&self, rule: &InhibitRule, labels: &Labels, at: i64) -> bool {
        let two_sided = rule.source.matches(labels);
        rule.target.matches(labels)
            && self.lives.iter().any(|(_, source, life)| {
                life.fires(at)
                    && rule.source.matches(source)
                    && rule.agrees(source, labels)
                    && !(two_sided && rule.target.matches(source))
            })
    }

    /// Groups that Fanfare tells otherwise than Alertmanager from some moment on, with the last moment at which
    /// both tell the same. `theirs`: what Alertmanager sent.
    ///
    /// There are four reasons.
    ///
    /// - An alert of which the receiver was told that it fires is over while it is muted: Alertmanager forgets it,
    ///   Fanfare tells so when muting ends.
    /// - While it is muted something else is told of its group: Alertmanager takes it for a new alert when muting
    ///   ends, Fanfare does not.
    /// - While it is muted nothing else fires: Alertmanager takes all for resolved if others are over, also those
    ///   of which the receiver never heard, Fanfare does not.
    /// - An alert whose end was told fires and is over again between two flushes, while others fire: both tell of
    ///   such alerts that they are over; Alertmanager not if its last notification says so already, Fanfare not
    ///   if it still knows the alert.
    pub(super) fn partings(&self, theirs: &[Sent]) -> BTreeMap<Group, i64> {
        let mut partings = BTreeMap::new();
        let mut told: BTreeMap<Group, &Sent> = BTreeMap::new();
        let mut rest = theirs;
        for at in self.moments(theirs) {
            let sent = rest.iter().take_while(|sent| sent.at <= at).count();
            let (now, later) = rest.split_at(sent);
            rest = later;
            for sent in now {
                let group = (sent.receiver.clone(), sent.group.clone());
                let Some(before) = told.insert(group.clone(), sent) else { continue };
                if before.firing.iter().any(|alert| self.is_muted(before, alert, at)) {
                    let unheard = sent.firing.is_empty()
                        && sent.resolved.iter().all(|alert| !before.firing.contains(alert));
                    partings.entry(group).or_insert(at - i64::from(unheard));
                }
            }
            for at in [at, at + 1] {
                for (group, sent) in &told {
                    if self.parts(sent, at) {
                        partings.entry(group.clone()).or_insert(at - 1);
                    }
                }
            }
        }
        partings
    }

    /// Whether what was sent last makes a difference from that moment on.
    fn parts(&self, last: &Sent, at: i64) -> bool {
        let route = &self.timeline.routes[route(last)];
        let mut muted = last.firing.iter().filter(|alert| self.is_muted(last, alert, at));
        // Where ends are not sent one does not see that all are taken for resolved.
        let unseen = |_: &String| !route.send_resolved && self.others_are_over(last, at);
        if muted.any(|alert| !self.life(alert).1.fires(at) || unseen(alert)) {
            return true;
        }
        last.resolved.iter().any(|alert| {
            let life = self.life(alert).1;
            let again = life
                .said
                .iter()
                .any(|(moment, until)| (last.at + 1..=at).contains(moment) && until > moment);
            again && !life.fires(at)
        })
    }

    fn others_are_over(&self, last: &Sent, at: i64) -> bool {
        self.lives.iter().any(|(_, labels, life)| {
            let same = last.group.iter().all(|(name, value)| labels.get(name) == value);
            same && life.said.iter().any(|(moment, _)| *moment <= at) && !life.fires(at)
        })
    }

    fn is_muted(&self, sent: &Sent, alert: &str, at: i64) -> bool {
        self.mutes(route(sent), self.life(alert).0, at)
    }

    fn life(&self, alert: &str) -> (&Labels, &Life) {
        let (_, labels, life) = self.lives.iter().find(|(name, ..)| name == alert).unwrap();
        (labels, life)
    }

    /// Moments between which nothing changes.
    fn moments(&self, theirs: &[Sent]) -> BTreeSet<i64> {
        let minutes = (0..=self.timeline.end / MINUTE).map(|at| at * MINUTE);
        let spans = self.silences.iter().flat_map(|(_, span)| [span.from, span.to]);
        let said = self.lives.iter().flat_map(|(.., life)| &life.said);
        let said = said.flat_map(|(moment, until)| [*moment, *until]);
        let all = minutes.chain(spans).chain(said).chain(theirs.iter().map(|sent| sent.at));
        all.filter(|at| (0..=self.timeline.end).contains(at)).collect()
    }
}

fn route(sent: &Sent) -> usize {
    sent.receiver[1..].parse().unwrap()
}
