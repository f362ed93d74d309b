//! What an alert is: labels, fingerprint, times, and its wire forms.
//!
//! A leaf: it does no I/O and knows no other room. Read [`Alert`] first, then
//! [`Notification`], which is what a target is sent.

mod key;
mod labels;
mod merge;
mod notification;
mod order;
mod quote;
mod time;
mod uri;
pub mod v2;
pub mod webhook;
mod wire;

pub use key::{NotificationId, PublishId, digest_id, group_key, incident_key};
pub use labels::{Fingerprint, Labels, LabelsBuilder, cut_name};
pub use merge::merge;
pub use notification::{Member, Notification, Reason as NotificationReason, common};
pub use order::order;
pub use quote::{push_json, push_labels, push_quoted, quote_meta};
pub use time::{later, read_time};
pub use wire::{Limits, ParseError};

use jiff::Timestamp;

/// One alert as held by Fanfare: always with both times set.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Identity of the alert.
    pub labels: Labels,
    /// Texts for people; never part of the identity.
    pub annotations: Labels,
    /// When the alert began to fire.
    pub starts_at: Timestamp,
    /// When it ended or will be taken as ended: in the future while it fires.
    pub ends_at: Timestamp,
    /// `ends_at` was set by `--resolve-timeout`, not by the sender.
    pub timeout: bool,
    /// Link to the rule that raised it; may be empty.
    pub generator_url: Box<str>,
    /// When this update was received.
    pub updated_at: Timestamp,
}

/// Whether an alert fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// The problem is there.
    Firing,
    /// The problem is over.
    Resolved,
}

// === impl Alert ===

impl Alert {
    /// Whether the alert fires at `now`: it is resolved once its end has been reached.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        if self.ends_at <= now { Status::Resolved } else { Status::Firing }
    }

    /// Value of the label `name`, empty if it is missing (as Alertmanager treats it).
    #[must_use]
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name)
    }
}

// === impl Status ===

impl Status {
    /// `firing` or `resolved`, as in webhook payloads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}
