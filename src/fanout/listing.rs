//! What is held, for the API.

use super::router::Router;
use crate::{delivery::Transport, dispatch::Listing};

/// Alerts copied under one lock: nobody waits for long because somebody looks.
const CHUNK: usize = 1_024;

// === impl Router ===

impl<T: Transport> Router<T> {
    /// The alerts that fire. Blocks for as long as it takes to clone pointers to them.
    #[must_use]
    pub fn listing(&self) -> Listing {
        let held = self.0.desk().state.held();
        let mut listing = Listing::default();
        for ids in held.chunks(CHUNK) {
            self.0.desk().state.show(ids, &mut listing);
        }
        listing
    }
}
