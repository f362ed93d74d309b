//! What is owed to whom: alert state, and what each (route, alert, target) was told.
//!
//! Pure and synchronous: the clock is an argument, nothing here does I/O. It decides *what* is
//! owed; whether a target may be sent to now (health, limits) is the engine's to decide. Read
//! [`State`] first, then [`Slot`].
//!
//! Owed = what the alert says now − what the target was told. What an alert says is
//! `held`'s, what a target was told is `told`'s; nothing else decides. Every alert is a group of
//! its own here: a group with several members takes the place of `Held` in a [`Slot`].
//!
//! Where this differs from the letter of the rules: without `repeatInterval`, a sender's re-send is
//! the repeat that ends a skip; and what failed is offered again by itself after a pause (1 min
//! doubling to 15 min, 5 min to 4 h if it was refused), because the resolve of an alert that
//! expired has no sender who would repeat it.

mod edit;
mod held;
mod link;
mod plan;
mod refresh;
mod size;
mod slot;
mod state;
mod told;

pub use plan::{Plan, Recipient};
pub use slot::{AlertId, Counts, Settings, Settled, Slot, Ticket};
pub use state::State;
