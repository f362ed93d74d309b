//! Everything that is tested through a border: HTTP, the API server, the program, the repository.
//! One binary, one module per subject.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod alert_hostile;
mod alert_refusals;
mod alert_wire;
mod alertmanager;
mod amtool;
mod chart;
mod cluster;
mod crash;
mod crd_files;
mod crd_server;
mod delivery;
mod dependencies;
mod dispatch;
mod docs;
mod examples;
mod fanout;
mod kept;
mod layering;
mod live;
mod prometheus;
mod refusals;
mod routing_matchers;
mod routing_table;
mod routing_terms;
mod server;
mod store;
mod support;
mod testbed;
mod whole;
