//! What is owed to whom: alert state, and what each (route, alert, target) was told.
//!
//! Pure and synchronous: the clock is an argument, nothing here does I/O. It decides *what* is
//! owed; whether a target may be sent to now (health, limits) is the engine's to decide. Read
//! [`State`] first, then [`Slot`].
//!
//! Owed = what the alert says now − what the target was told. What an alert says is `held`'s, what a
//! target was told is `told`'s, what follows is `entry`'s; nothing else decides. `lane` keeps
//! what is owed in order. Without grouping an alert is a group of its own; a group with several members takes
//! the place of `Held` in a [`Slot`].
//!
//! # Groups
//!
//! `regroup` says which groups an alert belongs to, `group` holds one, with a `line` for each target. `flush`
//! is what time does to it: it takes the members as they are (`view`) and compares them with what each target
//! heard (`hearing`, Alertmanager's rules). Towards `entry` a group is an alert whose version is the number
//! of the flush that owed something, so that everything else works alike. `leaving` is a target that the route
//! no longer reaches, `reshape` an edit of routes: groups that still exist keep their time.
//!
//! # What is on disk
//!
//! [`State::take_facts`] gives records: one for an alert when what it says changes, one for what everyone
//! was told about it (or about a group) when somebody was told, skipped, given up, joined or left. Nothing is sent about a
//! change before [`State::enqueue`] confirms that its facts are on disk, so that a crash never
//! forgets what a target was told of. The log is written behind: what it does not list of the
//! alert's present version may have been told, and is sent again with the same id. Three
//! things keep that from being a nuisance or a gap: who surely heard nothing of an incident is listed as such
//! when it ends; an attempt on what the disk lists as skipped is written down first
//! ([`Ticket::must_commit`]); who may know of an alert that its route no longer wants is listed too, because a
//! later start does not look for them.
//!
//! # Muting
//!
//! An alert can be absent on a route: a silence takes it (`silence`), another alert inhibits it (`inhibit`), the
//! route is off hours (`hours`). `muting` brings that to the alert's links, `absent` says what it means for an
//! entry. All three answer to what changed: a new alert asks the active silences and the rules, a silence that
//! begins asks the alerts, a source asks where the values that it shares are filed. Nothing of it is written
//! but the silences; a start works it out anew before anything is sent, and what began while a silence held
//! has surely been told to nobody.
//!
//! # Fallback and digest
//!
//! `fallback` says when those are told who are told of what nobody else could be told. `digest` hands out what one
//! route owes one target together; every part of it is settled on its own.
//!
//! # Where this goes beyond the letter of the rules
//!
//! A resolve that is overtaken by a new firing is superseded as well. A skip counts its repeat from when
//! it was skipped. The age of a repeat counts from when it was due, that of a target that joins from
//! then. A failed attempt's delay ends when the alert says something else.

mod absent;
mod again;
mod deadline;
mod digest;
mod edit;
mod ending;
mod entry;
mod fallback;
mod filed;
mod flush;
mod group;
mod hearing;
mod held;
mod hours;
mod inhibit;
mod lane;
mod leaving;
mod line;
mod link;
mod listing;
mod log;
mod millis;
mod mute;
mod muting;
mod names;
mod notice;
mod plan;
mod quota;
mod record;
mod refresh;
mod regroup;
mod reshape;
mod restore;
mod settings;
mod settle;
mod silence;
mod size;
mod slot;
mod state;
mod sweep;
mod ticket;
mod told;
mod turned;
mod turning;
mod view;
mod visit;

pub use listing::{Listed, ListedRoute, Listing, OnRoute, Standing};
pub use mute::{Mute, MutedAlerts};
pub use muting::MutedBy;
pub use plan::{FallbackMode, FallbackTerms, Limits, Plan, Recipient, Role, RouteTerms};
pub use record::{
    AlertRecord, Fact, GroupEntry, GroupRecord, Heard, Hearing, Origin, Phase, Queued, RouteTold,
    Said, ToldEntry, ToldRecord,
};
pub use restore::Restoring;
pub use settings::{Counts, OwedCounts, Settings};
pub use silence::{conditions, draft_size};
pub use slot::{AlertId, GroupId, Owed, RouteId, Slot, Subject, TargetId};
pub use state::State;
pub use ticket::{Ended, Next, Settled, Settlement, Ticket, Verdict, Why};
