//! What the rules say about one (route, alert, target).

use fanfare::alert::Status;

use super::sender::Says;

/// Times of the world, in seconds.
pub(super) const REPEAT: i64 = 700;
pub(super) const MAX_AGE: i64 = 1_000;
pub(super) const MAX_ATTEMPTS: u32 = 3;

/// What Fanfare knows about one target of one alert on one route.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) delivered: Option<Says>,
    /// What may have arrived since.
    pub(super) maybe: Vec<Status>,
    /// When it was told or skipped.
    pub(super) at: Option<i64>,
    /// The version that was left out, that it need not hear, or that was given up.
    pub(super) closed: Option<u32>,
    pub(super) letter: Option<u32>,
    pub(super) resumed: Option<i64>,
    pub(super) failures: u32,
    /// Attempts of this state that were refused.
    pub(super) refusals: u32,
    /// The version in flight.
    pub(super) flying: Option<u32>,
}

// === impl Entry ===

impl Entry {
    fn knows(&self, says: Says) -> bool {
        self.delivered
            .is_some_and(|told| (told.incident, told.status) == (says.incident, says.status))
    }

    pub(super) fn open(&self) -> bool {
        self.maybe.contains(&Status::Firing)
            || self.delivered.is_some_and(|told| told.status == Status::Firing)
    }

    fn settled(&self, says: Says) -> bool {
        self.closed == Some(says.version)
            || (self.knows(says) && !self.maybe.contains(&Status::Resolved))
    }

    /// What the alert says is news to the target.
    pub(super) fn owes_change(&self, says: Says, matches: bool) -> bool {
        match says.status {
            _ if says.stale => false,
            Status::Firing => matches && !self.settled(says),
            Status::Resolved => self.open() && self.closed != Some(says.version),
        }
    }

    pub(super) fn repeat_due(&self, says: Says) -> Option<i64> {
        let repeats = says.fires() && self.settled(says);
        repeats.then(|| self.at.map_or(i64::MIN, |at| at + REPEAT))
    }

    pub(super) fn owes(&self, says: Says, matches: bool, now: i64) -> bool {
        self.owes_change(says, matches)
            || (matches && self.repeat_due(says).is_some_and(|due| due <= now))
    }

    /// `maxAge` counts from here.
    fn since(&self, says: Says) -> i64 {
        let since = self.repeat_due(says).unwrap_or(says.changed_at);
        self.resumed.map_or(since, |resumed| since.max(resumed))
    }

    pub(super) fn expires(&self, says: Says) -> i64 {
        self.since(says).saturating_add(MAX_AGE)
    }

    /// Nothing is known.
    pub(super) fn is_blank(&self) -> bool {
        self.flying.is_none()
            && self.delivered.is_none()
            && self.closed.is_none()
            && self.letter.is_none()
            && !self.maybe.contains(&Status::Firing)
    }

    /// Is in the log on disk. When its age counts from matters only while the route wants the alert.
    pub(super) fn is_written(&self, matches: bool) -> bool {
        !self.is_blank() || (matches && self.resumed.is_some())
    }

    /// As the log on disk says it to the next process.
    pub(super) fn restored(&self, version: u32) -> Self {
        let mut entry = self.clone();
        if entry.flying.take().is_some() {
            entry.maybe.push(Status::Firing);
        }
        entry.news();
        let known = entry.closed == Some(version)
            || entry.delivered.is_some_and(|told| told.version == version);
        if !known {
            entry.maybe.extend([Status::Firing, Status::Resolved]);
        }
        entry
    }

    pub(super) fn deliver(&mut self, said: Says, now: i64) {
        self.delivered = Some(said);
        self.maybe.clear();
        self.at = Some(now);
        self.news();
    }

    /// What was tried counts no more.
    pub(super) fn news(&mut self) {
        (self.failures, self.refusals) = (0, 0);
    }

    /// Its age counts from now.
    pub(super) fn resume(&mut self, now: i64) {
        self.news();
        self.resumed = Some(now);
    }
}
