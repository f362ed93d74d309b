//! What `/readyz` asks.

use std::sync::Arc;

use futures::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::{
    controller::WatchStates,
    registry::{Monitor, Snapshot},
    server::{Check, Checks},
    store::{Failed, Full, Stats, Store},
};

/// The checks of a running operator. Only a failed store gates: a lost API server does not take the
/// intake out of service, nor does a full disk: delivery goes on. Before the first lists nobody knows
/// who wants what; what is taken then waits on disk. `durable`: there is a disk; without one the first
/// lists gate too.
pub(super) fn checks(
    snapshots: watch::Receiver<Arc<Snapshot>>,
    states: Option<WatchStates>,
    monitor: Arc<Monitor>,
    (store, durable): (Arc<dyn Store>, bool),
) -> Checks {
    Arc::new(move || {
        let complete = snapshots.borrow().complete;
        let mut checks = vec![
            Check { name: "intake", ok: true, gates: true, detail: String::new() },
            first_lists(complete, durable),
            store_check(store.failed().now_or_never(), store.room(0), &store.stats()),
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

fn first_lists(complete: bool, durable: bool) -> Check {
    let detail = match (complete, durable) {
        (true, _) => "",
        (false, true) => {
            "targets and routes are not listed yet: what is taken is kept on disk and delivered once they are; look at the log for the reason"
        }
        (false, false) => "targets and routes are not listed yet; look at the log for the reason",
    };
    Check { name: "first-lists", ok: complete, gates: !durable, detail: detail.to_owned() }
}

/// What the store says about itself, the worst first.
fn store_check(failed: Option<Failed>, room: Result<(), Full>, stats: &Stats) -> Check {
    let mut detail = Vec::new();
    let gates = failed.is_some();
    if let Some(failed) = failed {
        detail.push(format!(
            "{failed}; nothing is taken any more and this process is ending: look at the log and at the disk of --data-dir"
        ));
    } else {
        match room {
            Ok(()) => {}
            Err(Full::Disk) => detail.push(format!(
                "the disk is nearly full ({} MiB free): new alerts are refused with 503, delivery goes on; enlarge the volume (docs/runbooks/ResizeVolume.md)",
                stats.free_bytes / (1024 * 1024)
            )),
            Err(Full::Records) => detail.push(
                "the store holds as much as it may: new alerts are refused with 503, delivery goes on; look for targets that do not answer (kubectl get publishtargets -A)".to_owned(),
            ),
            Err(Full::Behind) => detail.push(
                "the disk can't keep up with what comes in: new alerts are refused with 503 until it does; give --data-dir a faster disk".to_owned(),
            ),
        }
    }
    if let Some(moved) = &stats.damaged {
        detail.push(format!(
            "the store was damaged at the start; it was moved to {} and a new one begun: copy that file away if you want it looked into, then delete it and restart",
            moved.display()
        ));
    }
    Check { name: "store", ok: detail.is_empty(), gates, detail: detail.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_lists_gate_only_without_a_disk() {
        let (kept, lost) = (first_lists(false, true), first_lists(false, false));
        assert!(!kept.ok && !kept.gates && kept.detail.contains("kept on disk"), "{kept:?}");
        assert!(!lost.ok && lost.gates && !lost.detail.contains("disk"), "{lost:?}");
        assert!(first_lists(true, true).ok && first_lists(true, false).ok);
    }

    #[test]
    fn only_a_failed_store_gates_readiness() {
        let well = store_check(None, Ok(()), &Stats::default());
        assert!(well.ok && well.detail.is_empty(), "{well:?}");
        let failed = Failed { step: "commit", message: "no such device".into() };
        let broken = store_check(Some(failed), Err(Full::Disk), &Stats::default());
        assert!(
            !broken.ok && broken.gates && broken.detail.contains("no such device"),
            "{broken:?}"
        );
        for full in [Full::Disk, Full::Records, Full::Behind] {
            let check = store_check(None, Err(full), &Stats::default());
            assert!(!check.ok && !check.gates && check.detail.contains("503"), "{check:?}");
        }
    }

    #[test]
    fn damaged_file_is_named_whatever_else_is_wrong() {
        let stats = Stats {
            damaged: Some("/data/fanfare.redb.damaged-1".into()),
            free_bytes: 7 * 1024 * 1024,
            ..Stats::default()
        };
        let check = store_check(None, Ok(()), &stats);
        assert!(!check.ok && !check.gates, "{check:?}");
        assert!(check.detail.contains("/data/fanfare.redb.damaged-1"), "{check:?}");
        let check = store_check(None, Err(Full::Disk), &stats);
        assert!(
            check.detail.contains("7 MiB free") && check.detail.contains("damaged-1"),
            "{check:?}"
        );
    }
}
