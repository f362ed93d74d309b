//! Counts what is special about notifications that were delivered.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use super::metrics::{KINDS, index};
use crate::{
    alert::{Notification, Status},
    api::TargetType,
};

type Counters = Family<[(&'static str, &'static str); 1], Counter>;

/// Counters by type of target.
#[derive(Debug)]
pub(crate) struct Marks {
    fallbacks: [Counter; KINDS],
    digests: [Counter; KINDS],
}

// === impl Marks ===

impl Marks {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let (fallbacks, digests) = (Counters::default(), Counters::default());
        let by_kind = |family: &Counters| {
            TargetType::ALL.map(|kind| family.get_or_create_owned(&[("type", kind.as_str())]))
        };
        let marks = Self { fallbacks: by_kind(&fallbacks), digests: by_kind(&digests) };
        registry.register(
            "fallbacks",
            "Notifications that told a fallback of a problem because nobody else could be told",
            fallbacks,
        );
        registry.register(
            "digests",
            "Messages that summed up what was owed beyond a target's rate limit",
            digests,
        );
        marks
    }

    /// A target took it.
    pub(super) fn told(&self, kind: TargetType, notification: &Notification) {
        if notification.fallback && notification.status == Status::Firing {
            self.fallbacks[index(kind)].inc();
        }
        if notification.digest {
            self.digests[index(kind)].inc();
        }
    }
}
