//! What `/readyz` asks.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    controller::WatchStates,
    registry::{Monitor, Snapshot},
    server::{Check, Checks},
};

/// The checks of a running operator. Only the first lists gate: once ready, a lost API server does
/// not take the intake out of service.
pub(super) fn checks(
    snapshots: watch::Receiver<Arc<Snapshot>>,
    states: Option<WatchStates>,
    monitor: Arc<Monitor>,
) -> Checks {
    Arc::new(move || {
        let complete = snapshots.borrow().complete;
        let mut checks = vec![
            Check { name: "intake", ok: true, gates: true, detail: String::new() },
            Check {
                name: "first-lists",
                ok: complete,
                gates: true,
                detail: if complete {
                    String::new()
                } else {
                    "targets and routes are not listed yet; look at the log for the reason"
                        .to_owned()
                },
            },
        ];
        if let Some(states) = &states {
            let trouble = states.trouble(Timestamp::now().as_second());
            checks.push(Check {
                name: "api-server",
                ok: trouble.is_none(),
                gates: false,
                detail: trouble.unwrap_or_default(),
            });
        }
        let frozen = monitor.frozen();
        checks.push(Check {
            name: "own-network",
            ok: !frozen,
            gates: false,
            detail: if frozen {
                "most targets turned unreachable at once: health verdicts are frozen; check this pod's DNS, egress and NetworkPolicy".to_owned()
            } else {
                String::new()
            },
        });
        checks
    })
}
