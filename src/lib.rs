//! Fanfare: a Kubernetes operator that delivers every alert to every healthy target.
//!
//! # The map
//!
//! | room | job |
//! |---|---|
//! | [`app`] | composition root: builds, connects, spawns, shuts down in order; the only room that sees everything |
//! | [`api`] | the custom resources exactly as users see them |
//! | [`alert`] | what an alert is: labels, fingerprint, wire forms |
//! | [`publish`] | request, options, results, errors, silences, and the handles that the server calls |
//! | [`config`] | flags and `FANFARE_*`, checked once |
//! | [`telemetry`] | logs, the root of the metrics |
//! | [`clock`] | one moment on both clocks |
//! | [`persistent`] | sorted maps that share what did not change |
//! | [`routing`] | which routes want this alert? |
//! | [`registry`] | compiled targets and routes, each target's live state, the snapshot |
//! | [`dispatch`] | what is owed to whom: pure, the clock passed in |
//! | [`store`] | the facts on disk, behind one trait |
//! | [`delivery`] | one notification to one target |
//! | [`controller`] | cluster or directory → registry; registry → status, events; the Lease |
//! | [`probe`] | asks each target whether it is there |
//! | [`fanout`] | the engine: limits, results, statistics; drives `dispatch` and `delivery` |
//! | [`server`] | the three HTTP listeners |
//! | [`cli`] | commands for people |
//!
//! Leaves (`api`, `alert`, `clock`, `persistent`, `publish`, `config`, `telemetry`) know nobody but leaves. State rooms
//! (`routing`, `registry`, `dispatch`, `store`, `delivery`) know leaves and the state rooms named in
//! `tests/it/layering.rs`. Actors (`controller`, `probe`, `fanout`, `server`, `cli`) know leaves and
//! state rooms, never one another: they meet through values that [`app`] hands out.
//!
//! # Invariants
//!
//! 1. Configuration reaches readers as one immutable [`registry::Snapshot`], swapped whole. Each
//!    target has one [`registry::Live`] that outlives snapshots; outcomes never republish configuration.
//! 2. Status is a pure projection. Only `controller` writes it, only while it holds the Lease, only
//!    when it changed. It holds nothing that moves with every probe or delivery.
//! 3. `compile`, `resolve`, `owed`, `plan`, `observe`, `project`, `render`, `classify` are pure and
//!    synchronous; time and randomness are arguments. Async code is the thin shell around them.
//! 4. Every queue, map and body is bounded; every refusal, skip and drop is counted and has a name.
//! 5. Every task is owned by `app`; one that ends unexpectedly ends the process. Nothing panics on
//!    the content of an object, an alert or an answer.
//! 6. A 2xx to a sender means: on disk (fdatasync returned), or already there.
//! 7. A secret (webhook URLs included) and the body of a target's answer never reach a log above
//!    debug, a status, event, metric, error text or API answer. Status codes and known vendor error
//!    codes do.
//! 8. A slow, dead or hostile target delays nobody but itself.
//!
//! # A ten-minute tour
//!
//! *A change*: [`controller`] watches → `delivery::compile` and `routing::Route::compile` →
//! `registry::Registry` → snapshot → [`probe`] → `Live::observe` → transition → `project` → status
//! and event.
//!
//! *An alert*: [`server`] reads it with [`alert`] → [`publish::Intake`] → [`dispatch`] resolves routes
//! and knows what is owed → [`store`] (durable, then 2xx) → a lane of [`fanout`] → `delivery::Client`
//! → classify → outcome → `dispatch`, [`store`], live state, metrics.
//!
//! *A publish*: [`server`] → [`publish::Publisher`] → `fanout::plan` → attempts in parallel → one
//! result per target, in request order.

pub mod alert;
pub mod api;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod delivery;
pub mod dispatch;
pub mod fanout;
pub mod persistent;
pub mod probe;
pub mod publish;
pub mod registry;
pub mod routing;
pub mod server;
pub mod store;
pub mod telemetry;
