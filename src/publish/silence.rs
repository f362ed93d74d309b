//! Silences as people write and read them: Alertmanager's, field by field.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use uuid::Uuid;

use super::Refused;
use crate::api::MatchType;

/// Identifies a silence; a version 4 UUID, as in Alertmanager.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SilenceId(pub Uuid);

/// One condition of a silence, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceMatcher {
    /// Name of the label.
    pub name: Box<str>,
    /// Comparison.
    pub kind: MatchType,
    /// Value, or regular expression that must match the whole value.
    pub value: Box<str>,
}

/// While it is active, alerts that meet all its conditions are absent on every route. Never changed: an
/// edit makes another one, with the same id or a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Its id.
    pub id: SilenceId,
    /// Conditions that must all hold, in the order in which they were written.
    pub matchers: Vec<SilenceMatcher>,
    /// It is active from this moment on.
    pub starts_at: Timestamp,
    /// It is over at this moment.
    pub ends_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: Box<str>,
    /// Why.
    pub comment: Box<str>,
    /// Texts for people.
    pub annotations: BTreeMap<Box<str>, Box<str>>,
}

/// A silence that somebody wants, or how they want a silence that exists to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceDraft {
    /// The silence that is to be edited; `None`: a new one.
    pub id: Option<SilenceId>,
    /// Conditions that must all hold.
    pub matchers: Vec<SilenceMatcher>,
    /// When it begins; one that begins in the past, or has no time (`0001-01-01`), begins now.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Who made it.
    pub created_by: Box<str>,
    /// Why.
    pub comment: Box<str>,
    /// Texts for people.
    pub annotations: BTreeMap<Box<str>, Box<str>>,
}

/// Where a silence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SilenceState {
    /// It has not begun.
    Pending,
    /// It keeps alerts quiet.
    Active,
    /// It is over; kept for five days.
    Expired,
}

/// Why a silence was not written. The texts are Alertmanager's where it has one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// No silence has this id (404).
    #[error("silence not found")]
    NotFound,
    /// It would end before or when it begins (400).
    #[error("Failed to create silence: start time must be before end time")]
    StartNotBeforeEnd,
    /// It would be over already (400).
    #[error("Failed to create silence: end time can't be in the past")]
    EndInPast,
    /// Its conditions are no conditions (400).
    #[error("invalid silence: {0}")]
    Invalid(String),
    /// There are too many, expired ones included (400).
    #[error("exceeded maximum number of silences: {held} (limit: {limit})")]
    TooMany {
        /// Silences held.
        held: usize,
        /// So many may be held.
        limit: usize,
    },
    /// It is too large (400).
    #[error("silence exceeded maximum size: {size} bytes (limit: {limit} bytes)")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// So many it may have.
        limit: usize,
    },
    /// The memory for alerts and silences is used up (400: sending it again does not help).
    #[error(
        "the memory for alerts and silences (a third of the memory limit) is used up; write a shorter silence, or give the process more memory"
    )]
    NoMemory,
    /// Nothing is taken in for now (503).
    #[error(transparent)]
    Refused(#[from] Refused),
}

// === impl SilenceId ===

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for SilenceId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

// === impl Silence ===

impl Silence {
    /// Where it stands at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> SilenceState {
        if now >= self.ends_at {
            SilenceState::Expired
        } else if now < self.starts_at {
            SilenceState::Pending
        } else {
            SilenceState::Active
        }
    }
}

// === impl SilenceState ===

impl SilenceState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Active, Self::Expired];

    /// The word as it stands in the API and in metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}
