//! What a sender said about an alert, and what follows from it and from time alone.

use fanfare::alert::Status;

/// How long a slower sender's firing is doubted.
const DOUBT: i64 = 120;

/// One alert as its sender sees it, and what the rules make of that.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) starts: i64,
    ends: i64,
    explicit_end: Option<i64>,
    doubt_until: Option<i64>,
    pub(super) fires: bool,
    /// When it stopped firing.
    pub(super) over_since: i64,
    pub(super) incident: u32,
    pub(super) version: u32,
    pub(super) changed_at: i64,
}

/// What an alert says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Says {
    pub(super) incident: u32,
    pub(super) status: Status,
    pub(super) version: u32,
    pub(super) changed_at: i64,
}

// === impl Sent ===

impl Sent {
    pub(super) fn new(starts: i64, now: i64) -> Self {
        Self {
            starts,
            ends: now + 300,
            explicit_end: None,
            doubt_until: None,
            fires: true,
            over_since: 0,
            incident: 1,
            version: 1,
            changed_at: now,
        }
    }

    pub(super) fn says(&self) -> Says {
        let firing = self.fires && self.doubt_until.is_none();
        Says {
            incident: self.incident,
            status: if firing { Status::Firing } else { Status::Resolved },
            version: self.version,
            changed_at: self.changed_at,
        }
    }

    /// Changes something; what it says afterwards may be a new version.
    fn change(&mut self, now: i64, change: impl FnOnce(&mut Self)) {
        let before = self.says();
        change(self);
        let after = self.says();
        if (before.incident, before.status) != (after.incident, after.status) {
            (self.version, self.changed_at) = (self.version + 1, now);
        }
    }

    pub(super) fn fire(&mut self, starts: i64, now: i64) {
        self.change(now, |sent| {
            if !sent.fires {
                sent.fires = true;
                if sent.explicit_end.is_some_and(|end| starts <= end) {
                    sent.doubt_until = Some(now + DOUBT);
                } else if starts > sent.ends {
                    sent.incident += 1;
                }
                sent.starts = starts;
            }
            sent.ends = now + 300;
        });
    }

    pub(super) fn end(&mut self, now: i64) {
        self.change(now, |sent| {
            if sent.fires {
                (sent.fires, sent.doubt_until) = (false, None);
                (sent.over_since, sent.ends) = (now, now);
            }
            sent.explicit_end = sent.explicit_end.max(Some(sent.ends));
        });
    }

    /// The end that a resolve names.
    pub(super) fn end_to_send(&self, now: i64) -> i64 {
        if self.fires { now } else { self.ends }
    }

    /// When time alone does something, given that nothing expires before `grace`.
    pub(super) fn due(&self, grace: i64) -> Option<i64> {
        let end = self.fires.then(|| self.ends.max(grace))?;
        Some(self.doubt_until.map_or(end, |until| until.min(end)))
    }

    pub(super) fn pass(&mut self, grace: i64, now: i64) {
        self.change(now, |sent| {
            let end = sent.ends.max(grace);
            if sent.fires && end <= now {
                (sent.fires, sent.doubt_until, sent.over_since) = (false, None, end);
            } else if sent.doubt_until.is_some_and(|until| until <= now) {
                sent.doubt_until = None;
            }
        });
    }

    /// May be forgotten if nothing is owed.
    pub(super) fn is_old(&self, now: i64) -> bool {
        !self.fires && now >= self.over_since + 900
    }
}
