//! Many objects on a real API server: how soon the registry follows, what it costs in memory, CPU and
//! writes, and what a restart takes.
//!
//! `FANFARE_OBJECTS` targets and as many routes (default 2,000; the goals are for 10,000), each route to one
//! target of its own; one target in ten takes its URL from a Secret of its own. The receivers listen on 100
//! ports in a process of their own. `FANFARE_SECONDS` of idleness (60), `FANFARE_FOREIGN` Secrets and `ConfigMaps` of
//! others (as many as targets), `FANFARE_PHASES`: a list of `idle single foreign update restart lease delete` to
//! do only these. Status writes are counted from the API server's audit log.

#![expect(clippy::unwrap_used, reason = "it stops if it can't")]

#[path = "scale/objects.rs"]
mod objects;
#[path = "scale/phases.rs"]
mod phases;
#[path = "scale/probed.rs"]
pub(crate) mod probed;
#[path = "scale/restart.rs"]
mod restart;
#[path = "scale/rig.rs"]
mod rig;
#[path = "scale/user.rs"]
mod user;
#[path = "scale/written.rs"]
mod written;

use crate::{is_quick, it, report::Report};
use rig::Rig;

const DEFAULT_OBJECTS: usize = 2_000;
const QUICK_OBJECTS: usize = 100;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub(crate) fn run() {
    let quick = is_quick();
    let mut report = Report::new("scale");
    let objects = setting("FANFARE_OBJECTS", if quick { QUICK_OBJECTS } else { DEFAULT_OBJECTS });
    let idle = setting("FANFARE_SECONDS", if quick { 5 } else { 60 });
    let foreign = setting("FANFARE_FOREIGN", objects);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let Some(mut rig) = Rig::start().await else {
            println!("SKIP scale: set FANFARE_CONTROLPLANE_BIN to the servers that `make controlplane` builds");
            return;
        };
        report.set(
            "objects",
            format!("{objects} targets, {objects} routes, {} Secrets", objects / 10),
        );
        phases::Phases { rig: &mut rig, report: &mut report, objects, idle, foreign }.run().await;
        report.finish();
    });
}
