//! What a sender said about an alert, and what follows from it and from time alone.

use fanfare::{alert::Status, publish::Source};

/// How long a slower sender's firing is doubted.
const DOUBT: i64 = 120;
/// How long a webhook alert fires if nobody mentions it.
pub(super) const WEBHOOK_MAX_AGE: i64 = 600;
/// How long it is known whom a stale alert was told to.
const REMEMBER_STALE: i64 = 14 * 24 * 3_600;

/// One alert as its sender sees it, and what the rules make of that.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) starts: i64,
    /// What the newest update came in.
    source: Source,
    ends: i64,
    /// When it was last mentioned, or the process started.
    mentioned: i64,
    explicit_end: Option<i64>,
    doubt_until: Option<i64>,
    pub(super) fires: bool,
    /// It was not mentioned for too long to be believed.
    pub(super) stale: bool,
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
    /// What it said last if it is stale.
    pub(super) status: Status,
    pub(super) stale: bool,
    pub(super) version: u32,
    pub(super) changed_at: i64,
}

// === impl Says ===

impl Says {
    /// There is a problem, as far as anybody knows.
    pub(super) fn fires(self) -> bool {
        self.status == Status::Firing && !self.stale
    }
}

// === impl Sent ===

impl Sent {
    pub(super) fn new(starts: i64, source: Source, now: i64) -> Self {
        Self {
            starts,
            source,
            ends: end_of(source, now),
            mentioned: now,
            explicit_end: None,
            doubt_until: None,
            fires: true,
            stale: false,
            over_since: 0,
            incident: 1,
            version: 1,
            changed_at: now,
        }
    }

    pub(super) fn says(&self) -> Says {
        let firing = self.stale || (self.fires && self.doubt_until.is_none());
        Says {
            incident: self.incident,
            status: if firing { Status::Firing } else { Status::Resolved },
            stale: self.stale,
            version: self.version,
            changed_at: self.changed_at,
        }
    }

    /// Changes something; what it says afterwards may be a new version.
    fn change(&mut self, now: i64, change: impl FnOnce(&mut Self)) {
        let before = self.says();
        change(self);
        let after = self.says();
        if (before.incident, before.status, before.stale)
            != (after.incident, after.status, after.stale)
        {
            (self.version, self.changed_at) = (self.version + 1, now);
        }
    }

    pub(super) fn fire(&mut self, starts: i64, source: Source, now: i64) {
        self.change(now, |sent| {
            if !sent.fires {
                sent.fires = true;
                if sent.stale {
                    sent.stale = false;
                } else if sent.explicit_end.is_some_and(|end| starts <= end) {
                    sent.doubt_until = Some(now + DOUBT);
                } else if starts > sent.ends {
                    sent.incident += 1;
                }
                sent.starts = starts;
            }
            sent.ends = end_of(source, now);
            (sent.source, sent.mentioned) = (source, now);
        });
    }

    pub(super) fn end(&mut self, source: Source, now: i64) {
        self.change(now, |sent| {
            sent.source = source;
            if sent.fires || sent.stale {
                (sent.fires, sent.stale, sent.doubt_until) = (false, false, None);
                (sent.over_since, sent.ends) = (now, now);
            }
            sent.explicit_end = sent.explicit_end.max(Some(sent.ends));
        });
    }

    /// The end that a resolve names.
    pub(super) fn end_to_send(&self, now: i64) -> i64 {
        if self.fires || self.stale { now } else { self.ends }
    }

    /// When time alone does something, given that nothing expires before `grace`.
    pub(super) fn due(&self, grace: i64) -> Option<i64> {
        let end = self.fires.then(|| self.end_by_itself(grace))?;
        Some(self.doubt_until.map_or(end, |until| until.min(end)))
    }

    pub(super) fn pass(&mut self, grace: i64, now: i64) {
        self.change(now, |sent| {
            let end = sent.end_by_itself(grace);
            if sent.fires && end <= now {
                (sent.fires, sent.doubt_until, sent.over_since) = (false, None, end);
                sent.stale = sent.source == Source::Webhook;
            } else if sent.doubt_until.is_some_and(|until| until <= now) {
                sent.doubt_until = None;
            }
        });
    }

    fn end_by_itself(&self, grace: i64) -> i64 {
        match self.source {
            Source::V2 => self.ends.max(grace),
            Source::Webhook => self.mentioned + WEBHOOK_MAX_AGE,
        }
    }

    /// Another process knows of it.
    pub(super) fn restart(&mut self, now: i64) {
        self.mentioned = now;
    }

    /// May be forgotten if nothing is owed.
    pub(super) fn is_old(&self, now: i64) -> bool {
        let remembered = if self.stale { REMEMBER_STALE } else { 900 };
        !self.fires && now >= self.over_since + remembered
    }
}

/// The end that a firing names.
fn end_of(source: Source, now: i64) -> i64 {
    match source {
        Source::V2 => now + 300,
        Source::Webhook => i64::MAX,
    }
}
